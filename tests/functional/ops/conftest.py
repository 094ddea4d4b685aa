"""The registry that the handlers use, and a second, empty one, on one DynamoDB Local."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, Item
from pushreg_local.client import connect_endpoint
from pushreg_local.tables import create_missing
from pushreg_ops.registry import Registry
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.command import Run, make_run
from tests.support.damage import Damage, Verification
from tests.support.engine import endpoint
from tests.support.gateway import Gateway, read_template
from tests.support.stored import Stored

__all__ = ["endpoint"]
TABLES = (DEVICES, SUBSCRIBERS, PLACES, DIRECTORY)


@pytest.fixture(scope="session")
def stored(endpoint: str) -> Stored:
    """The tables that the handlers answer from."""
    return Stored.create(connect_endpoint(endpoint))


@pytest.fixture(scope="session")
def demo(stored: Stored) -> list[Item]:
    """What the directory holds to begin with."""
    return stored.items(DIRECTORY)


@pytest.fixture
def registry(stored: Stored, demo: list[Item]) -> Registry:
    """The registry behind the handlers, with the demo's directory and nothing else."""
    stored.clear(DEVICES, SUBSCRIBERS, PLACES)
    if stored.items(DIRECTORY) != demo:
        stored.clear(DIRECTORY)
        for item in demo:
            stored.put(DIRECTORY, item)
    return Registry("the registry", stored.client, {name: name for name in TABLES})


@pytest.fixture
def gateway(registry: Registry) -> Gateway:
    """Functions that know nothing yet, over the registry."""
    return Gateway(registry.client)


@pytest.fixture
def other(stored: Stored) -> Iterator[Registry]:
    """Another registry, wholly empty."""
    names = {name: f"Other{name}" for name in TABLES}
    create_missing(stored.client, [replace(each, name=names[each.logical_id]) for each in read_template().tables])
    yield Registry("another registry", stored.client, names)
    for name in names.values():
        stored.client.delete_table(TableName=name)


@pytest.fixture
def damage(registry: Registry, gateway: Gateway, stored: Stored) -> Damage:
    kazoo, engagement, places = Kazoo(gateway.send), Engagement(gateway.send), Places(gateway.send)
    for name in ("1", "2"):
        assert kazoo.put(f"d{name}", f"m{name}").status == 201
        assert places.put(f"t{name}").status == 200
    ksids = [answered(engagement.subscribe(f"dev{name}", f"sid{name}"))[1] for name in ("1", "2")]
    # For ever, so that the tests say what expires.
    for item in [*stored.items(SUBSCRIBERS), *stored.items(PLACES)]:
        stored.put(SUBSCRIBERS if "record" in item else PLACES, {**item, "expires_at": None})
    return Damage(stored, ksids)


@pytest.fixture
def verification(registry: Registry) -> Verification:
    return Verification(registry)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)

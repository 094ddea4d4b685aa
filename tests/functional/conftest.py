"""The functions over tables in moto, with the connection under the test's control."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, Item
from tests.support.callers import ROUTES, Registry
from tests.support.clients import connect_functions
from tests.support.stored import Stored, open_memory_tables
from tests.support.tenants import install, right_attempts
from tests.support.time import Time
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def stored() -> Iterator[Stored]:
    """The tables, with the demo's entries in the directory, seen through a client that nobody disturbs."""
    with open_memory_tables() as stored:
        yield stored


@pytest.fixture(scope="module")
def client(stored: Stored) -> Any:
    """A client made as the functions make theirs."""
    return connect_functions()


@pytest.fixture(scope="module")
def _wire(client: Any) -> Wire:
    return Wire(client, "boto3")


@pytest.fixture
def wire(_wire: Wire) -> Iterator[Wire]:
    """What the client sends, counted and open to interference."""
    _wire.clear()
    yield _wire
    _wire.clear()


@pytest.fixture
def empty(stored: Stored) -> Stored:
    """The tables with nothing in them but the directory."""
    stored.clear(DEVICES, SUBSCRIBERS, PLACES)
    return stored


@pytest.fixture
def time() -> Time:
    """Time that stands still at the test's start."""
    return Time()


@pytest.fixture(scope="module")
def registry(stored: Stored) -> Registry:
    """Two tenants of each family, the first of which has one registration in each."""
    registry = Registry(stored, install(stored.client))
    gateway, _ = registry.gateway()
    for function, method, attempt in right_attempts():
        path = next(route.path for route in ROUTES.values() if route.function == function)
        assert registry.send(gateway, method, path, attempt)[0] in (200, 201)
    return registry


@pytest.fixture(scope="module")
def baseline(registry: Registry) -> list[list[Item]]:
    """What the tables hold before the first test."""
    return registry.snapshot()

"""One DynamoDB Local per worker, and the functions over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.client import connect_endpoint
from tests.support.clients import connect_functions
from tests.support.engine import endpoint
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.wire import Wire

__all__ = ["endpoint"]


@pytest.fixture(scope="session", params=["direct", "boto3"])
def transport(request: pytest.FixtureRequest) -> str:
    """How the functions' client reaches the database."""
    name: str = request.param
    return name


@pytest.fixture
def rounds(transport: str) -> range:
    """How often a race is run: DynamoDB decides it, so a quarter as often over what is not the default transport."""
    return range(100 if transport == "direct" else 25)


@pytest.fixture(scope="session")
def stored(endpoint: str) -> Stored:
    """The tables, seen through a client of the tests' own, which waits longer than the functions' client."""
    return Stored.create(connect_endpoint(endpoint))


@pytest.fixture
def empty(stored: Stored) -> Stored:
    """The tables with nothing in them but the directory."""
    stored.clear(DEVICES, SUBSCRIBERS, PLACES)
    return stored


@pytest.fixture(scope="session")
def client(endpoint: str, transport: str) -> Any:
    """A client made as the functions make theirs."""
    return connect_functions(endpoint, transport)


@pytest.fixture(scope="session")
def _wire(client: Any, transport: str) -> Wire:
    return Wire(client, transport)


@pytest.fixture
def wire(_wire: Wire) -> Iterator[Wire]:
    """What the client sends, counted and open to interference."""
    _wire.clear()
    yield _wire
    _wire.clear()


@pytest.fixture
def gateway(client: Any, wire: Wire) -> Gateway:
    """Functions that know nothing yet, over the client."""
    return Gateway(client)

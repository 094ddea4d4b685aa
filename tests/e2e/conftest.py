"""The `pushreg` command as a child process on free ports, once per engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import run_browser
from tests.support.stack import DYNAMODB_LOCAL, MEMORY, Stack, run_stack

FOLDER = Path(__file__).parent
NEEDS_JAVA = pytest.mark.engine
CHOSEN = os.environ.get("STORE")
ENGINES = [CHOSEN] if CHOSEN else [DYNAMODB_LOCAL, MEMORY]
PARAMETERS = [pytest.param(each, marks=[NEEDS_JAVA] if each == DYNAMODB_LOCAL else []) for each in ENGINES]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another engine chosen by STORE, leave out the tests that need DynamoDB Local."""
    if CHOSEN in (None, DYNAMODB_LOCAL):
        return
    left_out = [item for item in items if FOLDER in item.path.parents and item.get_closest_marker("engine")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", params=PARAMETERS)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine under test; STORE picks one of them."""
    return str(request.param)


@pytest.fixture(scope="session")
def stack(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the demo data, shared by all tests that only add to it."""
    with run_stack(tmp_path_factory.mktemp(engine), engine=engine) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's Chromium."""
    with run_browser() as running:
        yield running

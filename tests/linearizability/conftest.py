"""One engine per worker, and figures that are printed at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pushreg_local.client import connect_endpoint
from tests.linearizability.stack import connect_to, install
from tests.support.engine import endpoint
from tests.support.stored import Stored

__all__ = ["endpoint"]
Report = Callable[[str], None]
# As many as the histories have calls at once.
CLIENTS = 6


@pytest.fixture(scope="session")
def stored(endpoint: str) -> Stored:
    """The tables, seen through a client of the tests' own, which waits longer than the functions' client."""
    return install(connect_endpoint(endpoint))


@pytest.fixture(scope="session")
def client(endpoint: str) -> Iterator[Any]:
    """A client as the functions make theirs."""
    with connect_to(endpoint) as client:
        yield client


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Notes a figure that the run is to print at its end."""
    return lambda line: record_property("figure", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for each in reports
        if isinstance(each, pytest.TestReport) and each.when == "call"
        for name, value in each.user_properties
        if name == "figure"
    ]
    if lines:
        terminalreporter.section("linearizability")
        for line in lines:
            terminalreporter.write_line(line)

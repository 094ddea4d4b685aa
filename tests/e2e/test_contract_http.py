"""Every contract case over HTTP, against the running command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from pushreg_local.client import connect_endpoint
from tests.e2e.conftest import PARAMETERS
from tests.support.contract.cases import Case, load_cases
from tests.support.contract.playing import run_case
from tests.support.stack import Stack, run_stack
from tests.support.stored import Stored

CASES = load_cases()
PLAIN = [case for case in CASES if not case.given.special]
DOCUMENTED = [case for case in PLAIN if case.kind.startswith("documented")]
OTHERS = [case for case in PLAIN if not case.kind.startswith("documented")]


def name(case: Case) -> str:
    return case.id


@pytest.fixture(scope="session")
def stored(stack: Stack) -> Stored:
    return Stored(connect_endpoint(stack.endpoint))


@pytest.fixture(scope="module")
def cut_off_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose store went away once all was ready."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address, port = server.get_host_and_port()
    try:
        folder = tmp_path_factory.mktemp("cut-off")
        with run_stack(folder, engine=f"http://{address}:{port}") as running:
            server.stop()
            yield running
    finally:
        server.stop()


@pytest.mark.parametrize("case", DOCUMENTED, ids=name)
def test_contract_documented_case_over_http_is_answered_as_documented(case: Case, stack: Stack, stored: Stored) -> None:
    run_case(case, stack.send, stored)


# On one engine: over moto's tables all cases run in process.
@pytest.mark.parametrize("engine", PARAMETERS[:1], indirect=True, scope="session")
@pytest.mark.parametrize("case", OTHERS, ids=name)
def test_contract_case_over_http_is_answered_as_documented(case: Case, stack: Stack, stored: Stored) -> None:
    run_case(case, stack.send, stored)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.outage], ids=name)
def test_contract_case_over_http_without_store_is_answered_as_documented(case: Case, cut_off_stack: Stack) -> None:
    run_case(case, cut_off_stack.send, None)

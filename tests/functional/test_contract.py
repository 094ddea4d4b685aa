"""Every contract case against the real handlers in process, over moto."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.support.calls import Answer
from tests.support.clients import overtake_writes
from tests.support.contract.cases import Case, load_cases
from tests.support.contract.playing import run_case
from tests.support.gateway import Gateway
from tests.support.stored import Stored

CASES = load_cases()
PLAIN = [case for case in CASES if not case.given.special]
MAX_SECONDS = 0.1


def name(case: Case) -> str:
    return case.id


@pytest.fixture(scope="module")
def gateway(stored: Stored) -> Gateway:
    return Gateway(stored.client)


@pytest.fixture(scope="module")
def encoding_gateway(stored: Stored) -> Gateway:
    return Gateway(stored.client, encode=True)


@pytest.fixture
def cut_off_gateway() -> Iterator[Gateway]:
    """Functions whose store is at an address where nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield Gateway(None, {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"})


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind != "bad_input"], ids=name)
def test_contract_case_in_process_is_answered_as_documented(case: Case, gateway: Gateway, stored: Stored) -> None:
    run_case(case, gateway.send, stored)


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind == "bad_input"], ids=name)
def test_contract_bad_input_is_answered_within_cpu_limit(case: Case, gateway: Gateway, stored: Stored) -> None:
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        started = time.thread_time()
        answer = gateway.send(method, path, headers, body)
        # CPU time: a busy machine is slow, not wrong.
        assert time.thread_time() - started < MAX_SECONDS
        return answer

    run_case(case, send, stored)


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind.startswith("documented")], ids=name)
def test_contract_case_with_base64_body_is_answered_as_documented(
    case: Case, encoding_gateway: Gateway, stored: Stored
) -> None:
    run_case(case, encoding_gateway.send, stored)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.environment], ids=name)
def test_contract_case_with_other_settings_is_answered_as_documented(case: Case, stored: Stored) -> None:
    run_case(case, Gateway(stored.client, case.given.environment).send, stored)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.contention], ids=name)
def test_contract_case_under_contention_is_answered_as_documented(case: Case, stored: Stored) -> None:
    run_case(case, Gateway(overtake_writes(stored.client)).send, stored)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.outage], ids=name)
def test_contract_case_without_store_is_answered_as_documented(case: Case, cut_off_gateway: Gateway) -> None:
    run_case(case, cut_off_gateway.send, None)

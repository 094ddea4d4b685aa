"""Every contract case against the real handlers, in process, over moto's tables."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping

import boto3
import pytest
from moto import mock_aws

from tests.support.contract.cases import ROOT, Case, load_cases, load_given
from tests.support.contract.in_process import Gateway, create_tables
from tests.support.contract.playing import Answer, run_case
from tests.support.contract.tables import Tables

CASES = load_cases()
PLAIN = [case for case in CASES if not case.given.special]
MAX_SECONDS = 0.1


def name(case: Case) -> str:
    return case.id


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with mock_aws():
        tables = create_tables(boto3.client("dynamodb"))
        tables.install(load_given(ROOT / "demo.yaml"))
        yield tables


@pytest.fixture(scope="module")
def gateway(tables: Tables) -> Gateway:
    return Gateway(tables.client)


@pytest.fixture(scope="module")
def encoding_gateway(tables: Tables) -> Gateway:
    return Gateway(tables.client, encode=True)


@pytest.fixture
def cut_off_gateway(tables: Tables) -> Iterator[Gateway]:
    """Functions whose store is at an address where nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield Gateway(None, {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"})


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind != "bad_input"], ids=name)
def test_contract_case_in_process_is_answered_as_documented(case: Case, gateway: Gateway, tables: Tables) -> None:
    run_case(case, gateway.send, tables)


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind == "bad_input"], ids=name)
def test_contract_bad_input_is_answered_within_cpu_limit(case: Case, gateway: Gateway, tables: Tables) -> None:
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        started = time.thread_time()
        answer = gateway.send(method, path, headers, body)
        # CPU time: a busy machine is slow, not wrong.
        assert time.thread_time() - started < MAX_SECONDS
        return answer

    run_case(case, send, tables)


@pytest.mark.parametrize("case", [case for case in PLAIN if case.kind.startswith("documented")], ids=name)
def test_contract_case_with_base64_body_is_answered_as_documented(
    case: Case, encoding_gateway: Gateway, tables: Tables
) -> None:
    run_case(case, encoding_gateway.send, tables)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.environment], ids=name)
def test_contract_case_with_other_settings_is_answered_as_documented(case: Case, tables: Tables) -> None:
    run_case(case, Gateway(tables.client, case.given.environment).send, tables)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.outage], ids=name)
def test_contract_case_without_store_is_answered_as_documented(case: Case, cut_off_gateway: Gateway) -> None:
    run_case(case, cut_off_gateway.send, None)

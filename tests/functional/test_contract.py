"""Every contract case against the real handlers, in process, over moto's tables."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.contract.cases import ROOT, Case, load_cases, load_given
from tests.contract.in_process import Gateway, create_tables
from tests.contract.playing import run_case
from tests.contract.tables import Tables

CASES = load_cases()
DEMO = ROOT / "demo.yaml"


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with mock_aws():
        tables = create_tables(boto3.client("dynamodb"))
        tables.install(load_given(DEMO))
        yield tables


@pytest.fixture(scope="module")
def gateway(tables: Tables) -> Gateway:
    return Gateway(tables.client)


@pytest.fixture
def gateway_without_store(tables: Tables) -> Gateway:
    """Functions whose store's address nobody answers at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Gateway(None, {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{port}"})


@pytest.mark.parametrize("case", [case for case in CASES if not case.given.special], ids=lambda case: case.id)
def test_case_goes_as_documented(case: Case, gateway: Gateway, tables: Tables) -> None:
    run_case(case, gateway.send, tables)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.environment], ids=lambda case: case.id)
def test_case_under_other_settings_goes_as_documented(case: Case, tables: Tables) -> None:
    run_case(case, Gateway(tables.client, case.given.environment).send, tables)


@pytest.mark.parametrize("case", [case for case in CASES if case.given.outage], ids=lambda case: case.id)
def test_case_during_an_outage_goes_as_documented(case: Case, gateway_without_store: Gateway, tables: Tables) -> None:
    run_case(case, gateway_without_store.send, tables)

"""Playing the cases and keeping what was said, the same at every recording."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import boto3
from moto import mock_aws

from pushreg_local.intrinsics import REGION
from pushreg_local.routing import Router
from pushreg_local.template import Route
from tests.support.contract.cases import ROOT, Case, Given, StoredItem, load_cases, load_given
from tests.support.contract.in_process import Gateway, create_tables
from tests.support.contract.matching import Bindings
from tests.support.contract.playing import Answer, run_case
from tests.support.contract.tables import KEYS, Tables
from tools.openapi.exchanges import Exchange

NAMES = {"unique": "0123456789abcdef", "uuid": "7f3c1f0e-5b0a-4c0e-9d3a-2f6b8e1d4c5a"}
# What chance or the clock decides becomes a constant.
KSIDS = (b"8285657837679045502", b"9073640394665981874", b"4927718950329103027")
REQUEST_ID = "0c1d2e3f405162738495a6b7c8d9eafb"
TIMESTAMP = b"2026-02-01T10:11:12Z"
_KSID = re.compile(rb"(?<![0-9A-Za-z])[1-9][0-9]{18}(?![0-9A-Za-z])")
_MADE_UP_ID = re.compile(rb'(?<="request_id":")[0-9a-f]{32}(?=")')
_TIMESTAMP = re.compile(rb'(?<="timestamp":")[^"]+')


class Recorder:
    """Passes requests on and keeps those that a route takes, with their answers."""

    def __init__(self, case: Case, gateway: Gateway, router: Router) -> None:
        self._case = case
        self._gateway = gateway
        self._router = router
        self.exchanges: list[Exchange] = []

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Answer as the gateway does."""
        answer = self._gateway.send(method, path, headers, body)
        match = self._router.match(method, unquote(path.partition("?")[0]))
        if match is not None:
            route, parameters = match
            given = self._case.given
            self.exchanges.append(
                Exchange(
                    self._case.id,
                    given == Given(),
                    given.environment,
                    route.path,
                    method,
                    parameters,
                    headers,
                    body,
                    *answer,
                )
            )
        return answer


class _Unchecked(Tables):
    """Takes what is stored on trust; looking is what takes the time."""

    def snapshot(self, table: str) -> list[dict[str, Any]]:
        return []

    def check(self, wanted: StoredItem, bindings: Bindings) -> Iterator[str]:
        return iter(())

    def trim(self, table: str, before: list[dict[str, Any]]) -> None:
        pass


def record(routes: Iterable[Route]) -> list[Exchange]:
    """Play every case and return the exchanges; AssertionError if an answer is not the case's."""
    router = Router(routes)
    exchanges: list[Exchange] = []
    with mock_aws(), socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        outage = {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        tables = create_tables(boto3.client("dynamodb", region_name=REGION))
        tables.install(load_given(ROOT / "demo.yaml"))
        demo = set(_list_directory(tables))
        usual = Gateway(tables.client)
        unchecked = _Unchecked(tables.client, tables.names)
        for case in load_cases():
            if case.given.outage:
                gateway = Gateway(None, outage)
            else:
                # Functions remember what the directory said, so what a case adds to it needs functions of its own.
                gateway = usual if case.given == Given() else Gateway(tables.client, case.given.environment)
            recorder = Recorder(case, gateway, router)
            run_case(case, recorder.send, unchecked, NAMES)
            exchanges += _settle(recorder.exchanges)
            if any(each.status < 300 for each in recorder.exchanges):
                _drop_rows(tables, case.table)
            if case.given != Given():
                _drop_records(tables, set(_list_directory(tables)) - demo)
    return exchanges


def _settle(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Yield the exchanges of one case with its chance values replaced, equal ones by equal ones."""
    found = dict.fromkeys(ksid for each in exchanges for ksid in _KSID.findall(each.answer))
    ksids = dict(zip(found, KSIDS, strict=False))

    def settle(body: bytes) -> bytes:
        return _KSID.sub(lambda ksid: ksids.get(ksid[0], ksid[0]), body)

    for each in exchanges:
        answer = _TIMESTAMP.sub(TIMESTAMP, settle(each.answer))
        headers: dict[str, Any] = dict(each.answer_headers)
        if "x-request-id" not in {name.lower() for name in each.headers}:
            answer = _MADE_UP_ID.sub(REQUEST_ID.encode(), answer)
            if "x-request-id" in headers:
                headers["x-request-id"] = REQUEST_ID
        request = None if each.request is None else settle(each.request)
        yield replace(each, request=request, answer=answer, answer_headers=headers)


def _list_directory(tables: Tables) -> Iterator[str]:
    for page in tables.client.get_paginator("scan").paginate(TableName=tables.names["directory"]):
        yield from (item["record"]["S"] for item in page["Items"])


def _drop_records(tables: Tables, records: Iterable[str]) -> None:
    for record in records:
        tables.client.delete_item(TableName=tables.names["directory"], Key={"record": {"S": record}})


def _drop_rows(tables: Tables, table: str) -> None:
    for item in tables.snapshot(table):
        key = {name: item[name] for name in KEYS[table]}
        tables.client.delete_item(TableName=tables.names[table], Key=key)

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

from pushreg_ops.openapi.exchanges import Exchange
from pushreg_ops.routing import Router
from pushreg_ops.template import Route
from tests.contract.cases import ROOT, Case, Given, load_cases, load_given
from tests.contract.in_process import Gateway, create_tables
from tests.contract.playing import Answer, run_case
from tests.contract.tables import Tables

NAMES = {"unique": "demo", "uuid": "7f3c1f0e-5b0a-4c0e-9d3a-2f6b8e1d4c5a"}
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
            usual = self._case.given == Given()
            self.exchanges.append(
                Exchange(self._case.id, usual, route.path, method, parameters, headers, body, *answer)
            )
        return answer


def record(routes: Iterable[Route]) -> list[Exchange]:
    """Play every case over fresh tables; return their exchanges, AssertionError if one does not go as it says."""
    router = Router(routes)
    demo = load_given(ROOT / "demo.yaml")
    exchanges: list[Exchange] = []
    with mock_aws(), socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        outage = {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        tables = create_tables(boto3.client("dynamodb"))
        tables.install(demo)
        for case in load_cases():
            # A gateway of its own, since the functions remember what the directory said.
            gateway = Gateway(None, outage) if case.given.outage else Gateway(tables.client, case.given.environment)
            recorder = Recorder(case, gateway, router)
            run_case(case, recorder.send, tables, NAMES)
            exchanges += _settle(recorder.exchanges)
            if case.given != Given():
                _empty_directory(tables)
                tables.install(demo)
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


def _empty_directory(tables: Tables) -> None:
    name = tables.names["directory"]
    for page in tables.client.get_paginator("scan").paginate(TableName=name):
        for item in page["Items"]:
            tables.client.delete_item(TableName=name, Key={"record": item["record"]})

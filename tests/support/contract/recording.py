"""Plays the contract cases and records each request to a route with its answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import boto3
from moto import mock_aws

from pushreg.codecs import xml
from pushreg_local.intrinsics import REGION
from pushreg_local.routing import Router
from pushreg_local.template import Route
from tests.support.contract.cases import ROOT, Case, Given, StoredItem, load_cases, load_given
from tests.support.contract.in_process import Gateway, create_tables
from tests.support.contract.matching import Bindings
from tests.support.contract.playing import Answer, run_case
from tests.support.contract.tables import KEYS, Tables

NAMES = {"unique": "0123456789abcdef", "uuid": "7f3c1f0e-5b0a-4c0e-9d3a-2f6b8e1d4c5a"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to a route and its answer, under the id of its case; `settings` are the functions' special ones."""

    case: str
    settings: Mapping[str, str]
    route: str
    method: str
    headers: Mapping[str, str]
    request: bytes | None
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    @property
    def request_type(self) -> str:
        """The request's media type in lower case, without parameters."""
        return _read_type(self.headers)

    @property
    def answer_type(self) -> str:
        """The answer's media type in lower case, without parameters."""
        return _read_type(self.answer_headers)


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
            environment = self._case.given.environment
            self.exchanges.append(Exchange(self._case.id, environment, match[0].path, method, headers, body, *answer))
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
            exchanges += recorder.exchanges
            if any(each.status < 300 for each in recorder.exchanges):
                _drop_rows(tables, case.table)
            if case.given != Given():
                _drop_records(tables, set(_list_directory(tables)) - demo)
    return exchanges


def decode(media_type: str, body: bytes) -> Any:
    """Return the data in a body."""
    return xml.decode(body) if "xml" in media_type else json.loads(body)


def _read_type(headers: Mapping[str, str]) -> str:
    value = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return value.partition(";")[0].strip().lower()


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

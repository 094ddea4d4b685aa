"""Plays the contract cases and records each request to a route with its answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pushreg.codecs import xml
from pushreg.schema import DIRECTORY
from pushreg_local.routing import Router
from pushreg_local.template import Route
from tests.support.calls import Answer
from tests.support.clients import overtake_writes
from tests.support.contract.cases import Case, Given, load_cases
from tests.support.contract.playing import run_case
from tests.support.gateway import Gateway
from tests.support.stored import Stored

# The ids of the examples in docs/openapi.yaml.
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


def record(stored: Stored, routes: Iterable[Route]) -> list[Exchange]:
    """Play every case and return the exchanges; AssertionError if an answer is not the case's."""
    router = Router(routes)
    exchanges: list[Exchange] = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        outage = {"DYNAMODB_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        demo = stored.items(DIRECTORY)
        usual = Gateway(stored.client)
        for case in load_cases():
            if case.given.outage:
                gateway = Gateway(None, outage)
            elif case.given.contention:
                gateway = Gateway(overtake_writes(stored.client))
            else:
                # Functions cache the directory, so a case that adds to it needs functions of its own.
                gateway = usual if case.given == Given() else Gateway(stored.client, case.given.environment)
            recorder = Recorder(case, gateway, router)
            # What is stored is checked by test_contract.py; here it would take most of the time.
            run_case(case, recorder.send, stored, NAMES, checks_stored=False)
            exchanges += recorder.exchanges
            if case.given != Given():
                stored.clear(DIRECTORY)
                for item in demo:
                    stored.put(DIRECTORY, item)
    return exchanges


def decode(media_type: str, body: bytes) -> Any:
    """Return the data in a body."""
    return xml.decode(body) if "xml" in media_type else json.loads(body)


def _read_type(headers: Mapping[str, str]) -> str:
    value = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return value.partition(";")[0].strip().lower()

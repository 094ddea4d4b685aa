"""Plays a case: adds its directory entries, sends its requests, compares answers and stored items."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from pushreg.schema import Item
from tests.support.calls import Answer, Send
from tests.support.contract.cases import Case, Expectation, Step
from tests.support.contract.filling import build_body, fill
from tests.support.contract.matching import MISSING, Bindings, differences
from tests.support.contract.tables import TABLES, check, install
from tests.support.sizes import is_bounded
from tests.support.stored import Stored

# What API Gateway says itself, where no route matches.
GATEWAY_404 = b'{"message":"Not Found"}'


def run_case(
    case: Case, send: Send, stored: Stored | None, names: Bindings | None = None, checks_stored: bool = True
) -> None:
    """Play the case with fresh ids, or with the given ones, and empty its family's tables afterwards.

    AssertionError lists every difference of the first step that has one. Without `stored` nothing is installed or
    checked in the tables: for a store that does not answer.
    """
    fresh = {"unique": secrets.token_hex(8), "uuid": str(uuid.uuid4())}
    bindings: Bindings = {**case.variables, **(names or fresh)}
    if stored is not None:
        install(stored, case.given.model_copy(update=fill(case.given.model_dump(), bindings)))
    try:
        for number, step in enumerate(case.steps, 1):
            problems = list(_play(step, case.tables, send, stored if checks_stored else None, bindings))
            assert not problems, "\n  ".join([f"{case.id} ({case.source}), step {number}:", *problems])
    finally:
        if stored is not None:
            stored.clear(*(TABLES[table] for table in case.tables))


def _play(step: Step, tables: Iterable[str], send: Send, stored: Stored | None, bindings: Bindings) -> Iterator[str]:
    before = _snapshot(stored, tables) if stored and step.stored == "unchanged" else None
    request = step.request
    headers = {
        fill(name, bindings): text
        for name, value in request.headers.items()
        if (text := fill(value, bindings)) is not None
    }
    body = build_body(request.data, request.text, request.parts, bindings)
    method, path = fill(request.method, bindings), fill(request.path, bindings)
    answer = send(method, path, headers, body)
    problems = list(_compare(step.expect, answer, bindings))
    if not is_bounded(answer[0], method, path, headers, len(body or b""), len(answer[2])):
        problems.append(f"the answer has {len(answer[2])} bytes, too many for the request")
    lowered = {name.lower(): value for name, value in answer[1].items()}
    if lowered.get("cache-control") != "private, no-store" and answer[2] != GATEWAY_404:
        problems.append("a cache may keep the answer")
    yield from problems
    if problems:
        yield f"the answer to {method} {path[:200]} was {answer[0]} {answer[2][:1000]!r}"
    if stored is None:
        return
    if step.stored == "unchanged":
        if _snapshot(stored, tables) != before:
            yield "what is stored changed"
    else:
        for wanted in step.stored:
            yield from check(stored, wanted, bindings)


def _snapshot(stored: Stored, tables: Iterable[str]) -> list[list[Item]]:
    return [stored.snapshot(TABLES[table]) for table in tables]


def _compare(expect: Expectation, answer: Answer, bindings: Bindings) -> Iterator[str]:
    status, headers, body = answer
    yield from differences(expect.status, status, bindings, "status")
    lowered = {name.lower(): value for name, value in headers.items()}
    for name, value in expect.headers.items():
        yield from differences(fill(value, bindings), lowered.get(name, MISSING), bindings, name)
    if expect.data is not None:
        yield from differences(fill(expect.data, bindings), _parse(json.loads, body), bindings, "json")
    if expect.xml is not None:
        yield from differences(fill(expect.xml, bindings), _parse(_parse_xml, body), bindings, "xml")
    if expect.empty and body:
        yield f"body: wanted none, got {body[:200]!r}"


def _parse(parser: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parser(body)
    except (ValueError, ElementTree.ParseError) as error:
        return f"{error}: {body[:200]!r}"


def _parse_xml(body: bytes) -> Any:
    root = ElementTree.fromstring(body)
    return {root.tag: {child.tag: child.text for child in root}}

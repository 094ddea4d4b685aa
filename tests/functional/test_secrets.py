"""Secrets and push tokens are stored only in the columns meant for them, and never logged."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ConnectionClosedError

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, TABLE_KEYS, digest
from tests.support.callers import Breaking
from tests.support.calls import Answer
from tests.support.contract.cases import load_cases
from tests.support.contract.playing import run_case
from tests.support.gateway import Gateway, read_template
from tests.support.issuers import kazoo_signer, list_bad_tokens, places_signer
from tests.support.stored import Stored
from tests.support.tenants import ACCOUNT, Attempt, Target, build, install, push_token, right_attempts, secret

# The columns that hold push tokens, all within reach of their own tenant alone.
TOKEN_COLUMNS = {(DEVICES, "document"), (SUBSCRIBERS, "sid"), (PLACES, "device_token")}
# Shorter ones, as some cases have, turn up in any text.
SHORTEST = 8
_MEMBER = re.compile(
    r"<(authToken|sid|deviceId)>([^<]*)</\1>|\"(auth_token|authToken|sid|device_token|deviceId)\"\s*:\s*\"([^\"]*)\""
)


@dataclass
class Findings:
    """All that came in as a secret or a push token, and all that was left behind."""

    secrets: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    device_ids: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    items: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def note(self, headers: Mapping[str, str], body: bytes | None) -> None:
        """Take what a request presents."""
        for name, value in headers.items():
            if name.lower() in ("x-auth-token", "x-device-authtoken", "authorization"):
                self.secrets.add(value.removeprefix("Bearer ").strip())
        text = (body or b"").decode("utf-8", "replace")
        for match in _MEMBER.finditer(text):
            name, value = match[1] or match[3], match[2] or match[4] or ""
            kind = self.secrets if "auth" in name else self.device_ids if name == "deviceId" else self.tokens
            kind.add(value)
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            self.tokens |= set(json.loads(text)["data"]["notification_registration_ids"])

    def logged(self) -> list[str]:
        """Return the log lines that hold a secret, its digest or a push token."""
        everything = "\n".join(self.lines)
        values = _recognisable(self.secrets | self.tokens)
        spellings = {each for value in values for each in (*_spell(value), digest(value))}
        found = {each for each in spellings if each in everything}
        return [line for line in self.lines if any(each in line for each in found)]

    def misplaced(self) -> list[str]:
        """Return the columns that hold a secret at all, or a push token without being meant to."""
        columns: dict[tuple[str, str], str] = {}
        for table, item in self.items:
            for column, attribute in item.items():
                text = json.dumps(attribute, ensure_ascii=False, default=sorted)
                columns[table, column] = f"{columns.get((table, column), '')}\n{text}"
        found = set()
        # In some cases of the contract the one is sent in the place of the other.
        tokens = self.tokens - self.device_ids
        for (table, column), text in columns.items():
            secrets = self.secrets - self.tokens
            if any(each in text for value in _recognisable(secrets) for each in _spell(value)):
                found.add(f"secret in {table}.{column}")
            meant = (table, column) in TOKEN_COLUMNS
            if not meant and any(each in text for value in _recognisable(tokens) for each in _spell(value)):
                found.add(f"push token in {table}.{column}")
        return sorted(found)


def _recognisable(values: set[str]) -> list[str]:
    return sorted(value for value in values if len(value) >= SHORTEST)


@cache
def _spell(value: str) -> frozenset[str]:
    """Return the ways in which the value may have been written."""
    raw = value.encode("utf-8", "surrogatepass")
    once = json.dumps(value)[1:-1]
    encoded = base64.b64encode(raw).decode().rstrip("=")
    return frozenset({value, once, json.dumps(once)[1:-1], encoded, raw.hex(), quote(raw)})


@dataclass(frozen=True)
class KeepingStored(Stored):
    """Tables whose items are noted before they are deleted."""

    findings: Findings = field(default_factory=Findings)

    def clear(self, *tables: str) -> None:
        """Note all items of the tables and delete them."""
        self.findings.items += [(table, item) for table in tables for item in self.items(table)]
        super().clear(*tables)


@pytest.fixture
def findings(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Findings]:
    """What the test collects, with all that libraries log at the level that Lambda writes, and what is printed."""
    collected = Findings()
    with caplog.at_level(logging.INFO):
        yield collected


def _close(findings: Findings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    findings.lines += caplog.text.splitlines()
    out, err = capfd.readouterr()
    findings.lines += [*out.splitlines(), *err.splitlines()]


def _drive(gateway: Gateway, findings: Findings) -> set[int]:
    """Send what a registry meets in a day, with secrets and tokens that no other text looks like."""
    statuses = set()

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        findings.note(headers, body)
        answer = gateway.send(method, path, headers, body)
        statuses.add(answer[0])
        return answer

    routes = read_template().routes
    epoch = int(time.time())
    kazoo, places = kazoo_signer(epoch, ACCOUNT), places_signer(epoch, "Courier")
    tokens = [
        kazoo.sign(),
        places.sign(),
        *list_bad_tokens(kazoo, epoch).values(),
        *list_bad_tokens(places, epoch).values(),
    ]
    findings.secrets |= {part for token in tokens for part in token.split(".")[1:]}
    for path in (
        "/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}",
        "/dts/places/{place_id}/subscriptions",
    ):
        for token in tokens:
            for headers in ({"x-auth-token": token}, {"authorization": f"Bearer {token}"}):
                send("PUT", *build(path, Attempt(headers), Target()))
    for function, method, attempt in right_attempts():
        for route in (each for each in routes if each.function == function):
            unknown = Attempt(
                {"x-auth-token": secret("unknown"), "authorization": f"Bearer {secret('unknown bearer')}"},
                f"auth_token={secret('in the query')}",
                {"authToken": secret("unknown in the body"), "auth_token": secret("unknown in the body")},
            )
            first, second = Target(token=push_token(f"{route.path} 1")), Target(token=push_token(f"{route.path} 2"))
            for target in (first, first, second):
                for verb in (method, "POST", "GET", "PATCH"):
                    for presented in (attempt, unknown, Attempt()):
                        send(verb, *build(route.path, presented, target))
            path, headers, body = build(route.path, attempt, first)
            for bad in (body[:-3], body.replace(b'"', b"'"), body + b"\xff", body * 400, b"<a>" + body + b"</a>"):
                send(method, path, headers, bad)
                send(method, path, {**headers, "content-type": "text/xml"}, bad)
            for header in ("if-match", "if-none-match", "accept", "x-request-id", "x-auth-account-id"):
                send(method, path, {**headers, header: push_token("in a header")}, body)
            send("DELETE", path, headers, body)
            send(method, path, headers, body)
    findings.tokens.add(push_token("in a header"))
    return statuses


def test_secrets_of_traffic_are_stored_only_in_their_columns(
    empty: Stored, findings: Findings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    install(empty.client)
    statuses = _drive(Gateway(empty.client, emit=findings.lines.append), findings)
    for table in TABLE_KEYS:
        findings.items += [(table, item) for item in empty.items(table)]
    _close(findings, caplog, capfd)
    assert {200, 201, 400, 401, 405, 413} <= statuses
    assert {table for table, _ in findings.items} == {DEVICES, SUBSCRIBERS, PLACES, DIRECTORY}
    assert len(findings.lines) > 100
    assert findings.logged() == []
    assert findings.misplaced() == []


@pytest.mark.parametrize("error", [ConnectionClosedError, RuntimeError, KeyError], ids=lambda error: error.__name__)
def test_log_line_of_failure_does_not_quote_request(
    error: type[Exception],
    findings: Findings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    statuses = _drive(Gateway(Breaking(error), emit=findings.lines.append), findings)
    _close(findings, caplog, capfd)
    assert statuses & {500, 503}
    assert any('"Faults":1' in line for line in findings.lines)
    assert findings.logged() == []


@pytest.mark.slow
def test_secrets_of_contract_cases_are_stored_only_in_their_columns(
    empty: Stored, findings: Findings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    stored = KeepingStored(empty.client, findings)
    gateway = Gateway(stored.client, emit=findings.lines.append)

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        findings.note(headers, body)
        return gateway.send(method, path, headers, body)

    for case in load_cases():
        if not case.given.special:
            findings.secrets |= {key["value"] for key in case.given.keys if "{" not in key["value"]}
            run_case(case, send, stored)
    findings.items += [(DIRECTORY, item) for item in stored.items(DIRECTORY)]
    _close(findings, caplog, capfd)
    assert len(findings.items) > 100
    assert len(_recognisable(findings.secrets)) > 5
    assert len(_recognisable(findings.tokens)) > 20
    assert findings.logged() == []
    assert findings.misplaced() == []


def test_findings_report_misplaced_secrets() -> None:
    findings = Findings({secret("a")}, {push_token("a")})
    findings.items = [
        (PLACES, {"device_token": push_token("a")}),
        (SUBSCRIBERS, {"record": f"sid#{push_token('a')}", "sid": secret("a")}),
        (DEVICES, {"document": base64.b64encode(secret("a").encode()).decode()}),
        (DIRECTORY, {"record": digest(secret("a"))}),
    ]
    findings.lines = ["nothing", f"a line with {push_token('a')}", secret("a").encode().hex(), digest(secret("a"))]
    assert findings.misplaced() == [
        "push token in SubscribersTable.record",
        "secret in DevicesTable.document",
        "secret in SubscribersTable.sid",
    ]
    assert findings.logged() == findings.lines[1:]

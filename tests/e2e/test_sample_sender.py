"""docs/samples/sender against the local stack and both providers: afterwards exactly the dead tokens are gone."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pushreg_local.demo import SENDER_KEY
from pushreg_local.template import find_template
from tests.support.calls import Answer, Engagement, Senders, answered
from tests.support.push_providers import Providers, Verdict
from tests.support.serving import serve
from tests.support.stack import PATIENCE, Stack

FOLDER = find_template(Path(__file__)).parent / "docs" / "samples" / "sender"
MESSAGES = 1000
THREADS = 8
UNREGISTERED = {"error": {"code": 404, "status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample() -> Iterator[ModuleType]:
    """The sample's module, which is no part of any package."""
    spec = importlib.util.spec_from_file_location("sample_sender", FOLDER / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def write_key(key: Any) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())


def write_secrets(token_uri: str) -> dict[str, Any]:
    return {
        "pushreg": SENDER_KEY,
        "fcm": {
            "project_id": "demo",
            "client_email": "sender@example.com",
            "private_key": write_key(rsa.generate_private_key(65537, 2048)),
            "token_uri": token_uri,
        },
        "apns": {
            "key": write_key(ec.generate_private_key(ec.SECP256R1())),
            "key_id": "KEY",
            "team_id": "TEAM",
            "topic": "com.example.app",
        },
    }


class Api:
    """The local stack, called by its address from several threads."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE)

    def send(self, method: str, path: str, headers: Any, body: bytes | None) -> tuple[int, Any, bytes]:
        """Send a request, again while the stack is busy."""
        answer = self._client.request(method, path, headers=headers, content=body)
        while answer.status_code == 503:
            answer = self._client.request(method, path, headers=headers, content=body)
        return answer.status_code, answer.headers, answer.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@pytest.fixture
def api(stack: Stack) -> Iterator[Api]:
    api = Api(stack.url)
    yield api
    api.close()


@pytest.mark.parametrize("engine", [pytest.param("dynamodb-local", marks=pytest.mark.engine)], indirect=True)
def test_sample_sender_removes_exactly_the_dead(sample: ModuleType, stack: Stack, api: Api) -> None:
    engagement, senders = Engagement(api.send), Senders(api.send)
    numbers = range(MESSAGES)
    run = f"{time.time_ns():x}"
    dead = {f"{run}-{number}" for number in numbers if number % 10 == 3}
    rotated = {f"{run}-{number}" for number in numbers if number % 20 == 7}

    def device(number: int) -> dict[str, str]:
        return {"osType": "iphone" if number % 2 else "androidgcm", "ufid": run}

    def subscribe(number: int, sid: str) -> str:
        reply = engagement.subscribe(f"{run}-device-{number}", sid, **device(number))
        assert reply.status == 200
        return answered(reply)[1]

    with ThreadPoolExecutor(THREADS) as pool:
        ksids = list(pool.map(lambda number: subscribe(number, f"{run}-{number}"), numbers))
    # Verdicts on messages of the second of a registration count as older.
    time.sleep(1.1)

    def decide(token: str, attempt: int) -> Verdict:
        number = int(token.removeprefix(f"{run}-").partition("-")[0])
        if token in rotated:
            subscribe(number, f"{token}-new")
        if token in dead or token in rotated:
            return (410, {"reason": "Unregistered"}, None) if number % 2 else (404, UNREGISTERED, None)
        if number % 25 == 11 and attempt == 1:
            return 429, {"reason": "TooManyRequests", "error": {"status": "RESOURCE_EXHAUSTED"}}, 1
        if number % 25 == 12 and attempt < 3:
            return 503, {"reason": "ServiceUnavailable"}, None
        if number == 500:
            return 500, {"reason": "InternalServerError"}, None
        return 200, {}, None

    waits: list[float] = []
    providers = Providers(decide)
    with providers.run() as (fcm, apns):
        sender = sample.Sender(write_secrets(f"{fcm}/token"), stack.url, fcm, apns, waits.append)
        messages = [
            sample.Message(f"record-{number}", {"ksid": ksid}, "Hello", "It works") for number, ksid in enumerate(ksids)
        ]
        failed = [each for start in range(0, MESSAGES, 100) for each in sender.send(messages[start : start + 100])]
        sender.close()
    assert failed == ["record-500"]
    living = {f"{run}-{number}" for number in numbers} - dead - rotated | {f"{token}-new" for token in rotated}
    assert len(dead) == 100
    assert len(rotated) == 50
    assert sorted(providers.delivered) == sorted(living - {f"{run}-500"})
    assert 1 in waits
    found = set()
    for start in range(0, MESSAGES, 100):
        reply = senders.look_up(*({"ksid": ksid} for ksid in ksids[start : start + 100]))
        found |= {token["sid"] for result in reply.json["results"] for token in result["tokens"]}
    assert found == living


class Sending:
    """A sample sender with providers of its own; `decide` as Providers' own."""

    def __init__(self, sample: ModuleType, pushreg: str, decide: Callable[[str, int], Verdict]) -> None:
        self._sample = sample
        self._pushreg = pushreg
        self.providers = Providers(decide)
        self.waits: list[float] = []

    def handle(self, *bodies: Any, deadline: float = math.inf) -> list[str]:
        """Handle records with these bodies, named by their numbers, and return those to try again."""
        records = [
            {"messageId": str(number), "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
        with self.providers.run() as (fcm, apns):
            sender = self._sample.Sender(write_secrets(f"{fcm}/token"), self._pushreg, fcm, apns, self.waits.append)
            answer = self._sample.handle(sender, {"Records": records}, deadline)
            sender.close()
        return sorted(each["itemIdentifier"] for each in answer["batchItemFailures"])


def accept(token: str, attempt: int) -> Verdict:
    return 200, {}, None


def subscribe_new(api: Api, sid: str = "sid", **members: str) -> tuple[str, str]:
    """Subscribe a new device and return its KSID and its sid, which nobody else has."""
    unique = f"{sid}-{time.time_ns()}"
    reply = Engagement(api.send).subscribe(f"device-{unique}", unique, **members)
    return answered(reply)[1], unique


def to_body(**address: Any) -> dict[str, Any]:
    return {"address": address, "title": "Hello", "body": "It works"}


def test_sample_sender_handler_returns_records_to_try_again(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid, _ = subscribe_new(api)
    sending = Sending(sample, stack.url, lambda token, attempt: (500, {}, None))
    assert sending.handle(to_body(ksid=ksid)) == ["0"]
    assert set(sending.providers.tried.values()) == {4}


@pytest.mark.parametrize("os_type", ["androidgcm", "iphone"])
def test_sample_sender_bad_records_do_not_touch_others(
    os_type: str, sample: ModuleType, api: Api, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    # Path syntax in a token is part of the token.
    ksid, sid = subscribe_new(api, "../../a?b#c%2F é", osType=os_type)
    bad = [
        "no JSON",
        "[]",
        {"address": {"ksid": ksid}, "title": "Hello"},
        {"address": [ksid], "title": "Hello", "body": ""},
        {"address": {"ksid": {"deep": []}}, "title": "Hello", "body": ""},
        '{"address": {"ksid": "1"}, "title": "\\ud800", "body": ""}',
        '{"address": {"ksid": "1"}, "title": "", "body": NaN}',
        to_body(ksid="no KSID"),
        to_body(),
    ]
    sending = Sending(sample, stack.url, accept)
    assert sending.handle(*bad, to_body(ksid=ksid)) == [str(number) for number in range(len(bad))]
    assert sending.providers.delivered == [sid]
    assert "ksid must be a KSID" in capsys.readouterr().out


def test_sample_sender_sends_record_delivered_twice_once(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid, sid = subscribe_new(api)
    providers = Providers(accept)
    with providers.run() as (fcm, apns):
        sender = sample.Sender(write_secrets(f"{fcm}/token"), stack.url, fcm, apns)
        assert sender.send([sample.Message("same", {"ksid": ksid}, "Hello", "") for _ in range(2)]) == []
        sender.close()
    assert providers.delivered == [sid]


def test_sample_sender_after_deadline_calls_no_provider(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid, _ = subscribe_new(api)
    sending = Sending(sample, stack.url, accept)
    assert sending.handle(to_body(ksid=ksid), deadline=time.monotonic()) == ["0"]
    assert not sending.providers.tried


def test_sample_sender_waits_no_longer_than_its_time(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid, _ = subscribe_new(api)
    sending = Sending(sample, stack.url, lambda token, attempt: (429, {}, 25))
    assert sending.handle(to_body(ksid=ksid), deadline=time.monotonic() + 20) == ["0"]
    assert (sending.waits, set(sending.providers.tried.values())) == ([], {1})


@pytest.mark.parametrize(
    ("os_type", "status", "reason"),
    [("iphone", 403, {"reason": "ExpiredProviderToken"}), ("androidgcm", 401, {"error": "unauthorized"})],
)
def test_sample_sender_with_refused_credentials_returns_record(
    os_type: str, status: int, reason: Any, sample: ModuleType, api: Api, stack: Stack
) -> None:
    ksid, sid = subscribe_new(api, osType=os_type)
    sending = Sending(sample, stack.url, lambda token, attempt: (status, reason, None))
    assert sending.handle(to_body(ksid=ksid)) == ["0"]
    assert sending.providers.tried[sid] == 1


def test_sample_sender_whose_token_changes_twice_returns_record(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid, sid = subscribe_new(api, osType="iphone")

    def rotate(token: str, attempt: int) -> Verdict:
        Engagement(api.send).subscribe(f"device-{sid}", f"{token}+", osType="iphone")
        return 410, {"reason": "Unregistered"}, None

    sending = Sending(sample, stack.url, rotate)
    assert sending.handle(to_body(ksid=ksid)) == ["0"]
    assert sending.providers.tried.keys() == {sid, f"{sid}+"}


def test_sample_sender_without_feedback_sends_nothing_again(
    sample: ModuleType, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    ksid, sid = subscribe_new(api, osType="iphone")

    def pass_on(method: str, path: str, headers: Any, body: bytes | None) -> Answer:
        if path.endswith("feedback"):
            return 503, {}, b""
        status, received, content = api.send(method, path, headers, body)
        return status, {"content-type": received["content-type"]}, content

    with serve(pass_on) as pushreg:
        sending = Sending(sample, pushreg, lambda token, attempt: (410, {"reason": "Unregistered"}, None))
        assert sending.handle(to_body(ksid=ksid)) == []
    said = capsys.readouterr().out
    assert ("Unregistered" in said, "failed" in said, sid in said) == (True, True, False)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"error": "x"}', b'{"error": {"details": [1]}}'])
def test_sample_sender_refusal_without_code_is_its_status(body: bytes, sample: ModuleType) -> None:
    for provider in ("fcm", "apns"):
        assert sample.read_code(provider, httpx.Response(403, content=body)) == "403"


def test_sample_sender_reads_retry_after_as_number_or_date(sample: ModuleType) -> None:
    assert sample.read_retry_after("17", 0.5) == 17
    assert (
        28 < sample.read_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True), 0.5) <= 30
    )
    assert sample.read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 0.5) == 0
    assert {sample.read_retry_after(value, 0.5) for value in ("", "soon", "-1", "1.5", "\xb2")} == {0.5}


def test_sample_sender_splits_requests_by_entries_and_bytes(sample: ModuleType) -> None:
    parts = list(sample.split(["x" * 4000] * 20 + ["y"] * 150 + ["z" * 70_000], lambda entry: entry))
    assert [len(part) for part in parts] == [14, 100, 56, 1]

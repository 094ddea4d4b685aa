"""docs/samples/sender against the local stack and both providers: afterwards exactly the dead tokens are gone."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pushreg_local.demo import SENDER_KEY
from pushreg_local.template import find_template
from tests.support.calls import Engagement, Senders, answered
from tests.support.push_providers import Providers, Verdict
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


def test_sample_sender_handler_returns_records_to_try_again(sample: ModuleType, api: Api, stack: Stack) -> None:
    ksid = answered(Engagement(api.send).subscribe(f"sample-{time.time_ns()}", f"sample-{time.time_ns()}"))[1]
    providers = Providers(lambda token, attempt: (500, {}, None))
    with providers.run() as (fcm, apns):
        sender = sample.Sender(write_secrets(f"{fcm}/token"), stack.url, fcm, apns, lambda _: None)
        body = json.dumps({"address": {"ksid": ksid}, "title": "Hello", "body": "It works"})
        answer = sample.handle(sender, {"Records": [{"messageId": "one", "body": body}]})
        sender.close()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "one"}]}
    assert set(providers.tried.values()) == {4}

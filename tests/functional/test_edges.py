"""Behaviour shared by all functions: error formats, body limits, malformed events, unreadable items, logs."""

from __future__ import annotations

import base64
import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pushreg.dynamodb import Client
from pushreg.http import Handler
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_local.demo import ACCOUNT_TOKEN, PLACES_KEY
from tests.support.calls import Engagement, Kazoo, Places
from tests.support.clients import ScriptedClient
from tests.support.gateway import Gateway, read_template
from tests.support.stored import Stored

EVENTS = Path(__file__).parents[2] / "events"


def read_event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
    return event


@dataclass(frozen=True)
class Family:
    """A function, an event that it answers with success, and how it says what went wrong."""

    name: str
    table: str
    event: dict[str, Any]
    status: int
    explain: Callable[[dict[str, Any]], str]
    fault: str
    malformed: str
    too_large: str
    lines: list[str] = field(default_factory=list)

    def handler(self, client: Client) -> Handler:
        (function,) = (each for each in read_template().functions if each.module == f"{self.name}.lambda_entry")
        create = importlib.import_module(function.module).create_handler
        made: Handler = create(function.environment, client, emit=self.lines.append)
        return made

    def call(self, client: Client, **changes: Any) -> tuple[int, str]:
        """Return the status and the explanation of a failed call of the event with some members changed."""
        self.lines.clear()
        answer = self.handler(client)(self.event | changes, None)
        assert isinstance(answer["body"], str)
        return answer["statusCode"], self.explain(json.loads(answer["body"]))


def explain_engagement(body: dict[str, Any]) -> str:
    response = body["subscriptionResponse"]
    assert response["ksid"] == "-1"
    return str(response["message"])


KAZOO = Family(
    "kazoo",
    DEVICES,
    read_event("kazoo_put_created"),
    201,
    lambda body: str(body["message"]),
    "unspecified_fault",
    "validation error",
    "validation error",
)
ENGAGEMENT = Family(
    "engagement",
    SUBSCRIBERS,
    read_event("engagement_post_subscribed_bare"),
    200,
    explain_engagement,
    "Server failed to process the request.",
    "Invalid request format.",
    "Request too large.",
)
PLACE = Family(
    "places",
    PLACES,
    read_event("places_put_registered"),
    200,
    lambda body: str(body["message"]),
    "Unexpected error",
    "device_token is required and must be a non-empty string",
    "The body is larger than 64 KiB",
)
each_family = pytest.mark.parametrize("family", [KAZOO, ENGAGEMENT, PLACE], ids=lambda family: family.name)


@each_family
def test_family_valid_event_succeeds(family: Family, empty: Stored) -> None:
    answer = family.handler(empty.client)(family.event, None)
    assert answer["statusCode"] == family.status
    assert empty.settled(family.table)


@each_family
def test_family_unexpected_error_returns_bare_500(family: Family) -> None:
    client = ScriptedClient(RuntimeError("hush"))
    assert family.call(client.client) == (500, family.fault)
    line, fault = map(json.loads, family.lines)
    assert (line["outcome"], line["error"], line["Faults"]) == ("fault", "RuntimeError", 1)
    assert any("dynamodb.py" in frame for frame in fault["frames"])
    assert "hush" not in json.dumps([line, fault])


@each_family
def test_family_base64_body_succeeds(family: Family, empty: Stored) -> None:
    body = base64.b64encode(family.event["body"].encode()).decode()
    answer = family.handler(empty.client)(family.event | {"body": body, "isBase64Encoded": True}, None)
    assert answer["statusCode"] == family.status
    assert empty.settled(family.table)


@each_family
@pytest.mark.parametrize("body", ["%%%", "YQ", "ä"])
def test_family_invalid_base64_body_returns_400(family: Family, body: str) -> None:
    client = ScriptedClient(AssertionError("nobody asks the database about such a body"))
    assert family.call(client.client, body=body, isBase64Encoded=True) == (400, family.malformed)
    assert client.asked == []


@each_family
@pytest.mark.parametrize("encoded", [False, True])
def test_family_body_over_64_kib_returns_413(family: Family, encoded: bool) -> None:
    client = ScriptedClient(AssertionError("nobody asks the database about such a body"))
    content = b" " * (64 * 1024 + 1)
    body = base64.b64encode(content).decode() if encoded else content.decode()
    assert family.call(client.client, body=body, isBase64Encoded=encoded) == (413, family.too_large)
    assert client.asked == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"body": "<" + " " * (64 * 1024)}, 413),
        ({"body": "%%%", "isBase64Encoded": True}, 400),
        ({"body": "<subscriptionService/>"}, 400),
        ({"body": "\ufeff {}"}, 400),
        ({"body": None}, 400),
    ],
)
def test_engagement_without_content_type_format_comes_from_body(changes: dict[str, Any], status: int) -> None:
    client = ScriptedClient(AssertionError("nobody asks the database about such a body"))
    answer = ENGAGEMENT.handler(client.client)(ENGAGEMENT.event | {"headers": {}} | changes, None)
    assert answer["statusCode"] == status
    as_xml = changes["body"] == "<subscriptionService/>"
    assert answer["headers"]["content-type"].startswith("text/xml" if as_xml else "application/json")
    assert answer["body"].startswith("<" if as_xml else "{")


@each_family
@pytest.mark.parametrize("missing", ["headers", "body", "pathParameters", "rawPath", "isBase64Encoded"])
@pytest.mark.parametrize("value", [None, "left out"])
def test_family_event_with_missing_member_is_answered(
    family: Family, missing: str, value: str | None, empty: Stored
) -> None:
    event = {name: each for name, each in family.event.items() if name != missing}
    if value is None:
        event[missing] = None
    answer = family.handler(empty.client)(event, None)
    assert answer["statusCode"] in (family.status, 400, 401, 404)
    json.loads(answer["body"])


@each_family
def test_family_event_of_other_kind_returns_4xx(family: Family) -> None:
    client = ScriptedClient(AssertionError("nobody asks the database about such an event"))
    answer = family.handler(client.client)({"source": "aws.events", "detail": {}}, None)
    assert 400 <= answer["statusCode"] < 500
    assert client.asked == []


@pytest.mark.parametrize("attribute", ["document", "digest", "writes"])
def test_kazoo_unreadable_subscription_returns_500_without_change(attribute: str, empty: Stored, client: Any) -> None:
    Kazoo(Gateway(client).send).put("desk", "phone")
    item = empty.device("desk")
    assert item is not None
    empty.put(DEVICES, {name: value for name, value in item.items() if name != attribute})
    before = empty.items(DEVICES)
    kazoo = Kazoo(Gateway(client).send)
    for reply in (kazoo.get("desk"), kazoo.post("desk", "phone", "192.0.2.7"), kazoo.delete("desk")):
        assert (reply.status, reply.json["message"]) == (500, "unspecified_fault")
    assert empty.items(DEVICES) == before


def test_engagement_unreadable_subscriber_returns_500(empty: Stored, client: Any) -> None:
    empty.put(SUBSCRIBERS, {"record": "ksid#" + "1" * 19, "ksid": "1" * 19})
    reply = Engagement(Gateway(client).send).unsubscribe(ksid="1" * 19)
    assert (reply.status, explain_engagement(reply.json)) == (500, ENGAGEMENT.fault)


def test_unreadable_credential_returns_500(empty: Stored, client: Any) -> None:
    record = f"credential#{digest('unreadable')}"
    empty.put(DIRECTORY, {"record": record})
    gateway = Gateway(client)
    assert Kazoo(gateway.send, "unreadable").get("desk").status == 500
    assert Places(gateway.send, "unreadable").put("token").json["message"] == "Unexpected error"
    empty.client.delete_item(TableName=DIRECTORY, Key={"record": {"S": record}})
    assert empty.items(PLACES) == []


@pytest.mark.parametrize("device_id", ["my desk", "<desk>", "desk|{1}^`[2]"])
def test_kazoo_put_location_is_valid_uri(device_id: str, client: Any, empty: Stored) -> None:
    send = Gateway(client).send
    location = Kazoo(send).put(device_id, "phone").headers["location"]
    assert urlsplit(location).path == location
    assert re.fullmatch(r"[!-~]+", location)
    assert not set('<>"{}|\\^`[]') & set(location)
    status, _, body = send("GET", location, {"x-auth-token": ACCOUNT_TOKEN}, None)
    assert status == 200
    assert json.loads(body)["data"]["mobile_device_id"] == "phone"


def test_log_lines_contain_no_secret(empty: Stored, client: Any) -> None:
    lines: list[str] = []
    send = Gateway(client, emit=lines.append).send
    kazoo, engagement, places = Kazoo(send), Engagement(send), Places(send)
    secrets = [ACCOUNT_TOKEN, PLACES_KEY, "wrong-secret", "push-token", "auth-token"]
    kazoo.put("desk", "push-token")
    kazoo.put("desk", "push-token")
    kazoo.post("desk", "push-token", "192.0.2.7")
    kazoo.get("desk")
    kazoo.call("PUT", "den", {"mobile_device_id": "push-token"})
    Kazoo(send, "wrong-secret").delete("desk")
    kazoo.delete("desk")
    engagement.subscribe("device", "push-token", authToken="auth-token")
    engagement.subscribe("device", "push-token")
    engagement.subscribe("device", "other-push-token")
    engagement.subscribe("device", "push-token", appId="demo-secure-app", authToken="wrong-secret")
    engagement.subscribe("device", "push-token", osType="push-token")
    engagement.unsubscribe(appId="demo-app", deviceId="device", authToken="auth-token")
    places.put("push-token")
    places.put("push-token")
    places.delete("push-token")
    Places(send, "wrong-secret").put("push-token")
    Places(send, PLACES_KEY, "push-token").put("push-token")
    assert len(lines) == 18
    written = "".join(lines)
    assert [secret for secret in secrets if secret in written or digest(secret) in written] == []

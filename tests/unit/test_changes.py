"""Stream records to events: what is an event, of which kind, and that no token is in it; and what the function does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from feed.app import Feed
from pushreg.dynamodb import to_attributes
from pushreg.schema import (
    DEVICES,
    PLACES,
    SUBSCRIBERS,
    Item,
    device_key,
    digest,
    ksid_key,
    mobile_claim_key,
    place_key,
    sid_claim_key,
)
from pushreg.stores.changes import EXPIRER, read_change

PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"
KSID = "8285657837679045502"
EPOCH = 1_795_305_600
TIMES = {"created_at": "2026-11-22T00:00:00Z", "updated_at": "2026-11-22T00:00:00Z"}


def record(table: str, old: Item | None, new: Item | None, **members: Any) -> dict[str, Any]:
    images = {"OldImage": old, "NewImage": new}
    stream = {name: to_attributes(item) for name, item in images.items() if item is not None}
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/2026"
    dynamodb = {**stream, "ApproximateCreationDateTime": EPOCH, "SequenceNumber": "17"}
    return {"eventSource": "aws:dynamodb", "eventSourceARN": arn, "dynamodb": dynamodb, **members}


def place(token: str = "raw token", **members: Any) -> Item:
    return {**place_key(PLACE, token), "device_token": token, **TIMES, **members}


def subscriber(**members: Any) -> Item:
    item = {
        "ksid": KSID,
        "appId": "demo-app",
        "deviceId": "d",
        "sid": "raw sid",
        "osType": "iphone",
        "ufid": "raw user",
    }
    return {**ksid_key(KSID), **item, "active": True, **TIMES, **members}


def device(*tokens: str, **members: Any) -> Item:
    document = json.dumps({"notification_registration_ids": {token: {} for token in tokens}})
    item = {
        "account_id": ACCOUNT,
        "device_id": "desk",
        "app_name": "app",
        "mobile_device_id": "m",
        "document": document,
    }
    return {**device_key(ACCOUNT, "desk"), **item, "digest": digest(document)[:32], "writes": 1, **TIMES, **members}


def claim(device_id: str) -> Item:
    return {**mobile_claim_key(ACCOUNT, digest("m")), "device_id": device_id}


MARK, OLD_MARK = {"operator_write": "2"}, {"operator_write": "1"}
EXPIRED: dict[str, Any] = {"expires_at": EPOCH}
LATER = {"updated_at": "2026-11-23T00:00:00Z"}


@pytest.mark.parametrize(
    ("table", "old", "new", "expected"),
    [
        (PLACES, None, place(), ("created", "app")),
        (PLACES, place(), None, ("removed", None)),
        (PLACES, place(), place(**LATER, expires_at=1), None),
        (PLACES, place(), place(created_at="2026-11-23T00:00:00Z"), ("created", "app")),
        (SUBSCRIBERS, None, subscriber(), ("created", "app")),
        (SUBSCRIBERS, subscriber(), None, ("removed", "operator")),
        (SUBSCRIBERS, subscriber(), subscriber(**LATER, expires_at=1, userAgent="x"), None),
        (SUBSCRIBERS, subscriber(), subscriber(sid="other"), ("changed", "app")),
        (SUBSCRIBERS, subscriber(), subscriber(deviceId="other"), ("moved", "app")),
        (SUBSCRIBERS, subscriber(), subscriber(deviceId="other", ufid="other"), ("changed", "app")),
        (SUBSCRIBERS, subscriber(), subscriber(active=False), ("removed", "app")),
        (SUBSCRIBERS, subscriber(), subscriber(cloud=False), ("removed", "feedback")),
        (SUBSCRIBERS, subscriber(cloud=False), subscriber(sid="new"), ("created", "app")),
        (SUBSCRIBERS, subscriber(active=False), subscriber(), ("created", "app")),
        (SUBSCRIBERS, subscriber(), subscriber(active=False, sid=""), ("removed", "takeover")),
        (SUBSCRIBERS, subscriber(active=False), subscriber(active=False, sid=""), None),
        (SUBSCRIBERS, subscriber(), subscriber(active=False, **MARK), ("removed", "operator")),
        (SUBSCRIBERS, subscriber(**MARK), subscriber(active=False, **MARK), ("removed", "app")),
        (SUBSCRIBERS, subscriber(active=False, **OLD_MARK), subscriber(**MARK), ("created", "operator")),
        (SUBSCRIBERS, subscriber(), subscriber(cloud=False, **MARK), ("removed", "operator")),
        (SUBSCRIBERS, subscriber(**MARK), subscriber(cloud=False, **MARK), ("removed", "feedback")),
        (PLACES, None, place(**MARK), ("created", "operator")),
        (DEVICES, device("raw one", **OLD_MARK), device("raw two", **LATER, **MARK), ("changed", "operator")),
        (DEVICES, device("raw one", **MARK), device("raw two", **LATER, **MARK), ("changed", "app")),
        (DEVICES, device("raw one", **MARK), device("raw two", **LATER), ("changed", "app")),
        (DEVICES, device("raw one", digest="wrong"), device("raw one"), None),
        (SUBSCRIBERS, subscriber(active=False), None, None),
        (SUBSCRIBERS, None, {**sid_claim_key("demo-app", digest("raw sid")), "ksid": KSID}, None),
        (DEVICES, None, device("raw one"), ("created", "app")),
        (DEVICES, device("raw one"), None, ("removed", None)),
        (DEVICES, device("raw one"), device("raw one", refreshed_at="2026-11-23T00:00:00Z"), None),
        (DEVICES, device("raw one"), device("raw two", **LATER), ("changed", "app")),
        (DEVICES, device("raw one", "raw two"), device("raw one"), ("changed", "feedback")),
        (DEVICES, device("raw one"), device("raw one", app_name="other"), ("changed", "app")),
        (DEVICES, claim("desk"), claim("den"), ("moved", "takeover")),
        (DEVICES, None, claim("desk"), None),
        (DEVICES, claim("desk"), None, None),
        (DEVICES, claim("desk"), claim("desk"), None),
        # Expired, and not deleted yet.
        (DEVICES, device("raw one", **EXPIRED), device("raw one", **LATER), ("created", "app")),
        (DEVICES, device("raw one", **EXPIRED, **MARK), device("raw two", **LATER, **MARK), ("created", "app")),
        (DEVICES, device("raw one", **EXPIRED), device("raw two", **LATER, **MARK), ("created", "operator")),
        (DEVICES, device("raw one", **EXPIRED), None, ("removed", None)),
        (DEVICES, device("raw one", **EXPIRED), device("raw two", **EXPIRED, **MARK), None),
        (DEVICES, {**claim("desk"), **EXPIRED}, claim("den"), None),
        (DEVICES, {**claim("desk"), "expires_at": EPOCH + 1}, claim("den"), ("moved", "takeover")),
        (PLACES, place(**EXPIRED), place(**LATER), ("created", "app")),
    ],
)
def test_change_of_stream_record_is_of_expected_kind(
    table: str, old: Item | None, new: Item | None, expected: tuple[str, str | None] | None
) -> None:
    change = read_change(table, record(table, old, new))
    assert (None if change is None else (change.kind, change.detail["reason"])) == expected
    if change is not None:
        assert "raw" not in json.dumps(change.detail)
        assert (change.detail["version"], change.detail["at"]) == (1, "2026-11-22T00:00:00Z")


def test_change_by_ttl_is_expired() -> None:
    identity = {"type": "Service", "principalId": EXPIRER}
    change = read_change(PLACES, record(PLACES, place(), None, userIdentity=identity))
    assert change is not None
    assert change.detail["reason"] == "expired"
    assert change.detail["token_digests"] == [digest("raw token")]


class FakeBus:
    """EventBridge, refusing events about the keys in `refused`."""

    def __init__(self, *refused: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._refused = refused

    def __call__(self, service: str) -> FakeBus:
        assert service == "events"
        return self

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 Its own name.
        (entry,) = Entries
        if any(each in entry["Detail"] for each in self._refused):
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
        self.events.append(entry)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


ENVIRON = {"DEVICES_TABLE": "d", "SUBSCRIBERS_TABLE": "s", "PLACES_TABLE": "p", "EVENT_BUS": "bus"}


def test_feed_publishes_changes_and_names_records_that_fail() -> None:
    records = []
    for number, (table, old, new) in enumerate(
        [
            ("p", None, place("one")),
            ("p", place(), place(**LATER)),
            ("s", None, subscriber()),
            ("p", None, place("two")),
        ]
    ):
        each = record(table, old, new)
        each["dynamodb"]["SequenceNumber"] = str(number)
        records.append(each)
    bus = FakeBus(digest("two"))
    lines: list[str] = []
    answer = Feed(ENVIRON, bus, lines.append)({"Records": records}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "3"}]}
    assert [json.loads(line) for line in lines] == [
        {
            "service": "feed",
            "level": "ERROR",
            "error": "PublishError",
            "code": "ThrottlingException",
            "stream": records[3]["eventSourceARN"],
            "sequence": "3",
        }
    ]
    assert [event["DetailType"] for event in bus.events] == ["registration.created"] * 2
    assert {(event["Source"], event["EventBusName"]) for event in bus.events} == {("pushreg", "bus")}
    assert json.loads(bus.events[1]["Detail"])["key"] == {"ksid": KSID}


@pytest.mark.parametrize(
    ("refuse", "error", "code"),
    [
        (
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutEvents"),
            "ClientError",
            "AccessDeniedException",
        ),
        (EndpointConnectionError(endpoint_url="https://raw.example.com"), "EndpointConnectionError", None),
    ],
)
def test_feed_record_that_cannot_be_published_is_logged_without_its_content(
    refuse: Exception, error: str, code: str | None
) -> None:
    class Refusing(FakeBus):
        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 Its own name.
            raise refuse

    lines: list[str] = []
    Feed(ENVIRON, Refusing(), lines.append)({"Records": [record("p", None, place()), record("x", None, place())]}, None)
    first, unknown = map(json.loads, lines)
    assert (first["error"], first["code"], unknown["error"]) == (error, code, "KeyError")
    assert "raw" not in "".join(lines)


def test_feed_batch_that_fails_whole_is_named_whole() -> None:
    answer = Feed(ENVIRON, FakeBus(digest("raw token")), lambda _: None)(
        {"Records": [record("p", None, place())]}, None
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "17"}]}

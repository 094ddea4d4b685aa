"""Items that 1.0.0 wrote, read, changed, verified and exported by this version.

The items are those of 1.0.0's own handlers and DirectoryWriter, on DynamoDB Local, with a clock of 2100-01-01.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.migrate.exporting import Exporter
from pushreg_ops.records.invariants import Rule
from pushreg_ops.registry import Registry
from tests.support.calls import Send
from tests.support.gateway import Gateway
from tests.support.stored import CHECKS, Stored

pytestmark = pytest.mark.engine

ITEMS: dict[str, list[Any]] = json.loads((Path(__file__).parent / "data" / "items-1.0.0.json").read_text("utf-8"))
TODAY = datetime(2100, 1, 2, tzinfo=UTC)
KAZOO = {"x-auth-token": "demo-kazoo-token", "content-type": "application/json"}
PLACES_KEY = {"authorization": "Bearer demo-places-key", "content-type": "application/json"}


@pytest.fixture
def released(registry: Registry, stored: Stored) -> Registry:
    """The registry with 1.0.0's items and nothing else."""
    stored.clear(DIRECTORY)
    for table, items in ITEMS.items():
        for item in items:
            stored.client.put_item(TableName=table, Item=item)
    return registry


@pytest.fixture
def send(released: Registry) -> Send:
    return Gateway(released.client, {"STALE_AFTER_DAYS": "270"}, clock=lambda: TODAY).send


def call(send: Send, method: str, path: str, headers: Mapping[str, str], data: Any = None) -> tuple[int, Any]:
    status, _, body = send(method, path, headers, None if data is None else json.dumps(data).encode())
    return status, json.loads(body)


def kazoo(device: str) -> str:
    return f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/app/{device}"


def engage(send: Send, action: str, **form: str) -> dict[str, str]:
    sent = {"subscriptionService": {action: {"appId": "demo-app", "osType": "androidgcm", **form}}}
    _, answer = call(send, "POST", "/subscription", {"content-type": "application/json"}, sent)
    response: dict[str, str] = answer["subscriptionResponse"]
    return response


def find_ksid(device: str) -> str:
    (item,) = [item for item in ITEMS[SUBSCRIBERS] if item.get("deviceId") == {"S": device}]
    ksid: str = item["record"]["S"].removeprefix("ksid#")
    return ksid


def test_items_of_release_are_read_and_changed(send: Send, stored: Stored) -> None:
    status, found = call(send, "GET", kazoo("attic"), KAZOO)
    assert (status, found["data"]["mobile_device_id"], found["data"]["extra"]) == (200, "tablet", {"a": [1, 2.5]})
    data = {key: value for key, value in found["data"].items() if key != "app_name"}
    assert call(send, "POST", kazoo("attic"), KAZOO, {"data": data})[1]["revision"] == found["revision"]
    # A takeover of what another device of the release has.
    assert call(send, "POST", kazoo("attic"), KAZOO, {"data": {**data, "mobile_device_id": "phone"}})[0] == 200
    assert call(send, "GET", kazoo("lobby"), KAZOO)[0] == 404
    same = engage(send, "subscribe", deviceId="device one", sid="sid one", ufid="me@example.com")
    assert (same["statusCode"], same["ksid"]) == ("201", find_ksid("device one"))
    rotated = engage(send, "subscribe", deviceId="device two", sid="a new sid")
    assert (rotated["statusCode"], rotated["ksid"]) == ("200", find_ksid("device two"))
    back = engage(send, "subscribe", deviceId="device three", sid="sid three")
    assert (back["statusCode"], back["ksid"]) == ("200", find_ksid("device three"))
    path = f"/dts/places/{PLACE_ID}/subscriptions"
    assert call(send, "PUT", path, PLACES_KEY, {"device_token": "token one"})[0] == 200
    assert call(send, "DELETE", path, PLACES_KEY, {"device_token": "token two"})[0] == 200
    # Row for row what was there, but for what the calls above removed.
    assert len(stored.items(PLACES)) == len(ITEMS[PLACES]) - 1
    for table in (DEVICES, PLACES):
        assert list(CHECKS[table](stored.items(table))) == []


def test_items_of_release_satisfy_invariants(released: Registry, stored: Stored) -> None:
    for table in (DEVICES, PLACES, DIRECTORY):
        assert list(CHECKS[table](stored.items(table))) == []
    # The index by user came later: `pushreg verify --repair` adds its attribute.
    assert {each.rule for each in CHECKS[SUBSCRIBERS](stored.items(SUBSCRIBERS))} <= {Rule.INDEXED}


def test_items_of_release_are_exported(released: Registry) -> None:
    exporter = Exporter(released, int(TODAY.timestamp()), lambda count: None, with_keys=True)
    lines = list(exporter.read(["directory", "kazoo", "engagement", "places"]))
    assert exporter.counts["kazoo"] == 2
    assert (exporter.counts["engagement"], exporter.counts["places"]) == (3, 2)
    assert exporter.counts.get("unreadable", 0) == 0
    assert sorted(line["device_token"] for line in lines if "device_token" in line) == ["token one", "token two"]

"""Registrations found by any id, and what is shown of them."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, digest
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.records.inspection import Inspector
from pushreg_ops.records.items import StoredDevice, StoredSubscriber
from pushreg_ops.records.redaction import redact
from pushreg_ops.registry import Registry
from tests.support.stored import Stored
from tests.support.transfer import EARLIER, EPOCH, KSIDS, LATER, Merge, device, subscriber, token

pytestmark = pytest.mark.engine

SID = "a-sid-as-long-as-those-of-firebase:0123456789"


@pytest.fixture
def inspector(registry: Registry) -> Inspector:
    merge = Merge(registry)
    merge(device("d1", "m1"), device("d2", "m2"))
    merge(subscriber(KSIDS[0], "dev1", SID, ufid="me@example.com", expires_at=EPOCH + 60))
    merge(subscriber(KSIDS[1], "800ABC1", "sid2", osType="blackberry"), token("t1"), token("t2", expires_at=EPOCH))
    return Inspector(registry, EPOCH)


def name(registration: Any) -> str:
    match registration:
        case StoredDevice():
            return registration.device_id
        case StoredSubscriber():
            return registration.ksid
    return str(registration.device_token)


def names(found: Any) -> set[str]:
    return {name(each) for each in found}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("d1", {"d1"}),
        ("m2", {"d2"}),
        (KSIDS[0], {KSIDS[0]}),
        ("dev1", {KSIDS[0]}),
        (SID, {KSIDS[0]}),
        ("0x800ABC1", {KSIDS[1]}),
        ("t1", {"t1"}),
        (PLACE_ID, {"t1", "t2"}),
        (PLACE_ID.upper(), {"t1", "t2"}),
        (ACCOUNT_ID, {"d1", "d2"}),
        ("me@example.com", {KSIDS[0]}),
        ("demo-app", {KSIDS[0], KSIDS[1]}),
        ("nothing", set()),
        ("9" * 19, set()),
        ("x" * 4096, set()),
    ],
)
def test_inspector_find_by_key_returns_registration(inspector: Inspector, text: str, wanted: set[str]) -> None:
    assert names(inspector.find(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("token-of-m1", {"d1"}), ("token-of-m", set()), ("me@example.com", {KSIDS[0]}), ("t2", {"t2"}), ("", set())],
)
def test_inspector_search_scans_for_values_without_key(inspector: Inspector, text: str, wanted: set[str]) -> None:
    looked_at: list[int] = []
    assert names(inspector.search(text, looked_at.append)) == wanted
    assert sum(looked_at) > 4


def test_inspector_search_finds_subscriber_of_removed_application(registry: Registry, inspector: Inspector) -> None:
    Merge(registry)(subscriber(KSIDS[2], "dev3", "sid3", appId="removed"))
    assert names(inspector.find("dev3")) == set()
    (found,) = inspector.search("dev3", lambda count: None)
    assert inspector.describe(found)["owner_known"] is False


def test_inspector_describe_subscriber_redacts_sid(inspector: Inspector) -> None:
    (found,) = inspector.find(KSIDS[0])
    assert inspector.describe(found) == {
        "family": "engagement",
        "ksid": KSIDS[0],
        "application": "demo-app",
        "device": "dev1",
        "platform": "androidgcm",
        "user": "me@example.com",
        "active": True,
        "token": "a-sid-…456789 (45 characters)",
        "created_at": EARLIER,
        "updated_at": LATER,
        "expires_at": "2100-01-01T00:01:00Z",
        "expired": False,
        "claims": [{"of": "device", "state": "leads here"}, {"of": "sid", "state": "leads here"}],
        "problems": [],
        "owner_known": True,
    }


def test_inspector_describe_device_redacts_tokens(inspector: Inspector) -> None:
    (found,) = inspector.find("d1")
    shown = inspector.describe(found)
    assert shown["tokens"] == [
        {"token": "…(11 characters)", "service": "fcm", "notifications": ["incoming_call", "chat"]}
    ]
    assert shown["revision"].startswith("3-")
    assert (shown["platform"], shown["expires_at"], shown["expired"]) == ("android", None, False)
    assert "token-of" not in str(shown)


def test_inspector_describe_reports_expiry_and_missing_claim(inspector: Inspector, stored: Stored) -> None:
    (found,) = inspector.find("t2")
    shown = inspector.describe(found)
    assert (shown["expires_at"], shown["expired"]) == ("2100-01-01T00:00:00Z", True)
    record = {"account_id": {"S": ACCOUNT_ID}, "record": {"S": f"mobile#{digest('m1')}"}}
    stored.client.delete_item(TableName=DEVICES, Key=record)
    (found,) = inspector.find("d1")
    shown = inspector.describe(found)
    assert (shown["claims"], shown["problems"]) == (
        [{"of": "mobile device", "state": "missing"}],
        ["the mobile device has no claim"],
    )


def test_inspector_describe_reports_wrong_claim(inspector: Inspector, stored: Stored) -> None:
    claim = {"account_id": ACCOUNT_ID, "record": f"mobile#{digest('m1')}"}
    (found,) = inspector.find("d1")
    stored.put(DEVICES, {**claim, "device_id": "d9"})
    assert inspector.describe(found)["claims"] == [{"of": "mobile device", "state": f"leads to {ACCOUNT_ID} device#d9"}]
    stored.put(DEVICES, claim)
    assert inspector.describe(found)["claims"] == [{"of": "mobile device", "state": "unreadable"}]


def test_inspector_unreadable_items_are_skipped(inspector: Inspector, stored: Stored) -> None:
    stored.put(SUBSCRIBERS, {"record": f"ksid#{KSIDS[0]}", "sid": SID})
    stored.put(PLACES, {"place_id": PLACE_ID, "token_digest": digest("t1"), "device_token": "t1"})
    assert names(inspector.find("dev1")) == set()
    assert names(inspector.search(SID, lambda count: None)) == set()
    assert names(inspector.find("t1")) == set()


@pytest.mark.parametrize("secret", ["", "short", "x" * 23])
def test_redact_short_secret_shows_only_length(secret: str) -> None:
    assert redact(secret) == f"…({len(secret)} characters)"

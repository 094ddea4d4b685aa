from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pushreg.codecs import json
from pushreg.models.kazoo import Content
from pushreg.schema import Item, digest
from pushreg_ops.records.invariants import Rule, Violation, check_devices
from tests.support.calls import kazoo_data
from tests.support.violations import rules

ACCOUNT = "a" * 32
MOMENT = "2024-01-01T00:00:00Z"
EPOCH = 1_704_067_200


def device(device_id: str, mobile: str, **changes: Any) -> Item:
    content = Content.from_data(kazoo_data(mobile), "app")
    return {
        "account_id": ACCOUNT,
        "record": f"device#{device_id}",
        "device_id": device_id,
        "app_name": "app",
        "mobile_device_id": mobile,
        "document": json.encode(content.document).decode(),
        "digest": content.digest,
        "writes": 1,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        **changes,
    }


def mobile(mobile_device_id: str, device_id: str) -> Item:
    return {"account_id": ACCOUNT, "record": f"mobile#{digest(mobile_device_id)}", "device_id": device_id}


def check(items: Iterable[Item]) -> Iterator[Violation]:
    return check_devices(items, EPOCH)


def test_check_devices_valid_items_have_no_violation() -> None:
    items = [device("desk", "phone"), mobile("phone", "desk"), device("den", "other"), mobile("other", "den")]
    assert list(check(items)) == []
    assert list(check(reversed(items))) == []
    assert list(check([])) == []


def test_check_devices_accounts_are_separate() -> None:
    other = {"account_id": "b" * 32}
    items = [device("desk", "phone"), mobile("phone", "desk"), device("desk", "phone") | other]
    assert list(check([*items, mobile("phone", "desk") | other])) == []
    assert rules(check(items)) == [(Rule.CLAIMED, "device#desk")]


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([device("desk", "phone")], [(Rule.CLAIMED, "device#desk")]),
        ([mobile("phone", "desk")], [(Rule.NO_ORPHAN, "mobile#" + digest("phone")[:5])]),
        (
            [device("desk", "phone"), mobile("phone", "desk"), mobile("old", "desk")],
            [(Rule.NO_ORPHAN, "mobile#" + digest("old")[:5])],
        ),
        (
            [device("desk", "phone"), device("den", "phone"), mobile("phone", "desk")],
            [(Rule.ONE_HOLDER, "device#den")],
        ),
        (
            [device("desk", "phone"), mobile("phone", "den")],
            [(Rule.AGREEING, "mobile#" + digest("phone")[:5])],
        ),
        ([device("desk", "phone", digest="0" * 32), mobile("phone", "desk")], [(Rule.DIGEST, "device#desk")]),
        (
            [device("desk", "other", mobile_device_id="phone"), mobile("phone", "desk")],
            [(Rule.AGREEING, "device#desk")],
        ),
        ([device("desk", "phone", document="{"), mobile("phone", "desk")], [(Rule.READABLE, "device#desk")]),
        ([device("desk", "phone", document="[]"), mobile("phone", "desk")], [(Rule.READABLE, "device#desk")]),
        ([device("desk", "phone", document="{}"), mobile("phone", "desk")], [(Rule.READABLE, "device#desk")]),
    ],
)
def test_check_devices_violation_is_reported(items: list[Item], found: list[tuple[Rule, str]]) -> None:
    assert rules(check(items)) == found


@pytest.mark.parametrize("name", [each for each in device("desk", "phone") if each not in ("account_id", "record")])
def test_check_devices_missing_attribute_is_unreadable(name: str) -> None:
    item = device("desk", "phone")
    del item[name]
    # Its claim is no orphan: who knows what the item would say.
    (violation,) = check([item, mobile("phone", "desk")])
    assert violation == Violation(
        Rule.READABLE, ({"account_id": ACCOUNT, "record": "device#desk"},), f"bad or missing: {name}"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"record": "device#den"},
        {"record": "gadget#desk"},
        {"writes": 0},
        {"writes": "1"},
        {"digest": "x"},
        {"created_at": "yesterday"},
        {"document": True},
    ],
)
def test_check_devices_malformed_device_is_unreadable(changes: Item) -> None:
    (violation,) = check([device("desk", "phone", **changes)])
    assert violation.rule is Rule.READABLE


def test_check_devices_malformed_claim_is_unreadable() -> None:
    (violation,) = check([mobile("phone", "desk") | {"record": "mobile#phone"}])
    assert violation.rule is Rule.READABLE


def test_check_devices_expired_items_are_ignored() -> None:
    expired = [device("desk", "phone", expires_at=EPOCH), mobile("phone", "desk") | {"expires_at": EPOCH}]
    assert list(check([expired[0]])) == list(check([expired[1]])) == []
    # The mobile device has gone to another device since, and DynamoDB has removed its old claim.
    assert list(check([expired[0], device("den", "phone"), mobile("phone", "den")])) == []


def test_check_devices_claim_with_other_expiry_is_reported() -> None:
    items = [device("desk", "phone", expires_at=EPOCH + 1), mobile("phone", "desk")]
    assert rules(check(items)) == [(Rule.AGREEING, "mobile#45569")]

from __future__ import annotations

from typing import Any

import pytest

from pushreg.models.directory import Account, Application, Credential, Place
from pushreg.schema import Item, digest
from pushreg.stores.directory import to_item
from pushreg_ops.records.invariants import Rule, check_directory, check_places, check_subscribers
from tests.support.violations import rules

ACCOUNT = "a" * 32
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
MOMENT = "2024-01-01T00:00:00Z"
KSID = "1234567890123456789"
NOW = 1_700_000_000


def subscriber(**changes: Any) -> Item:
    ksid, ufid = changes.get("ksid", KSID), changes.get("ufid", "me")
    return {
        "record": f"ksid#{KSID}",
        "ksid": KSID,
        "appId": "app # 1",
        "deviceId": "phone",
        "sid": "token",
        "osType": "iphone",
        "ufid": "me",
        "ufid_ksid": f"{digest(ufid) if ufid else '-'}#{ksid}",
        "active": True,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "expires_at": NOW + 1,
        **changes,
    }


def device_claim(**changes: Any) -> Item:
    own = {"osType": "iphone", "active": True, "partner": digest("token")}
    return {"record": f"device#app # 1#{digest('phone')}", **claim(), **own, **changes}


def sid_claim(**changes: Any) -> Item:
    return {"record": f"sid#app # 1#{digest('token')}", **claim(), "partner": digest("phone"), **changes}


def claim() -> Item:
    return {"ksid": KSID, "ufid": "me", "expires_at": NOW + 1}


def row(**changes: Any) -> Item:
    item = {"place_id": PLACE, "token_digest": digest("token"), "device_token": "token"}
    return {**item, "created_at": MOMENT, "updated_at": MOMENT, "expires_at": NOW, **changes}


def test_check_subscribers_valid_items_have_no_violation() -> None:
    items = [subscriber(), device_claim(), sid_claim()]
    assert list(check_subscribers(items, NOW)) == []
    assert list(check_subscribers(reversed(items), NOW)) == []


def test_check_subscribers_without_ttl_and_ufid_have_no_violation() -> None:
    items = [subscriber(), device_claim(), sid_claim()]
    bare = [{name: value for name, value in item.items() if name not in ("ufid", "expires_at")} for item in items]
    bare[0]["ufid_ksid"] = f"-#{KSID}"
    assert list(check_subscribers(bare, NOW)) == []


@pytest.mark.parametrize("left", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
def test_check_subscribers_partly_deleted_expired_items_have_no_violation(left: list[int]) -> None:
    items = [subscriber(), device_claim(), sid_claim()]
    assert list(check_subscribers([items[index] for index in left], NOW + 1)) == []


def test_check_subscribers_claims_taken_from_expired_have_no_violation() -> None:
    other = {"ksid": "9" * 19, "expires_at": NOW + 9}
    items = [subscriber(), subscriber(record=f"ksid#{'9' * 19}", **other), device_claim(**other), sid_claim(**other)]
    assert list(check_subscribers(items, NOW + 1)) == []


DEVICE, SID, OWNER = "device#app #", "sid#app # 1#", "ksid#1234567"


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([subscriber(), sid_claim()], [(Rule.CLAIMED, OWNER)]),
        ([subscriber(), device_claim()], [(Rule.CLAIMED, OWNER)]),
        ([subscriber()], [(Rule.CLAIMED, OWNER), (Rule.CLAIMED, OWNER)]),
        ([device_claim(), sid_claim()], [(Rule.NO_ORPHAN, DEVICE), (Rule.NO_ORPHAN, SID)]),
        (
            [subscriber(), device_claim(), sid_claim(), sid_claim(record=f"sid#app # 1#{digest('old')}")],
            [(Rule.NO_ORPHAN, SID)],
        ),
        (
            [subscriber(), device_claim(), sid_claim(), device_claim(record=f"device#app#{digest('phone')}")],
            [(Rule.NO_ORPHAN, "device#app#" + digest("phone")[0])],
        ),
        ([subscriber(), device_claim(ksid="9" * 19), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(partner=digest("old")), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(osType="ipad"), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(active=False), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(ufid="you"), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(expires_at=NOW + 2), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(), device_claim(expires_at=NOW), sid_claim()], [(Rule.CLAIMED, OWNER)]),
        ([subscriber(), device_claim(), sid_claim(partner=digest("old"))], [(Rule.AGREEING, SID)]),
        ([subscriber(), device_claim(), sid_claim(ufid=None)], [(Rule.AGREEING, SID)]),
        ([subscriber(ufid_ksid=None), device_claim(), sid_claim()], [(Rule.INDEXED, OWNER)]),
        ([subscriber(ufid_ksid=f"-#{KSID}"), device_claim(), sid_claim()], [(Rule.INDEXED, OWNER)]),
        (
            [subscriber(deviceName="mine"), device_claim(deviceName="yours"), sid_claim()],
            [(Rule.AGREEING, DEVICE)],
        ),
        ([subscriber(), device_claim(cloud=False), sid_claim()], [(Rule.AGREEING, DEVICE)]),
        ([subscriber(ufid=None), device_claim(), sid_claim()], [(Rule.AGREEING, DEVICE), (Rule.AGREEING, SID)]),
    ],
)
def test_check_subscribers_violation_is_reported(items: list[Item], found: list[tuple[Rule, str]]) -> None:
    assert rules(check_subscribers(items, NOW)) == found


def test_check_subscribers_violation_names_attributes_without_values() -> None:
    (violation,) = check_subscribers([subscriber(), device_claim(active=False, osType="ipad"), sid_claim()], NOW)
    assert violation.detail == "the device claim differs in osType, active"
    assert violation.keys == ({"record": device_claim()["record"]}, {"record": f"ksid#{KSID}"})


def test_check_subscribers_claim_of_1_0_0_without_name_and_verdict_has_no_violation() -> None:
    items = [subscriber(deviceName="mine", cloud=False), device_claim(), sid_claim()]
    assert list(check_subscribers(items, NOW)) == []


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ({"sid": ""}, [device_claim(active=False, partner=digest(""))]),
        ({"deviceId": ""}, [sid_claim(partner=digest(""))]),
        ({"sid": "", "deviceId": ""}, []),
    ],
)
def test_check_subscribers_inactive_with_taken_value_has_no_claim_for_it(taken: Item, left: list[Item]) -> None:
    assert list(check_subscribers([subscriber(active=False, **taken), *left], NOW)) == []
    assert rules(check_subscribers([subscriber(**taken), *left], NOW)) == [(Rule.READABLE, OWNER)]


@pytest.mark.parametrize("ksid", ["9" * 20, "0" * 19, "x", 5])
def test_check_subscribers_malformed_subscriber_is_unreadable(ksid: Any) -> None:
    items = [subscriber(ksid=ksid), device_claim(), sid_claim()]
    assert rules(check_subscribers(items, NOW)) == [(Rule.READABLE, OWNER)]


@pytest.mark.parametrize(
    "changes", [{"partner": "x"}, {"osType": "toaster"}, {"active": "yes"}, {"expires_at": "soon"}]
)
def test_check_subscribers_unreadable_claim_is_reported_once(changes: Item) -> None:
    items = [subscriber(), device_claim(**changes), sid_claim()]
    assert rules(check_subscribers(items, NOW)) == [(Rule.READABLE, DEVICE)]


def test_check_places_valid_rows_have_no_violation() -> None:
    assert list(check_places([row(), row(token_digest=digest("other"), device_token="other", expires_at=None)])) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"device_token": "other"}, Rule.DIGEST),
        ({"device_token": ""}, Rule.READABLE),
        ({"place_id": PLACE.upper()}, Rule.READABLE),
        ({"token_digest": "token"}, Rule.READABLE),
        ({"updated_at": None}, Rule.READABLE),
        ({"expires_at": "never"}, Rule.READABLE),
    ],
)
def test_check_places_violation_is_reported_without_token(changes: Item, rule: Rule) -> None:
    (violation,) = check_places([row(**changes)])
    assert violation.rule is rule
    assert set(violation.keys[0]) == {"place_id", "token_digest"}
    assert "token" not in violation.detail.replace("token_digest", "").replace("device_token", "").replace(
        "token's", ""
    )


def entries() -> list[Item]:
    return [
        to_item(entry)
        for entry in (
            Credential(digest("a"), "kazoo", "read", MOMENT, account_id=ACCOUNT),
            Credential(digest("b"), "places", "write", MOMENT, places=frozenset({"all"})),
            Credential(digest("c"), "places", "admin", MOMENT),
            Application("app # 1", MOMENT),
            Application("app", MOMENT, digest("d")),
            Place(PLACE, MOMENT),
            Account(ACCOUNT, MOMENT),
        )
    ]


def test_check_directory_valid_entries_have_no_violation() -> None:
    assert list(check_directory(entries())) == []


@pytest.mark.parametrize(
    ("index", "changes", "rule"),
    [
        (0, {"key_id": "0" * 16}, Rule.DIGEST),
        (0, {"account_id": None}, Rule.READABLE),
        (0, {"record": "credential#secret"}, Rule.READABLE),
        (0, {"scope": "all"}, Rule.READABLE),
        (1, {"account_id": ACCOUNT}, Rule.READABLE),
        (1, {"family": "fax"}, Rule.READABLE),
        (4, {"auth_token_digest": "secret"}, Rule.READABLE),
        (5, {"record": "place#here"}, Rule.READABLE),
        (6, {"record": "account#a"}, Rule.READABLE),
        (6, {"created_at": None}, Rule.READABLE),
        (6, {"record": "user#a"}, Rule.READABLE),
    ],
)
def test_check_directory_violation_is_reported(index: int, changes: Item, rule: Rule) -> None:
    items = entries()
    items[index] |= changes
    (violation,) = check_directory(items)
    assert violation.rule is rule
    assert list(violation.keys[0]) == ["record"]

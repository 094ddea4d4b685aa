"""Tables damaged on purpose, and the verification that repairs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushreg.dynamodb import to_attributes
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    OTHER_CLAIM_DIGEST,
    PLACES,
    SUBSCRIBERS,
    TABLE_KEYS,
    USER_INDEX_SORT,
    Item,
    device_claim_key,
    device_key,
    digest,
    ksid_key,
    mobile_claim_key,
    place_key,
    sid_claim_key,
)
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.records.entities import StoredEntity
from pushreg_ops.records.invariants import Rule
from pushreg_ops.registry import Registry
from pushreg_ops.verify.checking import verify
from pushreg_ops.verify.repairing import Proposal, Repairer
from tests.support.stored import Stored

# 2100-01-01T00:00:00Z: in the future, because DynamoDB Local deletes what has expired by its own clock.
EPOCH = 4_102_444_800
Change = Callable[["Damage"], object]


@dataclass
class Damage:
    """A registry with two of each kind, and the verification that break it."""

    stored: Stored
    ksids: list[str]

    def mobile(self, name: str) -> Item:
        return self._get(DEVICES, mobile_claim_key(ACCOUNT_ID, digest(name)))

    def device(self, name: str) -> Item:
        return self._get(DEVICES, device_key(ACCOUNT_ID, name))

    def subscriber(self, index: int) -> Item:
        return self._get(SUBSCRIBERS, ksid_key(self.ksids[index]))

    def claim(self, kind: str, name: str) -> Item:
        build = {"device": device_claim_key, "sid": sid_claim_key}[kind]
        return self._get(SUBSCRIBERS, build("demo-app", digest(name)))

    def token(self, text: str) -> Item:
        return self._get(PLACES, place_key(PLACE_ID, text))

    def change(self, table: str, item: Item, **changes: Any) -> None:
        """Store the item with the changes; None takes an attribute away."""
        self.stored.put(table, item | changes)

    def remove(self, table: str, item: Item) -> None:
        self.stored.client.delete_item(
            TableName=table, Key=to_attributes({name: item[name] for name in TABLE_KEYS[table]})
        )

    def _get(self, table: str, key: dict[str, str]) -> Item:
        item = self.stored.get(table, key)
        assert item is not None
        return item


class Verification:
    """Verifies and repairs one registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.removed: list[StoredEntity] = []
        self.repairer = Repairer(registry, EPOCH, self.removed.append)

    def look(self) -> list[Proposal]:
        _, findings = verify(self.registry, EPOCH)
        return [self.repairer.propose(each) for each in findings]

    def rules(self) -> list[Rule]:
        return sorted({each.finding.violation.rule for each in self.look()})

    def repair(self) -> list[Rule]:
        """Repair until nothing more can be, and return the rules still broken."""
        while self.repairer.apply(self.look()):
            pass
        return self.rules()


def hold_one_mobile_twice(damage: Damage) -> None:
    other = damage.device("d2")
    first = damage.device("d1")
    taken = {name: first[name] for name in ("mobile_device_id", "document", "digest")}
    damage.remove(DEVICES, damage.mobile("m2"))
    damage.change(DEVICES, other, **taken, updated_at="2030-01-01T00:00:00Z")


def hold_one_mobile_twice_without_claim(damage: Damage) -> None:
    hold_one_mobile_twice(damage)
    damage.remove(DEVICES, damage.mobile("m1"))


def misplace(damage: Damage) -> None:
    damage.change(PLACES, damage.token("t1"), token_digest=digest("x"))
    damage.remove(PLACES, damage.token("t1"))


REPAIRABLE: dict[str, tuple[Change, Rule]] = {
    "a mobile device without claim": (lambda it: it.remove(DEVICES, it.mobile("m1")), Rule.CLAIMED),
    "a claim on a mobile device of nobody": (lambda it: it.remove(DEVICES, it.device("d1")), Rule.NO_ORPHAN),
    "a claim that names another device": (
        lambda it: it.change(DEVICES, it.mobile("m1"), device_id="d2"),
        Rule.AGREEING,
    ),
    "a claim that names no device": (
        lambda it: it.change(DEVICES, it.mobile("m1"), device_id="gone"),
        Rule.AGREEING,
    ),
    "two devices with one mobile device": (hold_one_mobile_twice, Rule.ONE_HOLDER),
    "two devices with one mobile device and no claim": (hold_one_mobile_twice_without_claim, Rule.CLAIMED),
    "a digest that is not the document's": (
        lambda it: it.change(DEVICES, it.device("d1"), digest="0" * 32),
        Rule.DIGEST,
    ),
    "a subscriber without its device's claim": (
        lambda it: it.remove(SUBSCRIBERS, it.claim("device", "dev1")),
        Rule.CLAIMED,
    ),
    "a subscriber without its sid's claim": (lambda it: it.remove(SUBSCRIBERS, it.claim("sid", "sid1")), Rule.CLAIMED),
    "a claim that says inactive": (
        lambda it: it.change(SUBSCRIBERS, it.claim("device", "dev1"), active=False),
        Rule.AGREEING,
    ),
    "a claim with another partner": (
        lambda it: it.change(SUBSCRIBERS, it.claim("sid", "sid1"), **{OTHER_CLAIM_DIGEST: digest("x")}),
        Rule.AGREEING,
    ),
    "a claim with another end": (
        lambda it: it.change(SUBSCRIBERS, it.claim("sid", "sid1"), expires_at=EPOCH + 9),
        Rule.AGREEING,
    ),
    "a claim of a subscriber that never was": (
        lambda it: it.change(SUBSCRIBERS, it.claim("sid", "sid1"), ksid="9" * 19),
        Rule.AGREEING,
    ),
    "a subscriber that is gone": (lambda it: it.remove(SUBSCRIBERS, it.subscriber(0)), Rule.NO_ORPHAN),
    "a claim of a device that the subscriber had once": (
        lambda it: it.change(SUBSCRIBERS, it.claim("sid", "sid1"), **sid_claim_key("demo-app", digest("old"))),
        Rule.NO_ORPHAN,
    ),
    "a claim of a subscriber that has expired": (
        lambda it: it.change(SUBSCRIBERS, it.subscriber(0), expires_at=EPOCH),
        Rule.NO_ORPHAN,
    ),
    "a token at another's key": (
        misplace,
        Rule.DIGEST,
    ),
    "a token at its own and at another's key": (
        lambda it: it.change(PLACES, it.token("t1"), token_digest=digest("x")),
        Rule.DIGEST,
    ),
    "a subscriber of 1.0.0, without index key": (
        lambda it: it.change(SUBSCRIBERS, it.subscriber(0), **{USER_INDEX_SORT: None}),
        Rule.INDEXED,
    ),
    "a subscriber in the index under another user": (
        lambda it: it.change(SUBSCRIBERS, it.subscriber(0), **{USER_INDEX_SORT: f"{digest('nobody')}#{it.ksids[0]}"}),
        Rule.INDEXED,
    ),
}


UNREPAIRABLE: dict[str, tuple[Change, list[Rule]]] = {
    "a document that is none": (lambda it: it.change(DEVICES, it.device("d1"), document="{"), [Rule.READABLE]),
    "a device without revision": (lambda it: it.change(DEVICES, it.device("d1"), writes=None), [Rule.READABLE]),
    "an item of no kind": (lambda it: it.change(DEVICES, it.device("d1"), record="fax#1"), [Rule.READABLE]),
    "a claim of no device": (
        lambda it: it.change(DEVICES, it.mobile("m1"), device_id=None),
        [Rule.CLAIMED, Rule.READABLE],
    ),
    "a subscriber without sid": (lambda it: it.change(SUBSCRIBERS, it.subscriber(0), sid=None), [Rule.READABLE]),
    "a claim without osType": (
        lambda it: it.change(SUBSCRIBERS, it.claim("device", "dev1"), osType=None),
        [Rule.READABLE],
    ),
    "two subscribers of one device": (
        lambda it: it.change(SUBSCRIBERS, it.subscriber(1), deviceId="dev1"),
        [Rule.AGREEING],
    ),
    "a token of nothing": (lambda it: it.change(PLACES, it.token("t1"), device_token=None), [Rule.READABLE]),
    "a place that is none": (lambda it: it.change(PLACES, it.token("t1"), place_id="HERE"), [Rule.READABLE]),
    "an entry of no kind": (
        lambda it: it.stored.put(DIRECTORY, {"record": "fax#1", "created_at": "2026-01-01T00:00:00Z"}),
        [Rule.READABLE],
    ),
}

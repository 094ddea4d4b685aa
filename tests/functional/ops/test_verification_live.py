"""Verification beside live traffic, and repairs that are killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, digest
from pushreg_local.client import AdminClient
from pushreg_ops.verify.checking import verify
from pushreg_ops.verify.repairing import Repairer
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.damage import EPOCH, MENDABLE, Damage, Hands
from tests.support.gateway import Gateway

pytestmark = pytest.mark.engine


class Meddling:
    """A client beside which something happens once: after the record is scanned alone, or before the first write."""

    def __init__(self, client: Any, happening: Callable[[], Any], record: str | None = None) -> None:
        self._client = client
        self._happenings = [happening]
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def scan(self, **parameters: Any) -> Any:
        if self._record is None:
            return self._client.scan(**parameters)
        # One item a page, so that what belongs to it is read afterwards.
        answer = self._client.scan(**{**parameters, "Limit": 1})
        if any(item.get("record", {}).get("S") == self._record for item in answer["Items"]):
            self._happenings.pop()()
        return answer

    def transact_write_items(self, **parameters: Any) -> Any:
        if self._record is None and self._happenings:
            self._happenings.pop()()
        return self._client.transact_write_items(**parameters)


@pytest.mark.parametrize("record", ["device#d1", f"device#demo-app#{digest('dev1')}"], ids=[DEVICES, SUBSCRIBERS])
def test_verify_items_changed_during_scan_are_no_violation(
    damage: Damage, hands: Hands, gateway: Gateway, record: str
) -> None:
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)

    def move() -> None:
        assert kazoo.post("d1", "m2").status == 200
        assert answered(engagement.subscribe("dev1", "rotated"))[0] == "200"
        assert answered(engagement.subscribe("dev9", "sid1"))[0] == "200"

    busy = Meddling(hands.registry.client, move, record)
    assert verify(replace(hands.registry, client=cast("AdminClient", busy)), EPOCH)[1] == []
    assert damage.stored.holder("m2") == "d1"


def test_verify_repair_of_changed_item_is_skipped(damage: Damage, hands: Hands, gateway: Gateway) -> None:
    MENDABLE["a claim that says inactive"][0](damage)
    proposals = hands.look()
    engagement = Engagement(gateway.send)
    busy = Meddling(hands.registry.client, lambda: engagement.subscribe("dev1", "rotated"))
    registry = replace(hands.registry, client=cast("AdminClient", busy))
    assert Repairer(registry, EPOCH, hands.removed.append).apply(proposals) == 0
    assert damage.subscriber(0)["sid"] == "rotated"
    assert hands.repair() == []


@pytest.mark.parametrize("kind", ["a mobile device without claim", "a subscriber without its sid's claim"])
def test_verify_repair_does_not_restore_released_claim(
    damage: Damage, hands: Hands, gateway: Gateway, kind: str
) -> None:
    MENDABLE[kind][0](damage)
    proposals = hands.look()
    assert len(proposals) == 1
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)

    def give_up() -> None:
        assert kazoo.post("d1", "m3").status == 200
        assert answered(engagement.subscribe("dev1", "rotated"))[0] == "200"

    busy = Meddling(hands.registry.client, give_up)
    registry = replace(hands.registry, client=cast("AdminClient", busy))
    assert Repairer(registry, EPOCH, hands.removed.append).apply(proposals) == 0
    assert hands.rules() == []
    assert (damage.stored.holder("m1"), damage.stored.holder("m3")) == (None, "d1")
    assert damage.subscriber(0)["sid"] == "rotated"


def test_verify_removal_of_refreshed_token_is_skipped(damage: Damage, hands: Hands) -> None:
    send = Gateway(hands.registry.client, clock=lambda: datetime.fromtimestamp(EPOCH, UTC)).send
    damage.change(PLACES, damage.token("t1"), expires_at=EPOCH)
    busy = Meddling(hands.registry.client, lambda: Places(send).put("t1"))
    mender = Repairer(replace(hands.registry, client=cast("AdminClient", busy)), EPOCH, hands.removed.append)
    assert mender.remove_expired() == 0
    assert damage.token("t1")["expires_at"] > EPOCH
    assert hands.rules() == []


def test_verify_removal_keeps_claims_of_new_subscriber(damage: Damage, hands: Hands) -> None:
    send = Gateway(hands.registry.client, clock=lambda: datetime.fromtimestamp(EPOCH, UTC)).send
    old = damage.subscriber(0)
    for item in (old, damage.claim("device", "dev1"), damage.claim("sid", "sid1")):
        damage.change(SUBSCRIBERS, item, expires_at=EPOCH)
    busy = Meddling(hands.registry.client, lambda: Engagement(send).subscribe("dev1", "sid1"))
    mender = Repairer(replace(hands.registry, client=cast("AdminClient", busy)), EPOCH, hands.removed.append)
    # The subscriber alone: its claims are another's by then.
    assert mender.remove_expired() == 1
    claims = [damage.claim("device", "dev1"), damage.claim("sid", "sid1")]
    assert {claim["ksid"] for claim in claims} == {claims[0]["ksid"]} != {old["ksid"]}
    assert damage.stored.subscriber(claims[0]["ksid"]) is not None
    assert hands.rules() == []


class GoneError(Exception):
    """The process is gone, as far as the repair can tell."""


class Dying:
    """A client that makes so many transactions and no more, the last one perhaps without an answer."""

    def __init__(self, client: Any, count: int, answers: bool) -> None:
        self._client = client
        self._count = count
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        if not self._count:
            raise GoneError
        self._count -= 1
        answer = self._client.transact_write_items(**parameters)
        if not self._count and not self._answers:
            raise GoneError
        return answer


@pytest.mark.parametrize("answers", [True, False], ids=["before a write", "after a write"])
def test_verify_repair_interrupted_is_finished_by_next_run(damage: Damage, hands: Hands, answers: bool) -> None:
    for kind in ("a claim with another partner", "a token at another's key", "two devices with one mobile device"):
        MENDABLE[kind][0](damage)
    broken = {table: damage.stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)}
    assert hands.repair() == []
    wanted = {table: damage.stored.items(table) for table in broken}
    for count in range(3):
        damage.stored.clear(*broken)
        for table, items in broken.items():
            for item in items:
                damage.stored.put(table, item)
        dying = Dying(hands.registry.client, count + (not answers), answers)
        mender = Repairer(replace(hands.registry, client=cast("AdminClient", dying)), EPOCH, hands.removed.append)
        with pytest.raises(GoneError):
            mender.apply(hands.look())
        assert len(hands.look()) < 3 + (count == 0 and answers)
        assert hands.repair() == []
        assert {table: damage.stored.items(table) for table in broken} == wanted

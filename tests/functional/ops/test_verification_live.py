"""Verification during live traffic, and interrupted repairs."""

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
from tests.support.clients import HookedClient, ProcessKilledError, act_before_writes, die_at_write
from tests.support.damage import EPOCH, REPAIRABLE, Damage, Verification
from tests.support.gateway import Gateway

pytestmark = pytest.mark.engine


def act_after_scan(client: Any, record: str, action: Callable[[], object]) -> Any:
    """Return a client that runs the action once the record has been scanned, and before anything that belongs to it."""

    def scan(call: Callable[..., Any], **parameters: Any) -> Any:
        # One item a page, so that the record's claims are read afterwards.
        answer = call(**{**parameters, "Limit": 1})
        if any(item.get("record", {}).get("S") == record for item in answer["Items"]):
            action()
        return answer

    return HookedClient(client, scan=scan)


@pytest.mark.parametrize("record", ["device#d1", f"device#demo-app#{digest('dev1')}"], ids=[DEVICES, SUBSCRIBERS])
def test_verify_items_changed_during_scan_are_no_violation(
    damage: Damage, verification: Verification, gateway: Gateway, record: str
) -> None:
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)

    def move() -> None:
        assert kazoo.post("d1", "m2").status == 200
        assert answered(engagement.subscribe("dev1", "rotated"))[0] == "200"
        assert answered(engagement.subscribe("dev9", "sid1"))[0] == "200"

    busy = act_after_scan(verification.registry.client, record, move)
    assert verify(replace(verification.registry, client=cast("AdminClient", busy)), EPOCH)[1] == []
    assert damage.stored.holder("m2") == "d1"


def test_verify_repair_of_changed_item_is_skipped(damage: Damage, verification: Verification, gateway: Gateway) -> None:
    REPAIRABLE["a claim that says inactive"][0](damage)
    proposals = verification.look()
    engagement = Engagement(gateway.send)
    busy = act_before_writes(verification.registry.client, lambda: engagement.subscribe("dev1", "rotated"))
    registry = replace(verification.registry, client=cast("AdminClient", busy))
    assert Repairer(registry, EPOCH, verification.removed.append).apply(proposals) == 0
    assert damage.subscriber(0)["sid"] == "rotated"
    assert verification.repair() == []


@pytest.mark.parametrize("kind", ["a mobile device without claim", "a subscriber without its sid's claim"])
def test_verify_repair_does_not_restore_released_claim(
    damage: Damage, verification: Verification, gateway: Gateway, kind: str
) -> None:
    REPAIRABLE[kind][0](damage)
    proposals = verification.look()
    assert len(proposals) == 1
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)

    def give_up() -> None:
        assert kazoo.post("d1", "m3").status == 200
        assert answered(engagement.subscribe("dev1", "rotated"))[0] == "200"

    busy = act_before_writes(verification.registry.client, give_up)
    registry = replace(verification.registry, client=cast("AdminClient", busy))
    assert Repairer(registry, EPOCH, verification.removed.append).apply(proposals) == 0
    assert verification.rules() == []
    assert (damage.stored.holder("m1"), damage.stored.holder("m3")) == (None, "d1")
    assert damage.subscriber(0)["sid"] == "rotated"


def test_verify_removal_of_refreshed_token_is_skipped(damage: Damage, verification: Verification) -> None:
    send = Gateway(verification.registry.client, clock=lambda: datetime.fromtimestamp(EPOCH, UTC)).send
    damage.change(PLACES, damage.token("t1"), expires_at=EPOCH)
    busy = act_before_writes(verification.registry.client, lambda: Places(send).put("t1"))
    repairer = Repairer(
        replace(verification.registry, client=cast("AdminClient", busy)), EPOCH, verification.removed.append
    )
    assert repairer.remove_expired() == 0
    assert damage.token("t1")["expires_at"] > EPOCH
    assert verification.rules() == []


def test_verify_removal_keeps_claims_of_new_subscriber(damage: Damage, verification: Verification) -> None:
    send = Gateway(verification.registry.client, clock=lambda: datetime.fromtimestamp(EPOCH, UTC)).send
    old = damage.subscriber(0)
    for item in (old, damage.claim("device", "dev1"), damage.claim("sid", "sid1")):
        damage.change(SUBSCRIBERS, item, expires_at=EPOCH)
    busy = act_before_writes(verification.registry.client, lambda: Engagement(send).subscribe("dev1", "sid1"))
    repairer = Repairer(
        replace(verification.registry, client=cast("AdminClient", busy)), EPOCH, verification.removed.append
    )
    # The subscriber alone: its claims are another's by then.
    assert repairer.remove_expired() == 1
    claims = [damage.claim("device", "dev1"), damage.claim("sid", "sid1")]
    assert {claim["ksid"] for claim in claims} == {claims[0]["ksid"]} != {old["ksid"]}
    assert damage.stored.subscriber(claims[0]["ksid"]) is not None
    assert verification.rules() == []


@pytest.mark.parametrize("answers", [True, False], ids=["before a write", "after a write"])
def test_verify_repair_interrupted_is_finished_by_next_run(
    damage: Damage, verification: Verification, answers: bool
) -> None:
    for kind in ("a claim with another partner", "a token at another's key", "two devices with one mobile device"):
        REPAIRABLE[kind][0](damage)
    broken = {table: damage.stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)}
    assert verification.repair() == []
    wanted = {table: damage.stored.items(table) for table in broken}
    for count in range(3):
        damage.stored.clear(*broken)
        for table, items in broken.items():
            for item in items:
                damage.stored.put(table, item)
        dying = die_at_write(verification.registry.client, count, applied=not answers)
        repairer = Repairer(
            replace(verification.registry, client=cast("AdminClient", dying)), EPOCH, verification.removed.append
        )
        with pytest.raises(ProcessKilledError):
            repairer.apply(verification.look())
        assert len(verification.look()) < 3 + (count == 0 and answers)
        assert verification.repair() == []
        assert {table: damage.stored.items(table) for table in broken} == wanted

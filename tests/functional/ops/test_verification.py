"""Damaged tables: what `pushreg verify` finds, repairs and leaves to a person."""

from __future__ import annotations

import pytest

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_ops.records.invariants import Rule
from pushreg_ops.verify.checking import verify
from pushreg_ops.verify.repairing import Repairer
from tests.support.damage import EPOCH, REPAIRABLE, UNREPAIRABLE, Damage, Verification, hold_one_mobile_twice
from tests.support.transfer import unmark

pytestmark = pytest.mark.engine


def test_verify_valid_registry_has_no_findings(damage: Damage, verification: Verification) -> None:
    verifier, findings = verify(verification.registry, EPOCH)
    assert findings == []
    assert [verifier.counts[table, "items"] for table in (DEVICES, SUBSCRIBERS, PLACES)] == [4, 6, 2]


@pytest.mark.parametrize("kind", REPAIRABLE)
def test_verify_repairable_damage_is_found_and_repaired(damage: Damage, verification: Verification, kind: str) -> None:
    break_it, rule = REPAIRABLE[kind]
    break_it(damage)
    assert rule in verification.rules()
    assert verification.repair() == []
    for table in (DEVICES, PLACES, DIRECTORY):
        damage.stored.settled(table)


def test_verify_repair_restores_original_items(damage: Damage, verification: Verification) -> None:
    before = {table: damage.stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)}
    for kind in (
        "a mobile device without claim",
        "a digest that is not the document's",
        "a subscriber without its device's claim",
        "a claim with another partner",
        "a token at another's key",
    ):
        REPAIRABLE[kind][0](damage)
    assert verification.repair() == []
    for table, items in before.items():
        after = [unmark(item) for item in damage.stored.items(table)]
        assert sorted(repr(sorted(item.items())) for item in after) == sorted(
            repr(sorted(item.items())) for item in items
        )
    assert verification.removed == []


@pytest.mark.parametrize("has_claim", [True, False])
def test_verify_repair_of_mobile_device_held_twice_keeps_one_device(
    damage: Damage, verification: Verification, has_claim: bool
) -> None:
    hold_one_mobile_twice(damage)
    if not has_claim:
        damage.remove(DEVICES, damage.mobile("m1"))
    assert verification.repair() == []
    # The claim decides; without one, the later write does.
    stays, goes = ("d1", "d2") if has_claim else ("d2", "d1")
    assert damage.stored.holder("m1") == stays
    assert damage.stored.device(goes) is None
    assert [getattr(entity, "device_id", None) for entity in verification.removed] == [goes]


@pytest.mark.parametrize("kind", UNREPAIRABLE)
def test_verify_unrepairable_damage_is_reported_and_unchanged(
    damage: Damage, verification: Verification, kind: str
) -> None:
    break_it, rules = UNREPAIRABLE[kind]
    break_it(damage)
    try:
        found = verification.rules()
        assert set(rules) <= set(found)
        assert set(rules) & set(verification.repair())
        assert verification.removed == []
    finally:
        damage.stored.client.delete_item(TableName=DIRECTORY, Key={"record": {"S": "fax#1"}})


def test_verify_repair_restores_key_id(damage: Damage, verification: Verification) -> None:
    key = {"record": f"credential#{digest('demo-places-key')}"}
    item = damage.stored.get(DIRECTORY, key)
    assert item is not None
    damage.change(DIRECTORY, item, key_id="f" * 16)
    assert verification.rules() == [Rule.DIGEST]
    assert verification.repair() == []
    assert damage.stored.get(DIRECTORY, key) == item


@pytest.mark.parametrize("kind", REPAIRABLE)
def test_repairer_find_left_is_what_a_whole_verification_finds(
    damage: Damage, verification: Verification, kind: str
) -> None:
    REPAIRABLE[kind][0](damage)
    findings = verify(verification.registry, EPOCH)[1]
    repairer = Repairer(verification.registry, EPOCH, lambda entity: None)
    assert repairer.find_left(findings) == findings
    repairer.apply([repairer.propose(each) for each in findings])
    left = repairer.find_left(findings)
    assert {repr(each) for each in left} == {repr(each) for each in verify(verification.registry, EPOCH)[1]}


def test_verify_expired_items_are_counted_and_removed(damage: Damage, verification: Verification) -> None:
    for item in (damage.subscriber(0), damage.claim("device", "dev1"), damage.claim("sid", "sid1")):
        damage.change(SUBSCRIBERS, item, expires_at=EPOCH)
    damage.change(PLACES, damage.token("t1"), expires_at=EPOCH - 1)
    damage.change(PLACES, damage.token("t2"), expires_at=EPOCH + 1)
    verifier, findings = verify(verification.registry, EPOCH)
    assert findings == []
    assert [verifier.counts[table, "expired"] for table in (DEVICES, SUBSCRIBERS, PLACES)] == [0, 3, 1]
    assert verification.repairer.remove_expired() == 4
    assert len(damage.stored.items(SUBSCRIBERS)) == 3
    assert [item["device_token"] for item in damage.stored.items(PLACES)] == ["t2"]
    assert verification.repairer.remove_expired() == 0


def test_verify_reads_all_pages(damage: Damage, verification: Verification) -> None:
    """A page of DynamoDB's ends at 1 MB."""
    row = damage.token("t1")
    for number in range(300):
        text = f"{number:04000}"
        damage.stored.put(PLACES, {**row, "device_token": text, "token_digest": digest(text)})
    damage.change(PLACES, row, token_digest=digest("x"), device_token="t1")
    looked_at: list[int] = []
    verifier, findings = verify(verification.registry, EPOCH, looked_at.append)
    assert len(findings) == 1
    assert verifier.counts[PLACES, "items"] == 303
    assert len(looked_at) > 4

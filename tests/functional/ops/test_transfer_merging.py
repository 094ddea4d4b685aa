"""Merging of rows into a registry that holds earlier or later states of them."""

from __future__ import annotations

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, digest
from pushreg_local.demo import ACCOUNT_ID
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.registry import Registry
from tests.support.calls import Engagement, Kazoo, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.transfer import EARLIER, EPOCH, KSIDS, LATER, LATEST, Merge, device, subscriber, token

pytestmark = pytest.mark.engine


@pytest.fixture
def merge(registry: Registry) -> Merge:
    return Merge(registry)


def test_merge_new_registrations_are_stored_with_claims(merge: Merge, stored: Stored) -> None:
    batch = (device("d1", "m1"), subscriber(KSIDS[0], "dev", "sid", ufid="u"), token("t"))
    assert merge(*batch) == ["created"] * 3
    kept = {"created_at": EARLIER, "updated_at": LATER}
    (one, claim) = sorted(stored.settled(DEVICES), key=lambda item: item["record"])
    assert one | kept == one
    assert one["writes"] == 3
    assert claim["record"] == f"mobile#{digest('m1')}"
    assert len(stored.settled(SUBSCRIBERS)) == 3
    assert stored.subscriber(KSIDS[0]) == {**(stored.subscriber(KSIDS[0]) or {}), **kept, "active": True, "ufid": "u"}
    (row,) = stored.settled(PLACES)
    assert row | kept == row


def test_merge_same_batch_again_is_unchanged(merge: Merge, stored: Stored) -> None:
    batch = (device("d1", "m1"), subscriber(KSIDS[0], "dev", "sid"), token("t"))
    merge(*batch)
    before = [stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)]
    assert merge(*batch) == ["unchanged"] * 3
    assert merge(*batch) == ["unchanged"] * 3
    assert [stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)] == before


def test_merge_mixed_batch_creates_only_new_rows(merge: Merge, stored: Stored) -> None:
    merge(token("t1"), device("d1", "m1"))
    assert merge(token("t1"), token("t2"), device("d1", "m1"), device("d2", "m2")) == [
        "unchanged",
        "created",
        "unchanged",
        "created",
    ]
    assert len(stored.settled(PLACES)) == 2
    assert len(stored.settled(DEVICES)) == 4


def test_merge_same_idempotency_token_does_not_restore_deleted_rows(merge: Merge, stored: Stored) -> None:
    """A run that was killed and goes on repeats its last batches; what was deleted meanwhile stays so."""
    merge(token("t1"), token("t2"), token="batch")
    stored.clear(PLACES)
    assert merge(token("t1"), token("t2"), token="batch") == ["created"] * 2
    assert stored.items(PLACES) == []
    assert merge(token("t1"), token="batch") == ["created"]
    assert len(stored.items(PLACES)) == 1


@pytest.mark.parametrize(
    ("candidate", "table"),
    [
        (subscriber(KSIDS[0], "dev", "sid-b", LATER, ufid="new"), SUBSCRIBERS),
        (device("d1", "m2", LATER), DEVICES),
        (device("d1", "m1", LATER, proxy="198.51.100.1"), DEVICES),
    ],
    ids=["subscriber", "device with another mobile", "device with another proxy"],
)
def test_merge_later_state_replaces_registration_and_claims(
    merge: Merge, stored: Stored, candidate: Candidate, table: str
) -> None:
    merge(subscriber(KSIDS[0], "dev", "sid-a", EARLIER), device("d1", "m1", EARLIER))
    count = len(stored.items(table))
    assert merge(candidate) == ["updated"]
    items = stored.settled(table)
    assert len(items) == count
    assert [item["created_at"] for item in items if "updated_at" in item] == [EARLIER]
    assert [item["updated_at"] for item in items if "updated_at" in item] == [LATER]
    assert merge(candidate) == ["unchanged"]
    assert merge.superseded == []


def test_merge_replacement_continues_write_count(merge: Merge, stored: Stored) -> None:
    merge(device("d1", "m1", EARLIER, writes=5))
    merge(device("d1", "m1", LATER, proxy="198.51.100.1", writes=2))
    assert (stored.device("d1") or {})["writes"] == 6


@pytest.mark.parametrize("moment", [EARLIER, LATER], ids=["earlier", "at the same time"])
def test_merge_earlier_state_is_refused(merge: Merge, stored: Stored, moment: str) -> None:
    merge(subscriber(KSIDS[0], "dev", "sid-a", LATER), device("d1", "m1", LATER))
    before = [stored.items(SUBSCRIBERS), stored.items(DEVICES)]
    for candidate in (subscriber(KSIDS[0], "dev", "sid-b", moment), device("d1", "m2", moment)):
        assert merge.reason(candidate) == f"superseded: the stored registration was refreshed at {LATER}"
    assert [stored.items(SUBSCRIBERS), stored.items(DEVICES)] == before


def test_merge_row_without_time_is_refused(merge: Merge) -> None:
    merge(device("d1", "m1", EARLIER))
    assert "superseded" in merge.reason(device("d1", "m2", LATEST, timed=False))


def test_merge_refresh_extends_ttl(merge: Merge, stored: Stored) -> None:
    soon, late = EPOCH + 10, EPOCH + 1000
    merge(subscriber(KSIDS[0], "dev", "sid", EARLIER, soon), token("t", EARLIER, soon))
    assert merge(subscriber(KSIDS[0], "dev", "sid", LATER, late), token("t", LATER, late)) == ["updated"] * 2
    assert {item["expires_at"] for item in [*stored.items(SUBSCRIBERS), *stored.items(PLACES)]} == {late}
    assert merge(token("t", EARLIER, soon), token("u", EARLIER, soon)) == ["unchanged", "created"]


def test_merge_expired_registration_does_not_conflict(merge: Merge, stored: Stored) -> None:
    past = EPOCH - 1
    merge(subscriber(KSIDS[0], "dev", "sid", LATEST, past), token("t", LATEST, past))
    assert merge(subscriber(KSIDS[1], "dev", "sid-b", EARLIER), token("t", EARLIER)) == ["updated"] * 2
    assert merge(subscriber(KSIDS[0], "dev-c", "sid", EARLIER)) == ["updated"]
    assert merge.superseded == []
    assert [item for item in stored.items(SUBSCRIBERS) if "expires_at" in item] == []
    assert [item for item in stored.items(PLACES) if "expires_at" in item] == []


def test_merge_wrong_claim_is_refused_with_hint_to_verify(merge: Merge, stored: Stored) -> None:
    stored.put(DEVICES, {"account_id": ACCOUNT_ID, "record": f"mobile#{digest('m1')}", "device_id": "gone"})
    assert "pushreg verify --repair" in merge.reason(device("d1", "m1"))
    stored.put(DEVICES, {"account_id": ACCOUNT_ID, "record": "device#d2", "device_id": "d2"})
    assert "is unreadable" in merge.reason(device("d2", "m2"))


def test_merge_dry_run_reports_same_outcomes_without_writing(registry: Registry, merge: Merge, stored: Stored) -> None:
    merge(device("d1", "m1", EARLIER), token("t", LATER))
    before = [stored.items(DEVICES), stored.items(PLACES)]
    dry = Merge(registry, dry_run=True)
    batch = (device("d2", "m1", LATER), token("t", EARLIER), token("new"), device("d1", "m9", EARLIER))
    assert dry(*batch) == ["updated", "unchanged", "created", "refused"]
    assert [stored.items(DEVICES), stored.items(PLACES)] == before
    assert dry.superseded == []


def test_merge_result_is_used_by_live_traffic(merge: Merge, gateway: Gateway, stored: Stored) -> None:
    merge(device("d1", "m1"), subscriber(KSIDS[0], "dev", "sid"), token("t"))
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)
    assert kazoo.get("d1").json["revision"].startswith("3-")
    assert kazoo.put("d2", "m1").status == 201
    assert stored.device("d1") is None
    assert answered(engagement.subscribe("dev", "sid"))[:2] == ("201", KSIDS[0])
    assert answered(engagement.subscribe("dev", "rotated"))[:2] == ("200", KSIDS[0])
    assert answered(engagement.unsubscribe(ksid=KSIDS[0]))[0] == "200"
    for table in (DEVICES, SUBSCRIBERS):
        stored.settled(table)

"""What becomes of registrations that meet others: who stays, what is written, what live traffic finds."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pushreg.models.directory import digest
from pushreg.table import Client
from pushreg_ops.importers.engagement import create_subscriber
from pushreg_ops.importers.kazoo import create_device, read_content
from pushreg_ops.importers.places import create_token
from pushreg_ops.items import Device, Subscriber
from pushreg_ops.targets import Registry
from pushreg_ops.transfer.entities import Candidate, Head, claims_of, name_of
from pushreg_ops.transfer.merging import Merger
from tests.contract.in_process import Gateway
from tests.support.calls import APP, Engagement, Kazoo, answered, subscription
from tests.support.stored import DEVICES, PLACES, SUBSCRIBERS, Stored

pytestmark = pytest.mark.engine

ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
EPOCH = 1_795_305_600
EARLIER, LATER, LATEST = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"
KSIDS = ("1000000000000000001", "1000000000000000002", "1000000000000000003")


def device(
    name: str, mobile: str, moment: str = LATER, proxy: str = "192.0.2.9", writes: int = 3, timed: bool = True
) -> Candidate:
    content = read_content(subscription(mobile, proxy), APP)
    head = create_device(ACCOUNT, name, content, writes=writes, created_at=EARLIER, updated_at=moment)
    return Candidate.from_head(head, ("account", ACCOUNT), is_timed=timed)


def subscriber(
    ksid: str, device_id: str, sid: str, moment: str = LATER, expires_at: int | None = None, **fields: Any
) -> Candidate:
    form = {"ksid": ksid, "appId": "demo-app", "deviceId": device_id, "sid": sid, "osType": "androidgcm", **fields}
    options = {
        "active": True,
        "is_timed": True,
        **{name: form.pop(name) for name in ("active", "is_timed") if name in form},
    }
    return create_subscriber(form, created_at=EARLIER, updated_at=moment, expires_at=expires_at, **options)


def token(text: str, moment: str = LATER, expires_at: int | None = None, timed: bool = True) -> Candidate:
    return create_token(PLACE, text, created_at=EARLIER, updated_at=moment, expires_at=expires_at, is_timed=timed)


class Merge:
    """Merges into the registry behind the handlers, and remembers what was displaced."""

    def __init__(self, registry: Registry, client: Client | None = None, dry_run: bool = False) -> None:
        self.displaced: list[Head] = []
        self._merger = Merger(client or registry.client, registry.tables, EPOCH, self.displaced.append, dry_run=dry_run)

    def __call__(self, *candidates: Candidate, token: str | None = None) -> list[str]:
        return [each.word for each in self._merger.merge(candidates, token or uuid.uuid4().hex)]

    def reason(self, candidate: Candidate) -> str:
        (outcome,) = self._merger.merge([candidate], uuid.uuid4().hex)
        assert outcome.word == "refused"
        assert outcome.reason is not None
        return outcome.reason


@pytest.fixture
def merge(registry: Registry) -> Merge:
    return Merge(registry)


def test_what_nothing_stands_in_the_way_of_is_stored_with_its_claims(merge: Merge, stored: Stored) -> None:
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


def test_the_same_again_changes_nothing(merge: Merge, stored: Stored) -> None:
    batch = (device("d1", "m1"), subscriber(KSIDS[0], "dev", "sid"), token("t"))
    merge(*batch)
    before = [stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)]
    assert merge(*batch) == ["unchanged"] * 3
    assert merge(*batch) == ["unchanged"] * 3
    assert [stored.items(table) for table in (DEVICES, SUBSCRIBERS, PLACES)] == before


def test_rows_that_are_new_come_in_beside_rows_that_were_there(merge: Merge, stored: Stored) -> None:
    merge(token("t1"), device("d1", "m1"))
    assert merge(token("t1"), token("t2"), device("d1", "m1"), device("d2", "m2")) == [
        "unchanged",
        "created",
        "unchanged",
        "created",
    ]
    assert len(stored.settled(PLACES)) == 2
    assert len(stored.settled(DEVICES)) == 4


def test_within_ten_minutes_the_same_attempt_brings_nothing_back(merge: Merge, stored: Stored) -> None:
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
def test_a_later_state_of_a_registration_replaces_it_and_releases_what_it_held(
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
    assert merge.displaced == []


def test_the_count_of_a_replaced_revision_goes_on(merge: Merge, stored: Stored) -> None:
    merge(device("d1", "m1", EARLIER, writes=5))
    merge(device("d1", "m1", LATER, proxy="198.51.100.1", writes=2))
    assert (stored.device("d1") or {})["writes"] == 6


@pytest.mark.parametrize("moment", [EARLIER, LATER], ids=["earlier", "at the same time"])
def test_an_earlier_state_is_refused(merge: Merge, stored: Stored, moment: str) -> None:
    merge(subscriber(KSIDS[0], "dev", "sid-a", LATER), device("d1", "m1", LATER))
    before = [stored.items(SUBSCRIBERS), stored.items(DEVICES)]
    for candidate in (subscriber(KSIDS[0], "dev", "sid-b", moment), device("d1", "m2", moment)):
        assert merge.reason(candidate) == f"superseded: what stands was refreshed at {LATER}"
    assert [stored.items(SUBSCRIBERS), stored.items(DEVICES)] == before


def test_a_row_without_time_replaces_nothing(merge: Merge) -> None:
    merge(device("d1", "m1", EARLIER))
    assert "superseded" in merge.reason(device("d1", "m2", LATEST, timed=False))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (device("d1", "m1", EARLIER), device("d2", "m1", LATER)),
        (subscriber(KSIDS[0], "dev", "sid-a", EARLIER), subscriber(KSIDS[1], "dev", "sid-b", LATER)),
        (subscriber(KSIDS[0], "dev-a", "sid", EARLIER), subscriber(KSIDS[1], "dev-b", "sid", LATER)),
        (subscriber(KSIDS[0], "dev", "sid", EARLIER), subscriber(KSIDS[1], "dev", "sid", LATER)),
    ],
    ids=["mobile device", "device", "sid", "device and sid"],
)
@pytest.mark.parametrize("turned", [False, True], ids=["earlier first", "later first"])
def test_of_two_that_hold_the_same_the_later_stays_whichever_comes_first(
    merge: Merge, stored: Stored, first: Candidate, second: Candidate, turned: bool
) -> None:
    order = (second, first) if turned else (first, second)
    merge(order[0])
    if turned:
        assert "superseded" in merge.reason(first)
        assert merge.displaced == []
    else:
        assert merge(second) == ["updated"]
        assert merge.displaced == [first.head]
    items = [*stored.settled(DEVICES), *stored.settled(SUBSCRIBERS)]
    assert len(items) == len(second.records)
    assert {item["updated_at"] for item in items if "updated_at" in item} == {LATER}


def test_one_may_displace_two(merge: Merge, stored: Stored) -> None:
    merge(subscriber(KSIDS[0], "dev-a", "sid-a", EARLIER), subscriber(KSIDS[1], "dev-b", "sid-b", EARLIER))
    assert merge(subscriber(KSIDS[2], "dev-a", "sid-b", LATER)) == ["updated"]
    assert {head.ksid for head in merge.displaced if isinstance(head, Subscriber)} == set(KSIDS[:2])
    assert len(stored.settled(SUBSCRIBERS)) == 3


def test_one_that_is_newer_than_one_of_two_displaces_neither(merge: Merge, stored: Stored) -> None:
    merge(subscriber(KSIDS[0], "dev-a", "sid-a", EARLIER), subscriber(KSIDS[1], "dev-b", "sid-b", LATEST))
    assert KSIDS[1] in merge.reason(subscriber(KSIDS[2], "dev-a", "sid-b", LATER))
    assert len(stored.settled(SUBSCRIBERS)) == 6


def test_of_a_registration_that_is_refreshed_the_time_to_live_moves(merge: Merge, stored: Stored) -> None:
    soon, late = EPOCH + 10, EPOCH + 1000
    merge(subscriber(KSIDS[0], "dev", "sid", EARLIER, soon), token("t", EARLIER, soon))
    assert merge(subscriber(KSIDS[0], "dev", "sid", LATER, late), token("t", LATER, late)) == ["updated"] * 2
    assert {item["expires_at"] for item in [*stored.items(SUBSCRIBERS), *stored.items(PLACES)]} == {late}
    assert merge(token("t", EARLIER, soon), token("u", EARLIER, soon)) == ["unchanged", "created"]


def test_what_has_expired_is_in_nobodys_way(merge: Merge, stored: Stored) -> None:
    past = EPOCH - 1
    merge(subscriber(KSIDS[0], "dev", "sid", LATEST, past), token("t", LATEST, past))
    assert merge(subscriber(KSIDS[1], "dev", "sid-b", EARLIER), token("t", EARLIER)) == ["updated"] * 2
    assert merge(subscriber(KSIDS[0], "dev-c", "sid", EARLIER)) == ["updated"]
    assert merge.displaced == []
    assert [item for item in stored.items(SUBSCRIBERS) if "expires_at" in item] == []
    assert [item for item in stored.items(PLACES) if "expires_at" in item] == []


def test_a_claim_that_leads_astray_is_for_verify(merge: Merge, stored: Stored) -> None:
    stored.put(DEVICES, {"account_id": ACCOUNT, "record": f"mobile#{digest('m1')}", "device_id": "gone"})
    assert "pushreg verify --repair" in merge.reason(device("d1", "m1"))
    stored.put(DEVICES, {"account_id": ACCOUNT, "record": "device#d2", "device_id": "d2"})
    assert "cannot be read" in merge.reason(device("d2", "m2"))


def test_a_dry_run_says_the_same_and_writes_nothing(registry: Registry, merge: Merge, stored: Stored) -> None:
    merge(device("d1", "m1", EARLIER), token("t", LATER))
    before = [stored.items(DEVICES), stored.items(PLACES)]
    dry = Merge(registry, dry_run=True)
    batch = (device("d2", "m1", LATER), token("t", EARLIER), token("new"), device("d1", "m9", EARLIER))
    assert dry(*batch) == ["updated", "unchanged", "created", "refused"]
    assert [stored.items(DEVICES), stored.items(PLACES)] == before
    assert dry.displaced == []


def test_live_traffic_goes_on_from_what_was_merged(merge: Merge, gateway: Gateway, stored: Stored) -> None:
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


class Interference:
    """A client that lets something happen before each of the first transactions."""

    def __init__(self, client: Any, happenings: Sequence[Callable[[], Any]]) -> None:
        self._client = client
        self._happenings = iter(happenings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        next(self._happenings, lambda: None)()
        return self._client.transact_write_items(**parameters)


def test_live_traffic_between_reading_and_writing_wins(
    registry: Registry, merge: Merge, gateway: Gateway, stored: Stored
) -> None:
    """The row would replace what it read; by then a device has come whose registration is newer."""
    merge(device("d1", "m1", EARLIER), subscriber(KSIDS[0], "dev", "sid", EARLIER))
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)
    happenings = [lambda: None, lambda: kazoo.put("d9", "m1"), lambda: engagement.subscribe("dev", "live")]
    busy = Merge(registry, Interference(registry.client, happenings))
    assert "superseded: device d9" in busy.reason(device("d2", "m1", LATER))
    assert "superseded" in busy.reason(subscriber(KSIDS[0], "dev", "imported", LATER))
    assert stored.holder("m1") == "d9"
    assert stored.subscriber(KSIDS[0]) == {**(stored.subscriber(KSIDS[0]) or {}), "sid": "live"}
    for table in (DEVICES, SUBSCRIBERS):
        stored.settled(table)


def test_a_device_that_comes_while_its_batch_is_written_keeps_what_it_wrote(
    registry: Registry, gateway: Gateway, stored: Stored
) -> None:
    kazoo = Kazoo(gateway.send)
    busy = Merge(registry, Interference(registry.client, [lambda: kazoo.put("d1", "m-live")]))
    assert busy(device("d1", "m1"), device("d2", "m2")) == ["refused", "created"]
    assert (stored.device("d1") or {})["mobile_device_id"] == "m-live"
    assert len(stored.settled(DEVICES)) == 4


def test_whatever_the_order_the_outcome_is_the_same(registry: Registry, stored: Stored) -> None:
    """Each order of three rows that get in each other's way in pairs; the latest always stays."""
    rows = (
        device("d1", "m1", EARLIER),
        device("d2", "m1", LATER),
        device("d1", "m2", LATEST),
        subscriber(KSIDS[0], "dev-a", "sid-a", LATER),
        subscriber(KSIDS[0], "dev-b", "sid-a", LATEST),
        subscriber(KSIDS[1], "dev-b", "sid-b", EARLIER),
    )
    wanted = None
    for order in itertools.chain(itertools.permutations(rows[:3]), itertools.permutations(rows[3:])):
        stored.clear(DEVICES, SUBSCRIBERS)
        merge = Merge(registry)
        for row in order:
            merge(row)
        found = sorted(name_of(head) for head in _heads(stored))
        if order[0] in rows[:3]:
            assert found == [name_of(rows[2].head), name_of(rows[1].head)]
        else:
            wanted = wanted or found
            assert found == wanted == [name_of(rows[4].head)]


def _heads(stored: Stored) -> list[Head]:
    heads: list[Head] = []
    heads += [Device.from_item(item) for item in stored.settled(DEVICES) if "document" in item]
    heads += [Subscriber.from_item(item) for item in stored.settled(SUBSCRIBERS) if "sid" in item]
    assert all(claims_of(head) for head in heads)
    return heads

"""Imports of rows that conflict with each other or with live traffic."""

from __future__ import annotations

import itertools

import pytest

from pushreg.schema import DEVICES, SUBSCRIBERS
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.records.entities import StoredEntity, name_of
from pushreg_ops.records.items import StoredDevice, StoredSubscriber
from pushreg_ops.registry import Registry
from tests.support.calls import Engagement, Kazoo
from tests.support.clients import act_before_writes
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.transfer import EARLIER, KSIDS, LATER, LATEST, Merge, device, subscriber

pytestmark = pytest.mark.engine


@pytest.fixture
def merge(registry: Registry) -> Merge:
    return Merge(registry)


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
def test_import_conflict_keeps_most_recently_refreshed(
    merge: Merge, stored: Stored, first: Candidate, second: Candidate, turned: bool
) -> None:
    order = (second, first) if turned else (first, second)
    merge(order[0])
    if turned:
        assert "superseded" in merge.reason(first)
        assert merge.superseded == []
    else:
        assert merge(second) == ["updated"]
        assert merge.superseded == [first.entity]
    items = [*stored.settled(DEVICES), *stored.settled(SUBSCRIBERS)]
    assert len(items) == len(second.records)
    assert {item["updated_at"] for item in items if "updated_at" in item} == {LATER}


def test_import_conflict_with_two_rivals_replaces_both(merge: Merge, stored: Stored) -> None:
    merge(subscriber(KSIDS[0], "dev-a", "sid-a", EARLIER), subscriber(KSIDS[1], "dev-b", "sid-b", EARLIER))
    assert merge(subscriber(KSIDS[2], "dev-a", "sid-b", LATER)) == ["updated"]
    assert {entity.ksid for entity in merge.superseded if isinstance(entity, StoredSubscriber)} == set(KSIDS[:2])
    assert len(stored.settled(SUBSCRIBERS)) == 3


def test_import_conflict_older_than_one_rival_replaces_none(merge: Merge, stored: Stored) -> None:
    merge(subscriber(KSIDS[0], "dev-a", "sid-a", EARLIER), subscriber(KSIDS[1], "dev-b", "sid-b", LATEST))
    assert KSIDS[1] in merge.reason(subscriber(KSIDS[2], "dev-a", "sid-b", LATER))
    assert len(stored.settled(SUBSCRIBERS)) == 6


def test_import_conflict_with_live_write_keeps_live_write(registry: Registry, merge: Merge, stored: Stored) -> None:
    """The row would replace what it read; by then a device has come whose registration is newer."""
    merge(device("d1", "m1", EARLIER), subscriber(KSIDS[0], "dev", "sid", EARLIER))
    # Without TTL: the import takes place in 2100.
    gateway = Gateway(registry.client, {"STALE_AFTER_DAYS": "0"})
    kazoo, engagement = Kazoo(gateway.send), Engagement(gateway.send)
    happenings = [lambda: None, lambda: kazoo.put("d9", "m1"), lambda: engagement.subscribe("dev", "live")]
    busy = Merge(registry, act_before_writes(registry.client, *happenings))
    assert "superseded: device d9" in busy.reason(device("d2", "m1", LATER))
    assert "superseded" in busy.reason(subscriber(KSIDS[0], "dev", "imported", LATER))
    assert stored.holder("m1") == "d9"
    assert stored.subscriber(KSIDS[0]) == {**(stored.subscriber(KSIDS[0]) or {}), "sid": "live"}
    for table in (DEVICES, SUBSCRIBERS):
        stored.settled(table)


def test_import_batch_racing_live_put_keeps_live_put(registry: Registry, gateway: Gateway, stored: Stored) -> None:
    kazoo = Kazoo(gateway.send)
    busy = Merge(registry, act_before_writes(registry.client, lambda: kazoo.put("d1", "m-live")))
    assert busy(device("d1", "m1"), device("d2", "m2")) == ["refused", "created"]
    assert (stored.device("d1") or {})["mobile_device_id"] == "m-live"
    assert len(stored.settled(DEVICES)) == 4


def test_import_order_does_not_change_outcome(registry: Registry, stored: Stored) -> None:
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
        found = sorted(name_of(entity) for entity in _entities(stored))
        if order[0] in rows[:3]:
            assert found == [name_of(rows[2].entity), name_of(rows[1].entity)]
        else:
            wanted = wanted or found
            assert found == wanted == [name_of(rows[4].entity)]


def _entities(stored: Stored) -> list[StoredEntity]:
    heads: list[StoredEntity] = []
    heads += [StoredDevice.from_item(item) for item in stored.settled(DEVICES) if "document" in item]
    heads += [StoredSubscriber.from_item(item) for item in stored.settled(SUBSCRIBERS) if "sid" in item]
    return heads

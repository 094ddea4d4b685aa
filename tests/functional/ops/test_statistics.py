"""Statistics of a registry."""

from __future__ import annotations

import pytest

from pushreg.schema import DEVICES, PLACES, digest
from pushreg_local.demo import ACCOUNT_ID
from pushreg_ops.migrate.exporting import Exporter
from pushreg_ops.records.inspection import Inspector
from pushreg_ops.records.statistics import Statistics
from pushreg_ops.registry import Registry
from pushreg_ops.verify.checking import verify
from tests.support.stored import Stored
from tests.support.transfer import EPOCH, KSIDS, Merge, device, subscriber, token

pytestmark = pytest.mark.engine

TODAY, LAST_WEEK, LONG_AGO = "2099-12-31T12:00:00Z", "2099-12-22T00:00:00Z", "2024-01-01T00:00:00Z"


def test_statistics_count_by_family_platform_and_age(registry: Registry, stored: Stored) -> None:
    merge = Merge(registry)
    merge(device("d1", "m1", TODAY), device("d2", "m2", LONG_AGO), token("t1", LAST_WEEK))
    merge(subscriber(KSIDS[0], "dev1", "sid1", TODAY), subscriber(KSIDS[1], "dev2", "sid2", TODAY, osType="iphone"))
    merge(subscriber(KSIDS[2], "dev3", "sid3", TODAY, appId="demo-secure-app", active=False))
    merge(token("t2", TODAY, EPOCH), token("t3", TODAY, EPOCH + 1))
    stored.put(DEVICES, {"account_id": ACCOUNT_ID, "record": "device#broken"})
    looked_at: list[int] = []
    kazoo, engagement, places = (
        tally.to_record() for tally in Statistics(registry, EPOCH, looked_at.append).collect().values()
    )
    assert (kazoo["registrations"], kazoo["unreadable"], kazoo["owners"]) == (2, 1, 1)
    assert kazoo["platforms"] == {"android": 2}
    assert kazoo["largest_owners"] == {ACCOUNT_ID: 2}
    assert {age: count for age, count in kazoo["last_refresh"].items() if count} == {
        "under 1 day": 1,
        "270 days or more": 1,
    }
    assert (engagement["registrations"], engagement["inactive"]) == (3, 1)
    assert engagement["platforms"] == {"androidgcm": 2, "iphone": 1}
    assert engagement["applications"] == {"demo-app": 2, "demo-secure-app": 1}
    assert (places["registrations"], places["expired"], places["owners"]) == (2, 1, 1)
    assert places["last_refresh"]["7 to 30 days"] == 1
    assert sum(looked_at) == len(stored.items(DEVICES)) + 9 + 3


DAMAGES = [
    {"document": "not json"},
    {"document": "[]"},
    {"document": '{"platform":[1]}'},
    {"document": '{"platform":null}'},
    {"document": '{"notification_registration_ids":[]}'},
    {"document": '{"notification_registration_ids":{"t":5}}'},
    {"document": '{"notification_registration_ids":{"t":{"notification_type":"fcm"}}}'},
    {"document": '{"notification_registration_ids":{"t":{"notification_preferences":[1]}}}'},
    {"updated_at": "2026-13-45T99:99:99Z"},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: next(iter(damage.values())))
def test_device_with_damaged_attribute_is_unreadable_to_every_reader(
    registry: Registry, stored: Stored, damage: dict[str, str]
) -> None:
    Merge(registry)(device("d1", "m1", TODAY))
    (item,) = [each for each in stored.items(DEVICES) if each["record"] == "device#d1"]
    stored.put(DEVICES, {**item, **damage})
    kazoo = Statistics(registry, EPOCH, lambda count: None).collect()["kazoo"]
    assert (kazoo.living, kazoo.unreadable) == (0, 1)
    exporter = Exporter(registry, EPOCH, lambda count: None)
    assert list(exporter.read(["kazoo"])) == []
    assert exporter.counts == {"unreadable": 1}
    inspector = Inspector(registry, EPOCH)
    assert inspector.find("d1") == inspector.find(ACCOUNT_ID) == []
    _, findings = verify(registry, EPOCH, lambda count: None)
    assert f"bad or missing: {next(iter(damage))}" in [each.violation.detail for each in findings]


def test_statistics_list_ten_largest_places(registry: Registry, stored: Stored) -> None:
    times = {"created_at": TODAY, "updated_at": TODAY}
    for place in range(12):
        for number in range(place + 1):
            row = {"place_id": f"00000000-0000-4000-8000-{place:012}", "device_token": f"t{number}", **times}
            stored.put(PLACES, {**row, "token_digest": digest(f"t{number}")})
    places = Statistics(registry, EPOCH, lambda count: None).collect()["places"].to_record()
    assert places["owners"] == 12
    assert list(places["largest_owners"].values()) == list(range(12, 2, -1))


def test_statistics_of_empty_registry_are_zero(other: Registry) -> None:
    tallies = Statistics(other, EPOCH, lambda count: None).collect()
    assert [tally.living for tally in tallies.values()] == [0, 0, 0]

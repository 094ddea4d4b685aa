"""TTL: expired registrations count as absent at once, before DynamoDB removes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.demo import PLACE_ID
from pushreg_ops.records.invariants import check_devices, check_subscribers
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.time import Time

DAYS = 270
DAY = timedelta(days=1)
LIFE = timedelta(days=DAYS)
SECOND = timedelta(seconds=1)


class Registry:
    """The families under a number of days, which a test may change as a deployment would."""

    def __init__(self, stored: Stored, time: Time) -> None:
        self._stored = stored
        self._time = time
        self.deploy(DAYS)

    def deploy(self, days: int) -> None:
        """Start functions anew with another StaleAfterDays."""
        gateway = Gateway(self._stored.client, {"STALE_AFTER_DAYS": str(days)}, **self._time.options())
        self.places, self.engagement, self.kazoo = Places(gateway.send), Engagement(gateway.send), Kazoo(gateway.send)

    def wait(self, duration: timedelta) -> None:
        self._time.moment += duration

    @property
    def epoch(self) -> int:
        return int(self._time.moment.timestamp())

    def ends(self, table: str) -> set[int | None]:
        """When the rows of the table end, in seconds from now."""
        items = self._stored.items(table)
        return {item["expires_at"] - self.epoch if "expires_at" in item else None for item in items}

    def subscribe(self, device: str = "dev", sid: str = "sid", **fields: Any) -> tuple[str, str]:
        status, ksid, _ = answered(self.engagement.subscribe(device, sid, **fields))
        return status, ksid


@pytest.fixture
def registry(empty: Stored, time: Time) -> Registry:
    return Registry(empty, time)


WHOLE = int(LIFE.total_seconds())
ONE_DAY = int(DAY.total_seconds())


def test_places_put_renews_ttl(registry: Registry, empty: Stored) -> None:
    registry.places.put("token")
    assert registry.ends(PLACES) == {WHOLE}
    created = (empty.token("token") or {})["created_at"]
    registry.wait(LIFE - SECOND)
    assert registry.places.put("token").status == 200
    assert registry.ends(PLACES) == {WHOLE}
    assert (empty.token("token") or {})["created_at"] == created


@pytest.mark.parametrize("late", [timedelta(0), SECOND, LIFE], ids=["at its end", "a second later", "much later"])
def test_places_expired_token_counts_as_absent(registry: Registry, empty: Stored, late: timedelta) -> None:
    registry.places.put("token")
    created = (empty.token("token") or {})["created_at"]
    registry.wait(LIFE + late)
    assert registry.places.delete("token").status == 404
    assert registry.places.put("token").status == 200
    row = empty.token("token") or {}
    assert row["created_at"] == row["updated_at"] > created
    assert registry.ends(PLACES) == {WHOLE}
    assert registry.places.delete("token").status == 200


def test_places_token_lives_until_its_last_second(registry: Registry) -> None:
    registry.places.put("token")
    registry.wait(LIFE - SECOND)
    assert registry.places.delete("token").status == 200


def test_engagement_subscriber_and_claims_share_ttl(registry: Registry) -> None:
    registry.subscribe()
    assert registry.ends(SUBSCRIBERS) == {WHOLE}
    registry.wait(DAY)
    registry.subscribe(sid="rotated")
    assert registry.ends(SUBSCRIBERS) == {WHOLE}


def test_engagement_duplicate_renews_ttl_at_most_once_a_day(registry: Registry, empty: Stored) -> None:
    _, ksid = registry.subscribe()
    before = empty.items(SUBSCRIBERS)
    registry.wait(DAY)
    assert registry.subscribe() == ("201", ksid)
    assert empty.items(SUBSCRIBERS) == before
    registry.wait(SECOND)
    assert registry.subscribe() == ("201", ksid)
    assert registry.ends(SUBSCRIBERS) == {WHOLE}
    # What calls once a day for years never ends.
    for _ in range(5):
        registry.wait(LIFE - SECOND)
        assert registry.subscribe() == ("201", ksid)
    assert registry.ends(SUBSCRIBERS) == {WHOLE}
    assert len(empty.settled(SUBSCRIBERS)) == 3


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda it, ksid: it.engagement.unsubscribe(ksid=ksid), "404"),
        (lambda it, ksid: it.engagement.unsubscribe(appId="demo-app", deviceId="dev"), "404"),
        (lambda it, ksid: it.engagement.unsubscribe(ksid=ksid, appId="demo-app", deviceId="dev"), "404"),
    ],
    ids=["by ksid", "by device", "by all three"],
)
def test_engagement_unsubscribe_of_expired_subscriber_returns_404(
    registry: Registry, call: Callable[[Registry, str], Any], wanted: str
) -> None:
    _, ksid = registry.subscribe()
    registry.wait(LIFE)
    assert answered(call(registry, ksid))[0] == wanted


def test_engagement_subscribe_after_expiry_creates_new_ksid(registry: Registry, empty: Stored) -> None:
    _, old = registry.subscribe()
    registry.wait(LIFE)
    status, new = registry.subscribe()
    assert status == "200"
    assert new != old
    assert registry.subscribe() == ("201", new)
    # What is left of the old one has no claims any more, and waits for DynamoDB.
    assert (empty.subscriber(old) or {})["expires_at"] == registry.epoch
    assert len(empty.items(SUBSCRIBERS)) == 4


@pytest.mark.parametrize(("device", "sid"), [("dev", "other"), ("other", "sid")], ids=["device", "sid"])
def test_engagement_claims_of_expired_subscriber_are_taken(registry: Registry, device: str, sid: str) -> None:
    registry.subscribe()
    registry.wait(LIFE - SECOND)
    _, living = registry.subscribe("living", "of-living")
    registry.wait(SECOND)
    # Were the old claims to count, this would be one subscriber updated, or two and unclear.
    status, ksid = registry.subscribe(device, sid)
    assert status == "200"
    assert ksid != living
    assert registry.subscribe("living", "of-living") == ("201", living)


def test_engagement_expired_rival_is_not_unclear(registry: Registry, empty: Stored) -> None:
    _, old = registry.subscribe("dev-a", "sid-a")
    registry.wait(LIFE - DAY)
    _, living = registry.subscribe("dev-b", "sid-b")
    assert registry.subscribe("dev-a", "sid-b")[0] == "403"
    registry.wait(DAY)
    assert registry.subscribe("dev-a", "sid-b") == ("200", living)
    assert list(check_subscribers(empty.items(SUBSCRIBERS), registry.epoch)) == []
    assert old != living


def test_engagement_unsubscribe_does_not_renew_ttl(registry: Registry) -> None:
    """Unsubscribing does not begin the time anew: it is no sign of life of the token."""
    _, ksid = registry.subscribe()
    registry.wait(DAY)
    assert answered(registry.engagement.unsubscribe(ksid=ksid))[0] == "200"
    assert registry.ends(SUBSCRIBERS) == {WHOLE - ONE_DAY}
    registry.wait(LIFE - DAY - SECOND)
    assert registry.subscribe() == ("200", ksid)
    assert registry.ends(SUBSCRIBERS) == {WHOLE}


def test_ttl_of_zero_days_never_expires(registry: Registry) -> None:
    registry.deploy(0)
    registry.places.put("token")
    _, ksid = registry.subscribe()
    assert registry.ends(PLACES) == registry.ends(SUBSCRIBERS) == {None}
    registry.wait(LIFE * 10)
    assert registry.subscribe() == ("201", ksid)
    assert registry.places.delete("token").status == 200


@pytest.mark.parametrize(
    ("before", "after"), [(0, DAYS), (DAYS, 0), (30, DAYS), (DAYS, 30)], ids=["on", "off", "longer", "shorter"]
)
def test_ttl_parameter_change_applies_from_next_write(
    registry: Registry, empty: Stored, before: int, after: int
) -> None:
    registry.deploy(before)
    registry.places.put("token")
    _, ksid = registry.subscribe()
    registry.wait(2 * DAY)
    registry.deploy(after)
    assert registry.ends(PLACES) == {before * ONE_DAY - 2 * ONE_DAY if before else None}
    assert registry.places.put("token").status == 200
    assert registry.subscribe() == ("201", ksid)
    wanted = {after * ONE_DAY if after else None}
    assert registry.ends(PLACES) == registry.ends(SUBSCRIBERS) == wanted
    assert len(empty.settled(SUBSCRIBERS)) == 3


def test_kazoo_subscription_without_ttl_never_expires(registry: Registry) -> None:
    registry.deploy(0)
    assert registry.kazoo.put("d1", "m1").status == 201
    assert registry.ends(DEVICES) == {None}
    registry.wait(LIFE * 10)
    assert registry.kazoo.get("d1").status == 200


@pytest.mark.parametrize("days", [0, DAYS])
def test_kazoo_unchanged_post_refreshes_once_a_day(registry: Registry, empty: Stored, days: int) -> None:
    registry.deploy(days)
    revision = registry.kazoo.put("d1", "m1").json["revision"]
    before = empty.items(DEVICES)
    registry.wait(DAY - SECOND)
    assert registry.kazoo.post("d1", "m1").json["revision"] == revision
    assert empty.items(DEVICES) == before
    registry.wait(SECOND)
    assert registry.kazoo.post("d1", "m1").json["revision"] == revision
    device = empty.device("d1") or {}
    assert device["refreshed_at"] > device["updated_at"] == device["created_at"]
    assert registry.ends(DEVICES) == {WHOLE if days else None}
    # Once again on the same day writes nothing.
    before = empty.items(DEVICES)
    registry.wait(DAY - SECOND)
    assert registry.kazoo.post("d1", "m1").status == 200
    assert empty.items(DEVICES) == before


@pytest.mark.parametrize("mobile", ["m1", "m2"], ids=["same mobile device", "other mobile device"])
def test_kazoo_post_renews_ttl_of_subscription_and_claim(registry: Registry, empty: Stored, mobile: str) -> None:
    registry.kazoo.put("d1", "m1")
    registry.wait(LIFE - SECOND)
    assert registry.kazoo.post("d1", mobile, "192.0.2.7").json["revision"].startswith("2-")
    assert registry.ends(DEVICES) == {WHOLE}
    assert list(check_devices(empty.items(DEVICES), registry.epoch)) == []


def test_kazoo_expired_subscription_counts_as_absent(registry: Registry, empty: Stored) -> None:
    registry.kazoo.put("d1", "m1")
    registry.wait(LIFE)
    assert registry.kazoo.get("d1").status == 404
    assert registry.kazoo.delete("d1").status == 404
    # By what this process has seen, and by the same content.
    assert registry.kazoo.post("d1", "m1", "192.0.2.7").status == 404
    assert registry.kazoo.post("d1", "m1").status == 404
    reply = registry.kazoo.put("d1", "m2")
    assert (reply.status, reply.json["revision"][:2]) == (201, "1-")
    assert list(check_devices(empty.items(DEVICES), registry.epoch)) == []


def test_kazoo_mobile_device_of_expired_subscription_is_free(registry: Registry, empty: Stored) -> None:
    registry.kazoo.put("d1", "m1")
    registry.kazoo.put("d2", "m2")
    registry.wait(LIFE - SECOND)
    registry.kazoo.post("d2", "m2")
    registry.wait(SECOND)
    before = len(empty.items(DEVICES))
    assert registry.kazoo.post("d2", "m1").status == 200
    assert registry.kazoo.put("d3", "m3").status == 201
    # What is left of the expired one waits for DynamoDB.
    assert len(empty.items(DEVICES)) == before - 1 + 2
    assert list(check_devices(empty.items(DEVICES), registry.epoch)) == []


def test_kazoo_takeover_from_living_device_beside_expired_one(registry: Registry, empty: Stored) -> None:
    registry.kazoo.put("d1", "m1")
    registry.wait(LIFE)
    registry.kazoo.put("d2", "m1")
    assert registry.kazoo.put("d1", "m1").status == 201
    assert registry.kazoo.get("d2").status == 404
    assert list(check_devices(empty.items(DEVICES), registry.epoch)) == []


@pytest.mark.parametrize(
    ("before", "after"), [(0, DAYS), (DAYS, 0), (30, DAYS), (DAYS, 30)], ids=["on", "off", "longer", "shorter"]
)
def test_kazoo_ttl_parameter_change_applies_from_next_refresh(
    registry: Registry, empty: Stored, before: int, after: int
) -> None:
    registry.deploy(before)
    revision = registry.kazoo.put("d1", "m1").json["revision"]
    registry.wait(2 * DAY)
    registry.deploy(after)
    assert registry.kazoo.post("d1", "m1").json["revision"] == revision
    assert registry.ends(DEVICES) == {after * ONE_DAY if after else None}


def test_kazoo_subscription_of_version_1_0_0_is_refreshed(registry: Registry, empty: Stored) -> None:
    registry.deploy(0)
    revision = registry.kazoo.put("d1", "m1").json["revision"]
    item = empty.device("d1") or {}
    empty.put(DEVICES, {name: value for name, value in item.items() if name != "refreshed_at"})
    assert registry.kazoo.post("d1", "m1").json["revision"] == revision
    assert "refreshed_at" not in (empty.device("d1") or {})
    registry.wait(DAY)
    assert registry.kazoo.post("d1", "m1").json["revision"] == revision
    assert "refreshed_at" in (empty.device("d1") or {})


def test_responses_do_not_contain_ttl(registry: Registry) -> None:
    reply = registry.places.put("token")
    assert reply.json["message"]["data"] == {"place_id": PLACE_ID, "device_token": "token"}
    assert b"expires" not in reply.body + registry.engagement.subscribe("dev", "sid").body

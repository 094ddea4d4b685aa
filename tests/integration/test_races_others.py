"""Sixteen concurrent callers on engagement's subscribers and on a place's tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pushreg.schema import KSID_PREFIX, PLACES, SUBSCRIBERS
from tests.integration.racing import CALLERS, Race, open_race, wait_patiently
from tests.support.calls import Engagement, Modern, Places, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    with open_race() as race:
        yield race


@pytest.fixture
def gateway(client: Any) -> Gateway:
    return wait_patiently(client)


def test_engagement_concurrent_identical_subscribes_create_one_subscriber(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    engagement = Engagement(gateway.send)
    for number in rounds:
        replies = race([partial(engagement.subscribe, f"device-{number}", f"sid-{number}")] * len(CALLERS))
        assert Counter(reply.status for reply in replies) == {200: 1, 201: len(CALLERS) - 1}
        assert len({answered(reply)[1] for reply in replies}) == 1
        assert len(empty.settled(SUBSCRIBERS)) == 3 * (number + 1)


def test_engagement_concurrent_sids_of_device_keep_one(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    engagement = Engagement(gateway.send)
    for number in rounds:
        device = f"device-{number}"
        replies = race([partial(engagement.subscribe, device, f"sid-{number}-{caller}") for caller in CALLERS])
        messages = Counter(answered(reply)[2] for reply in replies)
        assert messages == {"Subscription successful.": 1, "Update successful.": len(CALLERS) - 1}
        assert {reply.status for reply in replies} == {200}
        assert len({answered(reply)[1] for reply in replies}) == 1
        assert len(empty.settled(SUBSCRIBERS)) == 3 * (number + 1)


def test_engagement_concurrent_crossing_subscribes_never_share_claim(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    engagement = Engagement(gateway.send)
    for number in rounds[: len(rounds) // 4]:
        pairs = [(f"device-{number}-{caller % 4}", f"sid-{number}-{caller // 4}") for caller in CALLERS]
        replies = race([partial(engagement.subscribe, device, sid) for device, sid in pairs])
        codes = Counter(answered(reply)[0] for reply in replies)
        assert set(codes) <= {"200", "403"}
        ksids = {answered(reply)[1] for reply in replies if reply.status == 200}
        created = sum(answered(reply)[2] == "Subscription successful." for reply in replies)
        found = [item for item in empty.settled(SUBSCRIBERS) if item["record"].removeprefix(KSID_PREFIX) in ksids]
        assert created == len(ksids) == len(found) >= 1


def test_engagement_concurrent_subscribe_and_unsubscribe_are_consistent(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    engagement = Engagement(gateway.send)
    for number in rounds[: len(rounds) // 4]:
        device, sid = f"device-{number}", f"sid-{number}"
        ksid = answered(engagement.subscribe(device, sid))[1]
        pair = [partial(engagement.unsubscribe, ksid=ksid), partial(engagement.subscribe, device, sid)]
        replies = race(pair * (len(CALLERS) // 2))
        assert {answered(reply)[1] for reply in replies} == {ksid}
        messages = Counter(answered(reply)[2] for reply in replies)
        # Each leaving that took effect was undone by a coming, but for the last.
        subscriber = empty.subscriber(ksid)
        assert subscriber is not None
        left = messages["Unsubscription successful."] - messages["Update successful."]
        assert left == (0 if subscriber["active"] else 1)
        assert len(empty.settled(SUBSCRIBERS)) == 3 * (number + 1)


def test_modern_concurrent_crossing_subscribes_leave_one_active_subscriber_per_sid(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    modern = Modern(gateway.send)
    for number in rounds[: len(rounds) // 4]:
        pairs = [(f"device-{number}-{caller % 4}", f"sid-{number}-{caller // 4}") for caller in CALLERS]
        replies = race([partial(modern.subscribe, device, sid) for device, sid in pairs])
        assert {reply.status for reply in replies} == {200}
        found = [item for item in empty.settled(SUBSCRIBERS) if item["record"].startswith(KSID_PREFIX)]
        active = [item for item in found if item["active"] and item["deviceId"].startswith(f"device-{number}-")]
        assert len({item["sid"] for item in active}) == len(active) >= 1


def test_modern_concurrent_subscribe_inactivate_and_delete_are_consistent(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    modern = Modern(gateway.send)
    for number in rounds[: len(rounds) // 4]:
        device, sid = f"device-{number}", f"sid-{number}"
        ksid = modern.subscribe(device, sid).json["id"]
        calls = [
            partial(modern.set_active, ksid, False),
            partial(modern.delete, ksid),
            partial(modern.subscribe, device, sid),
            partial(modern.unsubscribe, ksid),
        ]
        replies = race(calls * (len(CALLERS) // 4))
        assert {reply.status for reply in replies} <= {200, 400}
        deleted = sum(reply.json["message"] == "Subscribers deleted successfully" for reply in replies)
        created = sum(reply.json["message"] == "Subscription successful. " for reply in replies)
        assert deleted <= 1
        found = [item for item in empty.settled(SUBSCRIBERS) if item.get("deviceId") == device]
        assert len(found) == 1 - deleted + created <= 1
        assert deleted == 0 or empty.subscriber(ksid) is None


def test_places_concurrent_put_and_delete_are_consistent(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    places = Places(gateway.send)
    for number in rounds:
        token = f"token-{number}"
        replies = race([partial(places.put, token), partial(places.delete, token)] * (len(CALLERS) // 2))
        puts, deletes = replies[::2], replies[1::2]
        assert {reply.status for reply in puts} == {200}
        assert {reply.status for reply in deletes} <= {200, 404}
        gone = sum(reply.status == 200 for reply in deletes)
        rows = empty.settled(PLACES)
        assert len(rows) == 1 or (rows == [] and gone > 0)
        assert places.delete(token).status == (200 if rows else 404)
        assert places.delete(token).status == 404

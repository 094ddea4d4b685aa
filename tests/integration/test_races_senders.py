"""Feedback on old tokens beside apps that register: a verdict never removes a newer registration.

docs/data-model.md#invariant-7-a-verdict-never-removes-a-later-registration
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from pushreg.clock import to_iso
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.integration.racing import CALLERS, Race, open_race
from tests.support.calls import Engagement, Kazoo, Places, Reply, Send, Senders, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored

pytestmark = pytest.mark.engine

REGISTERED = datetime.now(UTC)
SENT_AT = to_iso(REGISTERED + timedelta(seconds=10))
LATER = REGISTERED + timedelta(seconds=20)
DEAD = {"provider": "fcm", "code": "UNREGISTERED", "at": SENT_AT}


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    with open_race() as race:
        yield race


def open_functions(client: Any, moment: datetime) -> Send:
    options: dict[str, Any] = {"sleep": time.sleep, "timer": lambda: time.monotonic() / 10}
    return Gateway(client, clock=lambda: moment, **options).send


@pytest.fixture
def before(client: Any) -> Send:
    """Functions at the time of the first registration."""
    return open_functions(client, REGISTERED)


@pytest.fixture
def after(client: Any) -> Send:
    """Functions after the message was sent."""
    return open_functions(client, LATER)


def report(senders: Senders, entry: dict[str, Any]) -> Reply:
    """Report until the database has answered."""
    reply = senders.report(entry)
    while reply.status == 503 or reply.json["results"][0]["status"] == "failed":
        reply = senders.report(entry)
    return reply


def run(race: Race, after: Send, entry: dict[str, Any], register: Callable[[], Reply]) -> list[str]:
    """Let half of the callers report and one register among them; return what became of the reports."""
    reporting = partial(report, Senders(after), entry)
    replies = race([reporting if number != 3 else register for number in CALLERS])
    assert replies[3].status in (200, 201, 404)
    return [reply.json["results"][0]["status"] for number, reply in enumerate(replies) if number != 3]


def test_feedback_beside_put_of_place_never_removes_it(
    before: Send, after: Send, empty: Stored, race: Race, rounds: range
) -> None:
    for number in rounds:
        token = f"token-{number}"
        Places(before).put(token)
        entry = {"place_id": PLACE_ID, "device_token": token, **DEAD}
        statuses = run(race, after, entry, partial(Places(after).put, token))
        assert set(statuses) <= {"removed", "absent", "newer"}
        assert statuses.count("removed") <= 1
        row = empty.token(token)
        assert row is not None
        assert row["updated_at"] == to_iso(LATER)
    empty.settled(PLACES)


def test_feedback_beside_new_sid_never_marks_it_dead(
    before: Send, after: Send, empty: Stored, race: Race, rounds: range
) -> None:
    for number in rounds:
        device, old, new = f"device-{number}", f"old-{number}", f"new-{number}"
        ksid = answered(Engagement(before).subscribe(device, old))[1]
        entry = {"ksid": ksid, "sid": old, **DEAD}
        statuses = run(race, after, entry, partial(Engagement(after).subscribe, device, new))
        assert set(statuses) <= {"removed", "newer"}
        subscriber = empty.subscriber(ksid) or {}
        assert (subscriber["sid"], subscriber.get("cloud", True)) == (new, True)
    empty.settled(SUBSCRIBERS)


def test_feedback_beside_sid_taken_back_never_marks_it_dead(
    before: Send, after: Send, empty: Stored, race: Race, rounds: range
) -> None:
    for number in rounds:
        device, old = f"device-{number}", f"old-{number}"
        ksid = answered(Engagement(before).subscribe(device, old))[1]

        def rotate(device: str = device, old: str = old) -> Reply:
            Engagement(after).subscribe(device, f"{old}-other")
            return Engagement(after).subscribe(device, old)

        run(race, after, {"ksid": ksid, "sid": old, **DEAD}, rotate)
        subscriber = empty.subscriber(ksid) or {}
        assert (subscriber["sid"], subscriber.get("cloud", True)) == (old, True)
    empty.settled(SUBSCRIBERS)


def kazoo_data(number: int, proxy: str) -> dict[str, Any]:
    kinds = {"old": "chat", "other": "incoming_call"}
    registrations = {
        name: {"notification_preferences": [kind], "notification_type": "fcm"} for name, kind in kinds.items()
    }
    return {
        "mobile_device_id": f"phone-{number}",
        "notification_registration_ids": registrations,
        "platform": "android",
        "sip_proxy_server": proxy,
    }


def test_feedback_beside_kazoo_post_never_drops_its_ids(
    before: Send, after: Send, empty: Stored, race: Race, rounds: range
) -> None:
    for number in rounds:
        device = f"desk-{number}"
        assert Kazoo(before).call("PUT", device, kazoo_data(number, "192.0.2.1")).status == 201
        entry = {"account_id": ACCOUNT_ID, "device_id": device, "registration_id": "old", **DEAD}
        replace = partial(Kazoo(after).call, "POST", device, kazoo_data(number, "192.0.2.2"))
        statuses = run(race, after, entry, replace)
        assert set(statuses) <= {"removed", "absent", "newer"}
        assert statuses.count("removed") <= 1
        found = Kazoo(after).get(device).json["data"]
        assert (set(found["notification_registration_ids"]), found["sip_proxy_server"]) == (
            {"old", "other"},
            "192.0.2.2",
        )
    empty.settled(DEVICES)


def test_feedback_beside_kazoo_device_made_anew_never_removes_it(
    before: Send, after: Send, empty: Stored, race: Race, rounds: range
) -> None:
    """The same content, deleted and registered anew, has the revision that the feedback read."""
    for number in rounds:
        device = f"desk-{number}"
        data = kazoo_data(number, "192.0.2.1")
        assert Kazoo(before).call("PUT", device, data).status == 201

        def make_anew(device: str = device, data: dict[str, Any] = data) -> Reply:
            Kazoo(after).delete(device)
            return Kazoo(after).call("PUT", device, data)

        entry = {"account_id": ACCOUNT_ID, "device_id": device, "registration_id": "old", **DEAD}
        run(race, after, entry, make_anew)
        found = Kazoo(after).get(device).json["data"]
        assert set(found["notification_registration_ids"]) == {"old", "other"}
    empty.settled(DEVICES)

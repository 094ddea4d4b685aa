"""Sixteen callers at once, through the real handlers: whoever wins, what is stored and what was said fit together."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.contract.in_process import Gateway
from tests.support.calls import Engagement, Kazoo, Places, Reply, answered, subscription
from tests.support.stored import DEVICES, PLACES, SUBSCRIBERS, Stored

ROUNDS = range(100)
FEWER_ROUNDS = range(25)
CALLERS = range(16)

Race = Callable[[Sequence[Callable[[], Reply]]], list[Reply]]

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    """Starts all calls at the same moment and gives their replies in the order of the calls."""
    barrier = threading.Barrier(len(CALLERS))

    def run(call: Callable[[], Reply]) -> Reply:
        barrier.wait(60)
        return call()

    with ThreadPoolExecutor(len(CALLERS)) as pool:
        yield lambda calls: list(pool.map(run, calls))


@pytest.fixture
def gateway(client: Any) -> Gateway:
    """Functions with all the patience that the last of many callers on a busy machine may need."""
    return Gateway(client, sleep=time.sleep, timer=lambda: time.monotonic() / 10, emit=print)


def test_one_of_many_creates_of_a_device_wins(gateway: Gateway, empty: Stored, race: Race) -> None:
    kazoo = Kazoo(gateway.send)
    for number in ROUNDS:
        device = f"device-{number}"
        replies = race([partial(kazoo.put, device, f"phone-{number}-{caller}") for caller in CALLERS])
        assert Counter(reply.status for reply in replies) == {201: 1, 400: len(CALLERS) - 1}
        assert {reply.json["message"] for reply in replies if reply.status == 400} == {
            "subscription already exists for this device"
        }
        (winner,) = (reply.json["data"]["mobile_device_id"] for reply in replies if reply.status == 201)
        assert kazoo.get(device).json["data"]["mobile_device_id"] == winner
        assert empty.holder(winner) == device
        assert len(empty.settled(DEVICES)) == 2 * (number + 1)


def test_a_mobile_device_wanted_by_many_devices_ends_on_one(gateway: Gateway, empty: Stored, race: Race) -> None:
    kazoo = Kazoo(gateway.send)
    for number in ROUNDS:
        phone = f"phone-{number}"
        # A quarter of the devices have another phone so far and exchange it.
        verbs = ["POST" if caller % 4 == 0 else "PUT" for caller in CALLERS]
        devices = [f"device-{number}-{caller}" for caller in CALLERS]
        for device, verb in zip(devices, verbs, strict=True):
            if verb == "POST":
                assert kazoo.put(device, f"{phone}-before-{device}").status == 201
        replies = race(
            [
                partial(kazoo.call, verb, device, subscription(phone))
                for device, verb in zip(devices, verbs, strict=True)
            ]
        )
        assert [reply.status for reply in replies] == [200 if verb == "POST" else 201 for verb in verbs]
        assert {reply.json["data"]["mobile_device_id"] for reply in replies} == {phone}
        holder = empty.holder(phone)
        assert holder in devices
        assert kazoo.get(holder).json["data"]["mobile_device_id"] == phone
        # Of the other devices, and of the phones that were exchanged, no trace is left.
        assert len(empty.settled(DEVICES)) == 2 * (number + 1)


def test_devices_that_swap_phones_lose_neither_without_saying_so(gateway: Gateway, empty: Stored, race: Race) -> None:
    kazoo = Kazoo(gateway.send)
    for number in ROUNDS:
        one, two = f"one-{number}", f"two-{number}"
        kazoo.put(one, f"phone-of-{one}")
        kazoo.put(two, f"phone-of-{two}")
        swaps = [(one, f"phone-of-{two}"), (two, f"phone-of-{one}")] * (len(CALLERS) // 2)
        replies = race([partial(kazoo.post, device, phone) for device, phone in swaps])
        # Whoever comes first takes the other's phone, and with it the other's subscription.
        (winner,) = (device for device in (one, two) if kazoo.get(device).status == 200)
        expected = [200 if device == winner else 404 for device, _ in swaps]
        assert [reply.status for reply in replies] == expected
        assert kazoo.get(winner).json["data"]["mobile_device_id"] == dict(swaps)[winner]
        assert len(empty.settled(DEVICES)) == 2 * (number + 1)


def test_many_equal_subscribes_make_one_subscriber(gateway: Gateway, empty: Stored, race: Race) -> None:
    engagement = Engagement(gateway.send)
    for number in ROUNDS:
        replies = race([partial(engagement.subscribe, f"device-{number}", f"sid-{number}")] * len(CALLERS))
        assert Counter(reply.status for reply in replies) == {200: 1, 201: len(CALLERS) - 1}
        assert len({answered(reply)[1] for reply in replies}) == 1
        assert len(empty.settled(SUBSCRIBERS)) == 3 * (number + 1)


def test_a_device_that_gets_many_sids_at_once_keeps_one(gateway: Gateway, empty: Stored, race: Race) -> None:
    engagement = Engagement(gateway.send)
    for number in ROUNDS:
        device = f"device-{number}"
        replies = race([partial(engagement.subscribe, device, f"sid-{number}-{caller}") for caller in CALLERS])
        messages = Counter(answered(reply)[2] for reply in replies)
        assert messages == {"Subscription successful.": 1, "Update successful.": len(CALLERS) - 1}
        assert {reply.status for reply in replies} == {200}
        assert len({answered(reply)[1] for reply in replies}) == 1
        assert len(empty.settled(SUBSCRIBERS)) == 3 * (number + 1)


def test_crossing_devices_and_sids_never_share_a_claim(gateway: Gateway, empty: Stored, race: Race) -> None:
    engagement = Engagement(gateway.send)
    for number in FEWER_ROUNDS:
        pairs = [(f"device-{number}-{caller % 4}", f"sid-{number}-{caller // 4}") for caller in CALLERS]
        replies = race([partial(engagement.subscribe, device, sid) for device, sid in pairs])
        codes = Counter(answered(reply)[0] for reply in replies)
        assert set(codes) <= {"200", "403"}
        ksids = {answered(reply)[1] for reply in replies if reply.status == 200}
        created = sum(answered(reply)[2] == "Subscription successful." for reply in replies)
        found = [item for item in empty.settled(SUBSCRIBERS) if item["record"].removeprefix("ksid#") in ksids]
        assert created == len(ksids) == len(found) >= 1


def test_subscribing_and_unsubscribing_at_once_agree_in_the_end(gateway: Gateway, empty: Stored, race: Race) -> None:
    engagement = Engagement(gateway.send)
    for number in FEWER_ROUNDS:
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


def test_a_token_put_and_deleted_at_once_is_there_or_not(gateway: Gateway, empty: Stored, race: Race) -> None:
    places = Places(gateway.send)
    for number in ROUNDS:
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

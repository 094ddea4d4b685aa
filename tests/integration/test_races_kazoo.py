"""Sixteen concurrent callers on the devices of an account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pushreg.schema import DEVICES
from tests.integration.racing import CALLERS, Race, open_race, wait_patiently
from tests.support.calls import Kazoo, kazoo_data
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


def test_kazoo_concurrent_puts_of_device_create_one(gateway: Gateway, empty: Stored, race: Race, rounds: range) -> None:
    kazoo = Kazoo(gateway.send)
    for number in rounds:
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


def test_kazoo_concurrent_takeovers_leave_one_device(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    kazoo = Kazoo(gateway.send)
    for number in rounds:
        phone = f"phone-{number}"
        # A quarter of the devices have another phone so far and exchange it.
        verbs = ["POST" if caller % 4 == 0 else "PUT" for caller in CALLERS]
        devices = [f"device-{number}-{caller}" for caller in CALLERS]
        for device, verb in zip(devices, verbs, strict=True):
            if verb == "POST":
                assert kazoo.put(device, f"{phone}-before-{device}").status == 201
        replies = race(
            [partial(kazoo.call, verb, device, kazoo_data(phone)) for device, verb in zip(devices, verbs, strict=True)]
        )
        assert [reply.status for reply in replies] == [200 if verb == "POST" else 201 for verb in verbs]
        assert {reply.json["data"]["mobile_device_id"] for reply in replies} == {phone}
        holder = empty.holder(phone)
        assert holder in devices
        assert kazoo.get(holder).json["data"]["mobile_device_id"] == phone
        # Of the other devices, and of the phones that were exchanged, no trace is left.
        assert len(empty.settled(DEVICES)) == 2 * (number + 1)


def test_kazoo_concurrent_swaps_of_mobile_devices_are_answered_truthfully(
    gateway: Gateway, empty: Stored, race: Race, rounds: range
) -> None:
    kazoo = Kazoo(gateway.send)
    for number in rounds:
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

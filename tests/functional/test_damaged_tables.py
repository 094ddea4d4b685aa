"""Items that contradict each other are answered as store errors and left unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import DEVICES, SUBSCRIBERS, digest
from pushreg_local.demo import ACCOUNT_ID
from tests.support.calls import APPLICATION, answered
from tests.support.gateway import Gateway
from tests.support.scenarios import Api
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire


@pytest.fixture
def api(client: Any, empty: Stored, time: Time) -> Api:
    return Api.over(Gateway(client, **time.options()).send)


def damage_claim(stored: Stored, mobile_device_id: str, device_id: str) -> None:
    key = {"account_id": ACCOUNT_ID, "record": f"mobile#{digest(mobile_device_id)}"}
    stored.put(DEVICES, {**key, "device_id": device_id})


def test_kazoo_delete_with_wrong_claim_returns_503_without_change(api: Api, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    damage_claim(empty, "phone", "den")
    before = empty.items(DEVICES)
    assert api.kazoo.delete("desk").status == 503
    assert api.kazoo.post("desk", "new-phone").status == 503
    assert empty.items(DEVICES) == before


@pytest.mark.parametrize("verb", ["put", "post"])
def test_kazoo_takeover_with_wrong_claim_returns_503_without_change(verb: str, api: Api, empty: Stored) -> None:
    api.kazoo.put("den", "other-phone")
    if verb == "post":
        api.kazoo.put("desk", "old-phone")
    damage_claim(empty, "phone", "den")
    before = empty.items(DEVICES)
    assert getattr(api.kazoo, verb)("desk", "phone").status == 503
    assert empty.items(DEVICES) == before


def test_kazoo_put_with_dangling_claim_takes_it_over(api: Api, empty: Stored) -> None:
    damage_claim(empty, "phone", "gone")
    assert api.kazoo.put("desk", "phone").status == 201
    assert len(empty.settled(DEVICES)) == 2


def test_engagement_unsubscribe_without_claim_returns_500_without_change(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    record = {"record": f"device#{APPLICATION}#{digest('phone')}"}
    claim = empty.get(SUBSCRIBERS, record)
    assert claim is not None
    empty.put(SUBSCRIBERS, {**claim, "ksid": "9" * 19})
    before = empty.items(SUBSCRIBERS)
    reply = api.engagement.unsubscribe(ksid=ksid)
    assert answered(reply) == ("500", "-1", "Server failed to process the request.")
    assert empty.items(SUBSCRIBERS) == before


def test_engagement_subscribe_with_dangling_claims_returns_500_after_bounded_calls(
    api: Api, empty: Stored, wire: Wire
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    empty.client.delete_item(TableName=SUBSCRIBERS, Key={"record": {"S": f"ksid#{ksid}"}})
    before = empty.items(SUBSCRIBERS)
    wire.clear()
    assert answered(api.engagement.subscribe("phone", "new-sid"))[:2] == ("500", "-1")
    assert len(wire.calls) < 200
    assert empty.items(SUBSCRIBERS) == before

"""Concurrent writes between a function's read and its conditional write."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.dynamodb import to_attributes
from pushreg.schema import DEVICES, SUBSCRIBERS
from tests.support.calls import APPLICATION, answered
from tests.support.gateway import Gateway
from tests.support.scenarios import Api, warm_up
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire, interpose, reply

TRANSACT = "TransactWriteItems"
UPDATED = "Update successful."


@pytest.fixture
def api(client: Any, wire: Wire, empty: Stored, time: Time) -> Api:
    api = Api.over(Gateway(client, **time.options()).send)
    warm_up(api)
    wire.clear()
    return api


@pytest.fixture
def others(empty: Stored) -> Api:
    """Other callers, whose functions and client nothing happens to."""
    return Api.over(Gateway(empty.client).send)


def test_kazoo_post_after_concurrent_post_returns_next_revision(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.8")), TRANSACT)
    reply = api.kazoo.post("desk", "phone", "192.0.2.7")
    assert (reply.status, reply.json["revision"][:2]) == (200, "3-")


def test_kazoo_post_with_if_match_after_concurrent_post_returns_412(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    revision = api.kazoo.put("desk", "phone").json["revision"]
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.8")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7", if_match=f'"{revision}"').status == 412
    assert others.kazoo.get("desk").json["data"]["sip_proxy_server"] == "192.0.2.8"


def test_kazoo_post_after_identical_concurrent_post_keeps_revision(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.7")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("2-")
    assert others.kazoo.get("desk").json["revision"].startswith("2-")


def test_kazoo_post_after_concurrent_delete_returns_404(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.delete("desk")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7").status == 404
    assert empty.settled(DEVICES) == []


def test_kazoo_post_with_stale_cache_uses_stored_subscription(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    others.kazoo.delete("desk")
    assert api.kazoo.post("desk", "phone", "192.0.2.7").status == 404
    others.kazoo.put("desk", "new-phone")
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("2-")
    assert len(empty.settled(DEVICES)) == 2
    others.kazoo.post("desk", "phone", "192.0.2.8")
    # What was remembered is what is asked for, and only a look at the table tells that it no longer stands.
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("4-")


def test_kazoo_delete_after_concurrent_post_returns_new_revision(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "new-phone")), TRANSACT)
    reply = api.kazoo.delete("desk")
    assert (reply.status, reply.json["revision"][:2]) == (200, "2-")
    assert empty.settled(DEVICES) == []


def test_kazoo_delete_with_stale_if_match_returns_412(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    revision = api.kazoo.put("desk", "phone").json["revision"]
    wire.fail(interpose(lambda: others.kazoo.post("desk", "new-phone")), TRANSACT)
    assert api.kazoo.delete("desk", if_match=f'"{revision}"').status == 412
    assert len(empty.settled(DEVICES)) == 2


def test_kazoo_delete_after_concurrent_app_change_returns_404(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    data = api.kazoo.put("desk", "phone").json["data"]
    wire.fail(interpose(lambda: others.kazoo.call("POST", "desk", data, app="com.example.other")), TRANSACT)
    assert api.kazoo.delete("desk").status == 404
    assert len(empty.settled(DEVICES)) == 2


@pytest.mark.parametrize("verb", ["put", "post"])
def test_kazoo_takeover_of_concurrently_released_mobile_device_succeeds(
    verb: str, api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    others.kazoo.put("den", "phone")
    if verb == "post":
        api.kazoo.put("desk", "old-phone")
    # The first attempt learns who holds the phone; before the second, the holder lets it go.
    wire.fail(lambda _: None, TRANSACT)
    wire.fail(interpose(lambda: others.kazoo.delete("den")), TRANSACT)
    assert getattr(api.kazoo, verb)("desk", "phone").status in (200, 201)
    assert wire.pending == 0
    assert empty.holder("phone") == "desk"
    assert len(empty.settled(DEVICES)) == 2


def test_kazoo_put_with_takeover_after_concurrent_put_returns_400(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    others.kazoo.put("den", "phone")
    wire.fail(lambda _: None, TRANSACT)
    wire.fail(interpose(lambda: others.kazoo.put("desk", "other-phone")), TRANSACT)
    assert api.kazoo.put("desk", "phone").status == 400
    assert empty.holder("phone") == "den"
    assert len(empty.settled(DEVICES)) == 4


def test_engagement_subscribe_after_identical_concurrent_subscribe_is_duplicate(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "sid")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid"))[0] == "201"
    assert len(empty.settled(SUBSCRIBERS)) == 3


@pytest.mark.parametrize(("device_id", "sid"), [("phone", "other-sid"), ("other-phone", "sid")])
def test_engagement_subscribe_after_overlapping_concurrent_subscribe_updates(
    device_id: str, sid: str, api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    wire.fail(interpose(lambda: others.engagement.subscribe(device_id, sid)), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid"))[2] == UPDATED
    (subscriber,) = (item for item in empty.settled(SUBSCRIBERS) if "sid" in item)
    assert (subscriber["deviceId"], subscriber["sid"]) == ("phone", "sid")
    assert len(empty.items(SUBSCRIBERS)) == 3


def test_engagement_update_after_concurrent_update_keeps_ufid(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "other-sid", ufid="me")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "new-sid")) == ("200", ksid, UPDATED)
    assert len(empty.settled(SUBSCRIBERS)) == 3
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["sid"], subscriber["ufid"]) == ("new-sid", "me")


def test_engagement_update_after_identical_concurrent_update_is_duplicate(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.engagement.subscribe("phone", "sid")
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "sid", osType="ipad")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid", osType="ipad"))[0] == "201"


def test_engagement_claims_from_batch_get_are_reread_transactionally_before_403(
    api: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    claims = [item for item in empty.settled(SUBSCRIBERS) if "partner" in item]
    stale = [each | ({"ksid": "9" * 19} if each["record"].startswith("sid#") else {}) for each in claims]
    wire.clear()
    wire.fail(reply(Responses={SUBSCRIBERS: [to_attributes(each) for each in stale]}), "BatchGetItem")
    assert answered(api.engagement.subscribe("phone", "sid", osType="ipad"))[:2] == ("200", ksid)
    assert wire.calls == ["BatchGetItem", "TransactGetItems", "TransactWriteItems"]


def test_engagement_unsubscribe_after_concurrent_device_change_succeeds(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.subscribe("new-phone", "sid")), TRANSACT)
    assert answered(api.engagement.unsubscribe(ksid=ksid))[2] == "Unsubscription successful."
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["deviceId"], subscriber["active"]) == ("new-phone", False)
    empty.settled(SUBSCRIBERS)


def test_engagement_unsubscribe_by_released_device_returns_404(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.subscribe("new-phone", "sid")), TRANSACT)
    assert answered(api.engagement.unsubscribe(appId=APPLICATION, deviceId="phone"))[0] == "404"
    api.engagement.subscribe("phone", "sid")
    wire.fail(interpose(lambda: others.engagement.subscribe("new-phone", "sid")), TRANSACT)
    assert answered(api.engagement.unsubscribe(ksid=ksid, appId=APPLICATION, deviceId="phone"))[0] == "403"
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert subscriber["active"] is True


def test_engagement_unsubscribe_after_concurrent_unsubscribe_is_already_unsubscribed(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.unsubscribe(ksid=ksid)), TRANSACT)
    assert answered(api.engagement.unsubscribe(ksid=ksid)) == ("200", ksid, "Already unsubscribed.")


def test_places_put_after_concurrent_delete_creates_token(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.places.put("token")
    wire.fail(interpose(lambda: others.places.delete("token")), "UpdateItem")
    assert api.places.put("token").status == 200
    assert empty.token("token") is not None


def test_places_delete_after_concurrent_delete_returns_404(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.places.put("token")
    wire.fail(interpose(lambda: others.places.delete("token")), TRANSACT)
    assert api.places.delete("token").status == 404

"""Somebody else is faster, at the worst moment: between what a function has read and what it then writes."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.dynamodb import to_attributes
from tests.support.calls import APPLICATION, answered
from tests.support.contract.in_process import Gateway
from tests.support.scenarios import Api, warm_up
from tests.support.stored import DEVICES, SUBSCRIBERS, Stored
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


def test_a_post_builds_on_what_came_before_it(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.8")), TRANSACT)
    reply = api.kazoo.post("desk", "phone", "192.0.2.7")
    assert (reply.status, reply.json["revision"][:2]) == (200, "3-")


def test_a_post_with_if_match_does_not(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    revision = api.kazoo.put("desk", "phone").json["revision"]
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.8")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7", if_match=f'"{revision}"').status == 412
    assert others.kazoo.get("desk").json["data"]["sip_proxy_server"] == "192.0.2.8"


def test_a_post_that_somebody_else_made_too_changes_nothing(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "phone", "192.0.2.7")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("2-")
    assert others.kazoo.get("desk").json["revision"].startswith("2-")


def test_a_post_to_what_was_deleted_finds_nothing(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.delete("desk")), TRANSACT)
    assert api.kazoo.post("desk", "phone", "192.0.2.7").status == 404
    assert empty.settled(DEVICES) == []


def test_a_post_builds_on_nothing_that_a_function_remembers_wrongly(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    others.kazoo.delete("desk")
    assert api.kazoo.post("desk", "phone", "192.0.2.7").status == 404
    others.kazoo.put("desk", "new-phone")
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("2-")
    assert len(empty.settled(DEVICES)) == 2
    others.kazoo.post("desk", "phone", "192.0.2.8")
    # What was remembered is what is asked for, and only a look at the table tells that it no longer stands.
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("4-")


def test_a_delete_builds_on_what_came_before_it(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.kazoo.put("desk", "phone")
    wire.fail(interpose(lambda: others.kazoo.post("desk", "new-phone")), TRANSACT)
    reply = api.kazoo.delete("desk")
    assert (reply.status, reply.json["revision"][:2]) == (200, "2-")
    assert empty.settled(DEVICES) == []


def test_a_delete_with_if_match_does_not(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    revision = api.kazoo.put("desk", "phone").json["revision"]
    wire.fail(interpose(lambda: others.kazoo.post("desk", "new-phone")), TRANSACT)
    assert api.kazoo.delete("desk", if_match=f'"{revision}"').status == 412
    assert len(empty.settled(DEVICES)) == 2


def test_a_delete_of_what_another_app_took_finds_nothing(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    data = api.kazoo.put("desk", "phone").json["data"]
    wire.fail(interpose(lambda: others.kazoo.call("POST", "desk", data, app="com.example.other")), TRANSACT)
    assert api.kazoo.delete("desk").status == 404
    assert len(empty.settled(DEVICES)) == 2


@pytest.mark.parametrize("verb", ["put", "post"])
def test_a_phone_that_is_let_go_is_taken_all_the_same(
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


def test_a_put_that_somebody_else_made_while_it_took_a_phone_is_refused(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    others.kazoo.put("den", "phone")
    wire.fail(lambda _: None, TRANSACT)
    wire.fail(interpose(lambda: others.kazoo.put("desk", "other-phone")), TRANSACT)
    assert api.kazoo.put("desk", "phone").status == 400
    assert empty.holder("phone") == "den"
    assert len(empty.settled(DEVICES)) == 4


def test_a_subscribe_that_comes_second_is_a_duplicate(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "sid")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid"))[0] == "201"
    assert len(empty.settled(SUBSCRIBERS)) == 3


@pytest.mark.parametrize(("device_id", "sid"), [("phone", "other-sid"), ("other-phone", "sid")])
def test_a_subscribe_that_comes_second_with_half_the_same_updates(
    device_id: str, sid: str, api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    wire.fail(interpose(lambda: others.engagement.subscribe(device_id, sid)), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid"))[2] == UPDATED
    (subscriber,) = (item for item in empty.settled(SUBSCRIBERS) if "sid" in item)
    assert (subscriber["deviceId"], subscriber["sid"]) == ("phone", "sid")
    assert len(empty.items(SUBSCRIBERS)) == 3


def test_an_update_builds_on_what_came_before_it(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "other-sid", ufid="me")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "new-sid")) == ("200", ksid, UPDATED)
    assert len(empty.settled(SUBSCRIBERS)) == 3
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["sid"], subscriber["ufid"]) == ("new-sid", "me")


def test_an_update_that_somebody_else_made_too_is_a_duplicate(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.engagement.subscribe("phone", "sid")
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "sid", osType="ipad")), TRANSACT)
    assert answered(api.engagement.subscribe("phone", "sid", osType="ipad"))[0] == "201"


def test_claims_read_apart_are_read_again_together_before_403(api: Api, wire: Wire, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    claims = [item for item in empty.settled(SUBSCRIBERS) if "partner" in item]
    stale = [each | ({"ksid": "9" * 19} if each["record"].startswith("sid#") else {}) for each in claims]
    wire.clear()
    wire.fail(reply(Responses={SUBSCRIBERS: [to_attributes(each) for each in stale]}), "BatchGetItem")
    assert answered(api.engagement.subscribe("phone", "sid"))[:2] == ("201", ksid)
    assert wire.calls == ["BatchGetItem", "TransactGetItems"]


def test_an_unsubscribe_follows_a_device_that_changes(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.subscribe("new-phone", "sid")), TRANSACT)
    assert answered(api.engagement.unsubscribe(ksid=ksid))[2] == "Unsubscription successful."
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["deviceId"], subscriber["active"]) == ("new-phone", False)
    empty.settled(SUBSCRIBERS)


def test_an_unsubscribe_of_a_device_that_was_given_up_finds_nothing(
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


def test_two_unsubscribes_at_once_are_one(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    wire.fail(interpose(lambda: others.engagement.unsubscribe(ksid=ksid)), TRANSACT)
    assert answered(api.engagement.unsubscribe(ksid=ksid)) == ("200", ksid, "Already unsubscribed.")


def test_a_token_deleted_before_it_is_refreshed_is_made_anew(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.places.put("token")
    wire.fail(interpose(lambda: others.places.delete("token")), "UpdateItem")
    assert api.places.put("token").status == 200
    assert empty.token("token") is not None


def test_a_token_deleted_twice_at_once_is_missed_once(api: Api, others: Api, wire: Wire, empty: Stored) -> None:
    api.places.put("token")
    wire.fail(interpose(lambda: others.places.delete("token")), TRANSACT)
    assert api.places.delete("token").status == 404

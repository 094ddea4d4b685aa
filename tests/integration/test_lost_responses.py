"""Lost responses: a write is applied, its response is lost, and the retry is answered truthfully.

docs/data-model.md#invariant-5-acknowledged-writes-are-durable-retries-are-answered-truthfully
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from pushreg.clock import to_iso
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from tests.support.calls import APPLICATION, Reply, answered
from tests.support.gateway import Gateway
from tests.support.scenarios import DEVICE, SCENARIOS, TOKEN, Api, Scenario, tell, warm_up
from tests.support.stored import Stored
from tests.support.wire import Wire, lose_answer

LOSSES = (ReadTimeoutError(endpoint_url="lost"), ConnectionClosedError(endpoint_url="lost"))

pytestmark = pytest.mark.engine


@pytest.fixture
def gateway(client: Any, wire: Wire) -> Gateway:
    moment = datetime.now(UTC)
    return Gateway(client, clock=lambda: moment)


@pytest.fixture
def api(gateway: Gateway) -> Api:
    api = Api.over(gateway.send)
    warm_up(api)
    return api


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_lost_response_at_any_call_does_not_change_answer(
    scenario: Scenario, loss: Exception, api: Api, wire: Wire, empty: Stored
) -> None:
    prepared = scenario.prepare(api)
    wire.clear()
    undisturbed = tell(scenario.call(api, prepared), empty)
    calls = list(wire.calls)
    assert undisturbed[0] == scenario.status
    for index in range(len(calls)):
        for times in (1, 2):
            empty.clear(DEVICES, SUBSCRIBERS, PLACES)
            prepared = scenario.prepare(api)
            wire.clear()
            wire.fail_at(index, lose_answer(loss), times)
            assert tell(scenario.call(api, prepared), empty) == undisturbed, (calls, index, times)
            assert wire.calls == calls[:index] + [calls[index]] * times + calls[index:]


@pytest.fixture
def others(empty: Stored) -> Api:
    """Other callers, whose functions and client nothing happens to."""
    return Api.over(Gateway(empty.client).send)


def disturb(wire: Wire, operation: str, meanwhile: Callable[[], Reply], after: int = 0) -> None:
    """Lose the answer of the next such call, or a later one, and let somebody else act before it is repeated."""

    def act() -> None:
        assert meanwhile().status in (200, 201)

    wire.clear()
    if after:
        wire.fail(lambda _: None, operation, after)
    wire.fail(lose_answer(LOSSES[0], act), operation)


def test_kazoo_post_retried_after_lost_response_keeps_later_post(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.post("desk", "phone", "192.0.2.8"))
    reply = api.kazoo.post("desk", "phone", "192.0.2.7")
    assert (reply.status, reply.json["data"]["sip_proxy_server"]) == (200, "192.0.2.7")
    assert reply.json["revision"].startswith("2-")
    found = others.kazoo.get("desk").json
    assert found["data"]["sip_proxy_server"] == "192.0.2.8"
    assert found["revision"].startswith("3-")
    assert wire.pending == 0


def test_kazoo_post_with_if_match_retried_after_lost_response_returns_200(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    revision = api.kazoo.put("desk", "phone").json["revision"]
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.post("desk", "phone", "192.0.2.8"))
    reply = api.kazoo.post("desk", "phone", "192.0.2.7", if_match=f'"{revision}"')
    assert (reply.status, reply.json["revision"][:2]) == (200, "2-")
    assert others.kazoo.get("desk").json["data"]["sip_proxy_server"] == "192.0.2.8"


def test_kazoo_post_retried_after_lost_response_does_not_restore_deleted(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.delete("desk"))
    assert api.kazoo.post("desk", "phone", "192.0.2.7").status == 200
    assert empty.settled(DEVICES) == []


def test_kazoo_post_retried_after_lost_response_keeps_new_subscription(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")

    def make_anew() -> Reply:
        others.kazoo.delete("desk")
        return others.kazoo.put("desk", "phone")

    disturb(wire, "TransactWriteItems", make_anew)
    assert api.kazoo.post("desk", "phone", "192.0.2.7").json["revision"].startswith("2-")
    found = others.kazoo.get("desk").json
    assert (found["data"]["sip_proxy_server"], found["revision"][:2]) == ("192.0.2.9", "1-")


def test_kazoo_takeover_retried_after_lost_response_keeps_later_takeover(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    api.kazoo.put("den", "other-phone")
    # The first transaction is refused, and tells who has the phone.
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.put("hall", "phone"), after=1)
    assert api.kazoo.post("den", "phone").status == 200
    assert wire.pending == 0
    assert empty.holder("phone") == "hall"
    assert len(empty.settled(DEVICES)) == 2


def test_kazoo_put_retried_after_lost_response_keeps_later_takeover(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.put("den", "phone"))
    reply = api.kazoo.put("desk", "phone")
    assert (reply.status, reply.json["revision"][:2]) == (201, "1-")
    assert empty.holder("phone") == "den"
    assert len(empty.settled(DEVICES)) == 2


def test_kazoo_delete_retried_after_lost_response_keeps_new_subscription(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.kazoo.put("desk", "phone")
    disturb(wire, "TransactWriteItems", lambda: others.kazoo.put("desk", "phone"))
    assert api.kazoo.delete("desk").status == 200
    assert empty.holder("phone") == "desk"
    assert len(empty.settled(DEVICES)) == 2


def test_engagement_subscribe_retried_after_lost_response_keeps_later_update(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    disturb(wire, "TransactWriteItems", lambda: others.engagement.subscribe("phone", "new-sid"))
    _, ksid, message = answered(api.engagement.subscribe("phone", "sid"))
    assert message == "Subscription successful."
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert subscriber["sid"] == "new-sid"
    assert len(empty.settled(SUBSCRIBERS)) == 3


def test_engagement_update_retried_after_lost_response_keeps_later_update(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    disturb(wire, "TransactWriteItems", lambda: others.engagement.subscribe("phone", "newest-sid"))
    assert answered(api.engagement.subscribe("phone", "new-sid")) == ("200", ksid, "Update successful.")
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert subscriber["sid"] == "newest-sid"
    assert len(empty.settled(SUBSCRIBERS)) == 3


def test_engagement_unsubscribe_retried_after_lost_response_keeps_resubscription(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    disturb(wire, "TransactWriteItems", lambda: others.engagement.subscribe("phone", "sid"))
    reply = api.engagement.unsubscribe(appId=APPLICATION, deviceId="phone", ksid=ksid)
    assert answered(reply) == ("200", ksid, "Unsubscription successful.")
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert subscriber["active"] is True


def test_engagement_subscribe_retried_after_lost_response_returns_same_ksid(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    seen: list[Reply] = []

    def subscribe_too() -> Reply:
        seen.append(others.engagement.subscribe("phone", "sid"))
        return seen[0]

    disturb(wire, "TransactWriteItems", subscribe_too)
    status, ksid, message = answered(api.engagement.subscribe("phone", "sid"))
    assert (status, message) == ("200", "Subscription successful.")
    assert answered(seen[0])[:2] == ("201", ksid)
    assert len(empty.settled(SUBSCRIBERS)) == 3


def test_engagement_update_retried_after_lost_response_keeps_later_unsubscribe(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    disturb(wire, "TransactWriteItems", lambda: others.engagement.unsubscribe(ksid=ksid))
    assert answered(api.engagement.subscribe("phone", "new-sid")) == ("200", ksid, "Update successful.")
    subscriber = empty.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["active"], subscriber["sid"]) == (False, "new-sid")


def test_places_put_retried_after_lost_response_does_not_restore_deleted(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    disturb(wire, "TransactWriteItems", lambda: others.places.delete("token"))
    assert api.places.put("token").status == 200
    assert empty.settled(PLACES) == []


def test_places_delete_retried_after_lost_response_keeps_new_token(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.places.put("token")
    disturb(wire, "TransactWriteItems", lambda: others.places.put("token"))
    assert api.places.delete("token").status == 200
    assert len(empty.settled(PLACES)) == 1


def test_places_refresh_retried_after_concurrent_delete_creates_token(
    api: Api, others: Api, wire: Wire, empty: Stored
) -> None:
    api.places.put("token")
    disturb(wire, "UpdateItem", lambda: others.places.delete("token"))
    # The refresh was over before the deletion, and its caller still waits: it gets what it asked for, a live token.
    assert api.places.put("token").status == 200
    assert len(empty.settled(PLACES)) == 1


@pytest.mark.parametrize("kind", ["token", "sid", "registration"])
def test_feedback_on_dead_token_with_lost_response_returns_removed(
    kind: str, client: Any, wire: Wire, empty: Stored
) -> None:
    now = datetime.now(UTC)
    before = Api.over(Gateway(empty.client, clock=lambda: now - timedelta(seconds=10)).send)
    before.places.put("token")
    before.kazoo.put("desk", "phone")
    ksid = answered(before.engagement.subscribe("phone", "sid"))[1]
    entries: dict[str, dict[str, str]] = {
        "token": TOKEN,
        "sid": {"ksid": ksid, "sid": "sid"},
        "registration": DEVICE,
    }
    api = Api.over(Gateway(client, clock=lambda: now).send)
    warm_up(api)
    wire.clear()
    wire.fail(lose_answer(LOSSES[0]), "TransactWriteItems")
    reply = api.senders.report({**entries[kind], "provider": "fcm", "code": "UNREGISTERED", "at": to_iso(now)})
    assert reply.json == {"results": [{"status": "removed"}]}
    assert wire.pending == 0
    assert wire.calls.count("TransactWriteItems") == 2
    gone = {
        "token": empty.token("token") is None,
        "sid": (empty.subscriber(ksid) or {}).get("cloud") is False,
        "registration": empty.device("desk") is None,
    }
    assert gone == {name: name == kind for name in gone}
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        empty.settled(table)

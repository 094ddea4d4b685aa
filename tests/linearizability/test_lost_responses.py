"""A write whose answer is lost while others change the same: it happens once, and is answered as it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from tests.support.calls import Engagement, Kazoo, Places, Reply, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored

pytestmark = pytest.mark.engine


class Forgetful:
    """A client whose next successful write loses its answer, after something else has happened."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.meanwhile: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation: Callable[..., Any] = getattr(self._client, name)
        return operation if name.startswith(("get", "batch_get", "transact_get")) else partial(self._write, operation)

    def _write(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        answer = operation(**parameters)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is None:
            return answer
        meanwhile()
        raise ConnectionClosedError(endpoint_url="lost")


@pytest.fixture
def others(client: Any) -> Gateway:
    """Functions that others call, on a wire that works."""
    return Gateway(client)


@pytest.fixture
def wire(client: Any) -> Forgetful:
    """The wire of the caller who loses an answer."""
    return Forgetful(client)


@pytest.fixture
def gateway(wire: Forgetful) -> Gateway:
    """Functions at the end of that wire."""
    return Gateway(wire)


@pytest.fixture(autouse=True)
def _empty(stored: Stored) -> Iterator[None]:
    yield
    stored.clear(DEVICES, SUBSCRIBERS, PLACES)


def revision(reply: Reply) -> int:
    count, _, _ = reply.json["revision"].partition("-")
    return int(count)


def test_kazoo_post_with_lost_response_keeps_later_post(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    kazoo, other = Kazoo(gateway.send), Kazoo(others.send)
    other.put("desk", "phone")
    wire.meanwhile = lambda: other.post("desk", "phone", "b.example")
    reply = kazoo.post("desk", "phone", "a.example")
    assert (reply.status, revision(reply)) == (200, 2)
    assert reply.json["data"]["sip_proxy_server"] == "a.example"
    found = other.get("desk")
    assert (revision(found), found.json["data"]["sip_proxy_server"]) == (3, "b.example")
    assert len(stored.settled(DEVICES)) == 2


def test_kazoo_post_with_lost_response_after_delete_returns_200(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    kazoo, other = Kazoo(gateway.send), Kazoo(others.send)
    other.put("desk", "phone")
    wire.meanwhile = lambda: other.delete("desk")
    reply = kazoo.post("desk", "phone", "a.example")
    assert (reply.status, revision(reply)) == (200, 2)
    assert stored.settled(DEVICES) == []


def test_kazoo_post_with_lost_response_keeps_new_subscription(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    kazoo, other = Kazoo(gateway.send), Kazoo(others.send)
    other.put("desk", "phone")

    def start_anew() -> None:
        other.delete("desk")
        other.put("desk", "phone")

    wire.meanwhile = start_anew
    reply = kazoo.post("desk", "phone", "a.example")
    assert (reply.status, revision(reply)) == (200, 2)
    assert revision(other.get("desk")) == 1
    assert other.get("desk").json["data"]["sip_proxy_server"] == "192.0.2.9"


def test_kazoo_put_with_lost_response_keeps_later_takeover(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    kazoo, other = Kazoo(gateway.send), Kazoo(others.send)
    wire.meanwhile = lambda: other.put("lobby", "phone")
    assert kazoo.put("desk", "phone").status == 201
    assert other.get("desk").status == 404
    assert other.get("lobby").status == 200
    assert stored.holder("phone") == "lobby"


def test_kazoo_delete_with_lost_response_keeps_new_subscription(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    kazoo, other = Kazoo(gateway.send), Kazoo(others.send)
    other.put("desk", "phone")
    wire.meanwhile = lambda: other.put("desk", "phone")
    assert kazoo.delete("desk").status == 200
    assert other.get("desk").status == 200


def test_engagement_subscribe_with_lost_response_returns_same_ksid(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    engagement, other = Engagement(gateway.send), Engagement(others.send)
    seen: list[Reply] = []
    wire.meanwhile = lambda: seen.append(other.subscribe("handset", "red"))
    status, ksid, message = answered(engagement.subscribe("handset", "red"))
    assert (status, message) == ("200", "Subscription successful.")
    assert answered(seen[0])[:2] == ("201", ksid)
    assert len(stored.settled(SUBSCRIBERS)) == 3


def test_engagement_update_with_lost_response_keeps_later_unsubscribe(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    engagement, other = Engagement(gateway.send), Engagement(others.send)
    ksid = answered(other.subscribe("handset", "red"))[1]
    wire.meanwhile = lambda: other.unsubscribe(ksid=ksid)
    assert answered(engagement.subscribe("handset", "green")) == ("200", ksid, "Update successful.")
    subscriber = stored.subscriber(ksid)
    assert subscriber is not None
    assert (subscriber["active"], subscriber["sid"]) == (False, "green")


def test_places_put_with_lost_response_keeps_later_delete(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    places, other = Places(gateway.send), Places(others.send)
    wire.meanwhile = lambda: other.delete("token")
    assert places.put("token").status == 200
    assert stored.settled(PLACES) == []


def test_places_delete_with_lost_response_keeps_new_token(
    gateway: Gateway, others: Gateway, wire: Forgetful, stored: Stored
) -> None:
    places, other = Places(gateway.send), Places(others.send)
    other.put("token")
    wire.meanwhile = lambda: other.put("token")
    assert places.delete("token").status == 200
    assert len(stored.settled(PLACES)) == 1

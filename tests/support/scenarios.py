"""Every operation of every family: its preparation, its one request, and its number of database calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushreg.schema import DEVICES, OPERATOR_WRITE, PLACES, SUBSCRIBERS
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.support.calls import APPLICATION, Engagement, Kazoo, Modern, Places, Reply, Send, Senders, answered
from tests.support.stored import Stored

KSID = re.compile(r"\b[1-9][0-9]{18}\b")
REQUEST_ID = re.compile(r'"request_id":"[0-9a-f]{32}"')


@dataclass(frozen=True)
class Api:
    """The families behind one gateway; the modern engagement API counts as one of its own."""

    kazoo: Kazoo
    engagement: Engagement
    modern: Modern
    places: Places
    senders: Senders

    @classmethod
    def over(cls, send: Send) -> Api:
        """Return the families that answer through `send`."""
        return cls(Kazoo(send), Engagement(send), Modern(send), Places(send), Senders(send))


@dataclass(frozen=True)
class Scenario:
    """`call` gets what `prepare` returned; `calls` to the database are those of a function that knows its caller.

    `cold` are those that a function makes which knows nothing yet. `cursor` begins what is answered with the parts that
    were read if the last call fails; None if that fails the request.
    """

    name: str
    status: int
    prepare: Callable[[Api], Any]
    call: Callable[[Api, Any], Reply]
    calls: int
    cold: int
    cursor: str | None = None

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name

    @property
    def family(self) -> str:
        """The first word of the name."""
        return self.name.partition(" ")[0]


DEAD = {"provider": "fcm", "code": "UNREGISTERED", "at": "2026-01-01T00:00:00Z"}
OK = {"code": "ok"}
TOKEN = {"place_id": PLACE_ID, "device_token": "token"}
DEVICE = {"account_id": ACCOUNT_ID, "device_id": "desk", "registration_id": "token-of-phone"}


def _nothing(api: Api) -> None:
    """There is nothing to start from."""


def _subscribed(api: Api) -> str:
    return str(api.kazoo.put("desk", "phone").json["revision"])


def _two_subscribed(api: Api) -> str:
    api.kazoo.put("other", "other-phone")
    return _subscribed(api)


def _known(api: Api) -> str:
    return answered(api.engagement.subscribe("phone", "sid", ufid="me@example.com"))[1]


def _known_without_user(api: Api) -> str:
    return answered(api.engagement.subscribe("phone", "sid"))[1]


def _two_known(api: Api) -> None:
    _known(api)
    api.engagement.subscribe("other-phone", "other-sid")


def _two_known_one_inactive(api: Api) -> None:
    _two_known(api)
    api.engagement.unsubscribe(appId=APPLICATION, deviceId="other-phone")


def _unsubscribed(api: Api) -> str:
    ksid = _known(api)
    api.engagement.unsubscribe(ksid=ksid)
    return ksid


def _inactive(api: Api) -> str:
    ksid = _known(api)
    api.modern.set_active(ksid, False)
    return ksid


def _registered(api: Api) -> None:
    api.places.put("token")


SCENARIOS = (
    Scenario("kazoo GET", 200, _subscribed, lambda api, _: api.kazoo.get("desk"), 1, 2),
    Scenario(
        "kazoo GET if changed", 304, _subscribed, lambda api, tag: api.kazoo.get("desk", if_none_match=f'"{tag}"'), 1, 2
    ),
    Scenario("kazoo GET of nothing", 404, _nothing, lambda api, _: api.kazoo.get("desk"), 1, 2),
    Scenario("kazoo PUT", 201, _nothing, lambda api, _: api.kazoo.put("desk", "phone"), 1, 2),
    Scenario("kazoo PUT again", 400, _subscribed, lambda api, _: api.kazoo.put("desk", "phone"), 1, 2),
    Scenario("kazoo PUT takeover", 201, _subscribed, lambda api, _: api.kazoo.put("den", "phone"), 2, 3),
    Scenario("kazoo POST", 200, _subscribed, lambda api, _: api.kazoo.post("desk", "phone", "192.0.2.7"), 1, 3),
    Scenario(
        "kazoo POST if unchanged",
        200,
        _subscribed,
        lambda api, tag: api.kazoo.post("desk", "phone", "192.0.2.7", if_match=f'"{tag}"'),
        1,
        3,
    ),
    Scenario(
        "kazoo POST if of another revision",
        412,
        _subscribed,
        lambda api, _: api.kazoo.post("desk", "phone", "192.0.2.7", if_match='"9-0"'),
        1,
        2,
    ),
    Scenario("kazoo POST of the same", 200, _subscribed, lambda api, _: api.kazoo.post("desk", "phone"), 1, 2),
    Scenario("kazoo POST move", 200, _subscribed, lambda api, _: api.kazoo.post("desk", "new-phone"), 1, 3),
    Scenario("kazoo POST takeover", 200, _two_subscribed, lambda api, _: api.kazoo.post("desk", "other-phone"), 2, 4),
    Scenario("kazoo POST of nothing", 404, _nothing, lambda api, _: api.kazoo.post("desk", "phone"), 1, 2),
    Scenario("kazoo DELETE", 200, _subscribed, lambda api, _: api.kazoo.delete("desk"), 2, 3),
    Scenario(
        "kazoo DELETE if unchanged",
        200,
        _subscribed,
        lambda api, tag: api.kazoo.delete("desk", if_match=f'"{tag}"'),
        2,
        3,
    ),
    Scenario("kazoo DELETE of nothing", 404, _nothing, lambda api, _: api.kazoo.delete("desk"), 1, 2),
    Scenario("engagement create", 200, _nothing, lambda api, _: api.engagement.subscribe("phone", "sid"), 2, 3),
    Scenario("engagement duplicate", 201, _known, lambda api, _: api.engagement.subscribe("phone", "sid"), 1, 2),
    Scenario("engagement new sid", 200, _known, lambda api, _: api.engagement.subscribe("phone", "new-sid"), 2, 3),
    Scenario("engagement new device", 200, _known, lambda api, _: api.engagement.subscribe("new-phone", "sid"), 2, 3),
    Scenario(
        "engagement new ufid",
        200,
        _known,
        lambda api, _: api.engagement.subscribe("phone", "sid", ufid="you@example.com"),
        2,
        3,
    ),
    Scenario(
        "engagement back again", 200, _unsubscribed, lambda api, _: api.engagement.subscribe("phone", "sid"), 2, 3
    ),
    Scenario(
        "engagement unclear", 403, _two_known, lambda api, _: api.engagement.subscribe("phone", "other-sid"), 2, 3
    ),
    Scenario(
        "engagement sid of an inactive one",
        200,
        _two_known_one_inactive,
        lambda api, _: api.engagement.subscribe("phone", "other-sid"),
        3,
        4,
    ),
    Scenario(
        "engagement device of an inactive one",
        200,
        _two_known_one_inactive,
        lambda api, _: api.engagement.subscribe("other-phone", "sid"),
        3,
        4,
    ),
    Scenario(
        "engagement unsubscribe by all three",
        200,
        _known_without_user,
        lambda api, ksid: api.engagement.unsubscribe(ksid=ksid, appId=APPLICATION, deviceId="phone"),
        1,
        2,
    ),
    # The sid's claim has the ufid too, and the request does not name the sid.
    Scenario(
        "engagement unsubscribe of a user by all three",
        200,
        _known,
        lambda api, ksid: api.engagement.unsubscribe(ksid=ksid, appId=APPLICATION, deviceId="phone"),
        2,
        3,
    ),
    Scenario(
        "engagement unsubscribe by KSID", 200, _known, lambda api, ksid: api.engagement.unsubscribe(ksid=ksid), 2, 3
    ),
    Scenario(
        "engagement unsubscribe by device",
        200,
        _known,
        lambda api, _: api.engagement.unsubscribe(appId=APPLICATION, deviceId="phone"),
        2,
        3,
    ),
    Scenario(
        "engagement unsubscribe again",
        200,
        _unsubscribed,
        lambda api, ksid: api.engagement.unsubscribe(ksid=ksid, appId=APPLICATION, deviceId="phone"),
        1,
        2,
    ),
    Scenario(
        "engagement unsubscribe nobody", 404, _nothing, lambda api, _: api.engagement.unsubscribe(ksid="1" * 19), 1, 1
    ),
    Scenario("modern create", 200, _nothing, lambda api, _: api.modern.subscribe("phone", "sid"), 2, 3),
    Scenario("modern repetition", 200, _known, lambda api, _: api.modern.subscribe("phone", "sid"), 1, 2),
    Scenario("modern new sid", 200, _known, lambda api, _: api.modern.subscribe("phone", "new-sid"), 2, 3),
    Scenario("modern takeover", 200, _two_known, lambda api, _: api.modern.subscribe("phone", "other-sid"), 3, 4),
    Scenario("modern unsubscribe", 200, _known, lambda api, ksid: api.modern.unsubscribe(ksid), 2, 3),
    Scenario("modern read", 200, _known, lambda api, ksid: api.modern.read(ksid), 1, 2),
    Scenario("modern list of a user", 200, _two_known, lambda api, _: api.modern.list(ufid="me@example.com"), 1, 2),
    Scenario("modern list of a device", 200, _two_known, lambda api, _: api.modern.list(deviceId="phone"), 2, 3),
    Scenario("modern list", 200, _two_known, lambda api, _: api.modern.list(), 1, 2),
    Scenario("modern inactivate", 200, _known, lambda api, ksid: api.modern.set_active(ksid, False), 2, 3),
    Scenario("modern activate", 200, _inactive, lambda api, ksid: api.modern.set_active(ksid, True), 2, 3),
    Scenario("modern delete", 200, _inactive, lambda api, ksid: api.modern.delete(ksid), 2, 3),
    Scenario("places PUT", 200, _nothing, lambda api, _: api.places.put("token"), 2, 3),
    Scenario("places PUT again", 200, _registered, lambda api, _: api.places.put("token"), 1, 2),
    Scenario("places DELETE", 200, _registered, lambda api, _: api.places.delete("token"), 1, 2),
    Scenario("places DELETE of nothing", 404, _nothing, lambda api, _: api.places.delete("token"), 1, 2),
    Scenario("places GET", 200, _registered, lambda api, _: api.senders.list_place(), 1, 2),
    Scenario(
        "senders report of a later token", 200, _registered, lambda api, _: api.senders.report(TOKEN | DEAD), 1, 2
    ),
    Scenario("senders ok of a token", 200, _registered, lambda api, _: api.senders.report(TOKEN | OK), 1, 2),
    Scenario(
        "senders report of a later sid",
        200,
        _known,
        lambda api, ksid: api.senders.report({"ksid": ksid, "sid": "sid"} | DEAD),
        1,
        2,
    ),
    Scenario(
        "senders ok of a sid",
        200,
        _known,
        lambda api, ksid: api.senders.report({"ksid": ksid, "sid": "sid"} | OK),
        1,
        2,
    ),
    Scenario(
        "senders report of a later device", 200, _subscribed, lambda api, _: api.senders.report(DEVICE | DEAD), 1, 2
    ),
    Scenario(
        "senders lookup of a place", 200, _registered, lambda api, _: api.senders.look_up({"place_id": PLACE_ID}), 1, 2
    ),
    Scenario("senders lookup of a KSID", 200, _known, lambda api, ksid: api.senders.look_up({"ksid": ksid}), 1, 2),
    Scenario(
        "senders lookup of a user",
        200,
        _known,
        lambda api, _: api.senders.look_up({"application": APPLICATION, "ufid": "me@example.com"}),
        1,
        2,
    ),
    Scenario(
        "senders lookup of an application's device",
        200,
        _known,
        lambda api, _: api.senders.look_up({"application": APPLICATION, "device_id": "phone"}),
        2,
        3,
    ),
    Scenario(
        "senders lookup of 26 KSIDs",
        200,
        _nothing,
        lambda api, _: api.senders.look_up(*({"ksid": str(number)} for number in range(1, 27))),
        2,
        3,
        "25..",
    ),
    Scenario(
        "senders lookup of Kazoo devices",
        200,
        _subscribed,
        lambda api, _: api.senders.look_up(*({"account_id": ACCOUNT_ID, "device_id": each} for each in ("desk", "no"))),
        1,
        2,
    ),
)


def warm_up(api: Api) -> None:
    """Let the functions learn who calls and what exists, and leave nothing behind."""
    api.kazoo.get("nobody")
    api.engagement.unsubscribe(appId=APPLICATION, deviceId="nobody")
    api.modern.read("1")
    api.places.put("warm")
    api.places.delete("warm")
    api.senders.look_up({"ksid": "1"})
    api.senders.list_place()


def tell(reply: Reply, stored: Stored) -> tuple[int, dict[str, str], str, list[str]]:
    """Return all that can be known of what happened, but for what is drawn by lot."""
    body = REQUEST_ID.sub("", KSID.sub("KSID", reply.body.decode()))
    headers = {name: value for name, value in reply.headers.items() if name != "x-request-id"}
    items = [item for table in (DEVICES, SUBSCRIBERS, PLACES) for item in stored.settled(table)]
    items = [{**item, OPERATOR_WRITE: "drawn"} if OPERATOR_WRITE in item else item for item in items]
    return reply.status, headers, body, sorted(KSID.sub("KSID", repr(sorted(item.items()))) for item in items)

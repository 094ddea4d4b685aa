"""Random engagement calls: two applications whose few devices and sids are combined in every way."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from xml.etree import ElementTree

from pushreg.schema import KSID_PREFIX, Item
from tests.linearizability.model_engagement import (
    DUPLICATE,
    MODERN,
    NOBODY,
    XML,
    Answer,
    Call,
    LookUp,
    Manage,
    Model,
    Report,
    Row,
    State,
    Subscribe,
    Unsubscribe,
    age,
    agrees,
)
from tests.linearizability.stack import APPLICATIONS, MANAGER_KEY, draw_sending, to_date, to_day, verdict
from tests.support.calls import Send, Senders

DEVICES = ("handset", "slate", "watch")
SIDS = ("red", "green", "blue")
SYSTEMS = ("iphone", "androidgcm")
UFIDS = (None, "", "me@example.com", "you@example.com")
STYLES = ("json", XML, MODERN)
MANAGEMENT = ("activate", "inactivate", "delete")
PATHS = ("/vpns/subscription", "/kpns/subscription", "/subscription")
UNKNOWN_KSID = "1234567890123456789"
UNKNOWN_APPLICATION = "no-app"
# The one word in which the two formats differ (docs/compatibility.md).
_DUPLICATE_XML = DUPLICATE.replace("has ID", "has the ID")


class Engagement:
    """Everything about subscribers; without the modern API only what 1.0.0 answers too."""

    name = "engagement"
    initial: State = frozenset()

    def __init__(self, lifetime: float = math.inf, *, is_modern: bool = True, has_senders: bool = False) -> None:
        self._is_modern = is_modern
        self._has_senders = has_senders
        self._model = Model(frozenset(APPLICATIONS), lifetime)

    def draw(self, random: Random, seen: Sequence[Answer], day: int = 0) -> Call:
        """Return a call; three in ten unsubscribe, half of them by a KSID that was seen; a third may be a sender's."""
        style = random.choice(STYLES if self._is_modern else ("json", XML))
        app = random.choices((*APPLICATIONS, UNKNOWN_APPLICATION), (30, 9, 1))[0]
        device = random.choice(DEVICES)
        ksids = _list_ksids(seen)
        if self._has_senders and random.random() < 0.33:
            return self._draw_for_sender(random, seen, app, device, day)
        if random.random() < 0.7:
            # Mostly as a device would: its own sid, now and then a new one.
            sid = SIDS[DEVICES.index(device)] if random.random() < 0.6 else random.choice(SIDS)
            return Subscribe(style, app, device, sid, random.choice(SYSTEMS), random.choice(UFIDS), day)
        if self._is_modern and random.random() < 0.3:
            return Manage(random.choice(MANAGEMENT), random.choice(ksids), day)
        match random.randrange(6):
            case 0 | 1 | 2 if style != MODERN:
                return Unsubscribe(style, None, app, device, day)
            case 3:
                return Unsubscribe(style, random.choice(ksids), None, None, day)
            # The modern API knows a KSID and nothing else.
            case _ if style == MODERN:
                return Unsubscribe(style, random.choice((random.choice(ksids), UNKNOWN_KSID)), None, None, day)
            case 4:
                return Unsubscribe(style, random.choice((random.choice(ksids), UNKNOWN_KSID)), app, device, day)
        named_app, named_device = random.choice(((app, None), (None, device)))
        return Unsubscribe(style, random.choice(ksids), named_app, named_device, day)

    def _draw_for_sender(self, random: Random, seen: Sequence[Answer], app: str, device: str, day: int) -> Call:
        ksids = _list_ksids(seen)
        if random.random() < 0.6:
            verb = random.choice(("REPORT", "REPORT", "REPORT", "OK"))
            ksid, sid = random.choice((*ksids, UNKNOWN_KSID)), random.choice(SIDS)
            # Mostly on what a lookup found.
            found = [(answer.ksid, answer.word) for answer in seen if answer.word in SIDS]
            if found and random.random() < 0.8:
                ksid, sid = random.choice(found)
            return Report(verb, ksid, sid, draw_sending(random, day), day)
        if random.random() < 0.5:
            return LookUp(random.choice(ksids), None, None, day)
        return LookUp(None, app, device, day)

    def perform(self, send: Send, call: Call) -> Answer | None:
        """Make the call and return what a model determines of its answer; None for a 5xx."""
        if isinstance(call, Report | LookUp):
            return _perform_for_sender(Senders(send), call)
        if isinstance(call, Manage):
            headers = {"authorization": f"Bearer {MANAGER_KEY}", "content-type": "application/json"}
            if call.verb == "delete":
                body = json.dumps({"ksids": [call.ksid]}).encode()
                return _read(*send("POST", "/api/v1/subscribers/delete/ksids", headers, body))
            return _read(*send("POST", f"/api/v1/subscribers/{call.ksid}/{call.verb}", headers, None))
        members: dict[str, str | None]
        if isinstance(call, Subscribe):
            verb = "subscribe"
            members = {"sid": call.sid, "osType": call.system, "ufid": call.ufid}
        else:
            verb, members = "unsubscribe", {"ksid": call.ksid}
        members |= {"appId": call.app, "deviceId": call.device}
        sent = {name: value for name, value in members.items() if value is not None}
        path = PATHS[len(call.app or "") % len(PATHS)]
        if call.style == MODERN:
            path = "/vpns/api/v1/subscribers"
        if call.style != XML:
            body = json.dumps({"subscriptionService": {verb: sent}}).encode()
            return _read(*send("POST", path, {"content-type": "application/json"}, body))
        root = ElementTree.Element("subscriptionService")
        parent = ElementTree.SubElement(root, verb)
        for name, value in sent.items():
            ElementTree.SubElement(parent, name).text = value
        return _read(*send("POST", path, {"content-type": "text/xml;charset=UTF-8"}, ElementTree.tostring(root)))

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the model's state after the call if it may have been answered so."""
        return self._model.step(state, call, answer, fresh)

    def attempt(self, call: Call) -> None:
        """Return None: each write has an idempotency token."""

    def age(self, state: State, day: int) -> State:
        """Return what is left of a state on the day."""
        return age(state, day)

    def agrees(self, state: State, stored: State) -> bool:
        """Whether the model's state is the stored one, but for KSIDs that nobody has seen."""
        return agrees(state, stored)

    def load(self, items: Iterable[Item]) -> State:
        """Return the stored items as a state of the model."""
        return frozenset(
            Row(
                item["ksid"],
                item["appId"],
                item["deviceId"],
                item["sid"],
                item["osType"],
                item.get("ufid"),
                item["active"],
                to_day(item.get("expires_at")),
                item.get("cloud", True),
                to_date(item["updated_at"]),
            )
            for item in items
            if item["record"].startswith(KSID_PREFIX)
        )


def _list_ksids(seen: Sequence[Answer]) -> list[str]:
    return [answer.ksid for answer in seen if answer.ksid not in ("-1", "")] or [UNKNOWN_KSID]


def _perform_for_sender(senders: Senders, call: Report | LookUp) -> Answer | None:
    if isinstance(call, Report):
        reply = senders.report({"ksid": call.ksid, "sid": call.sid, **verdict(call.verb, call.sent)})
    elif call.ksid is not None:
        reply = senders.look_up({"ksid": call.ksid})
    else:
        reply = senders.look_up({"application": call.app, "device_id": call.device})
    if reply.status >= 500:
        return None
    (result,) = reply.json["results"]
    if isinstance(call, Report):
        return None if result["status"] == "failed" else Answer("200", result["status"])
    assert result["status"] == "ok"
    for token in result["tokens"]:
        return Answer("200", token["sid"], token["ksid"])
    return NOBODY


def _read(status: int, headers: Mapping[str, str], body: bytes) -> Answer | None:
    if status >= 500:
        return None
    decoded = {} if "xml" in headers["content-type"] else json.loads(body)
    if "id" in decoded:
        return Answer(str(status), decoded["message"].strip(), decoded["id"])
    if "xml" in headers["content-type"]:
        members = {child.tag: child.text or "" for child in ElementTree.fromstring(body)}
    else:
        members = decoded["subscriptionResponse"]
    assert str(status) == members["statusCode"]
    message = DUPLICATE if members["message"] == _DUPLICATE_XML else members["message"]
    return Answer(members["statusCode"], message, members["ksid"])

"""DynamoDB calls and request units of each operation, with one, a thousand and a million registrations stored."""

from __future__ import annotations

import json
import math
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.figures import table
from bench.scenarios import ACCOUNT, ENVIRONMENT, KAZOO_ROUTE, PLACE, build_request, document
from engagement.app import create_handler as create_engagement
from kazoo.app import create_handler as create_kazoo
from places.app import create_handler as create_places
from pushreg.clock import now, to_iso
from pushreg.dynamodb import to_attributes
from pushreg.schema import device_key, ksid_key, place_key
from senders.app import create_handler as create_senders

BATCH, WORKERS = 25, 4
# Expiries are renewed if the senders' function lets registrations live longer than the families' do.
SENDERS = {
    "FAMILY": "senders",
    "TABLE": "Places",
    "DEVICES_TABLE": "Devices",
    "SUBSCRIBERS_TABLE": "Subscribers",
    "PLACES_TABLE": "Places",
    "ENGAGEMENT_STALE_AFTER_DAYS": "300",
    "PLACES_STALE_AFTER_DAYS": "300",
}
# What a sender's requests may be answered with, for each entry.
DONE = {"ok", "removed", "renewed"}
TOKENS = 10


@dataclass
class Meter:
    """Counts what passes through a botocore client by its own events, refused calls too: DynamoDB charges for them.

    Units follow the rule that DynamoDB documents ("Read and write operations"): for each item a read unit per 4 KB and
    a write unit per 1 KB, twice that in a transaction. They are held against `ReturnConsumedCapacity`, which would be
    the source, but for what DynamoDB Local reports there: 4 for any transaction, nothing for a refusal, 0 for a key
    that is not found.
    """

    calls: int = 0
    read: float = 0
    written: int = 0
    # A sender's entries are worked on by several threads.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, client: Any) -> None:
        """Count every call of the client."""
        client.meta.events.register("provide-client-params.dynamodb.*", self._count)
        client.meta.events.register("after-call.dynamodb.*", self._check)

    def _count(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
        with self.lock:
            self._add(params, model.name)
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _add(self, params: dict[str, Any], operation: str) -> None:
        self.calls += 1
        match operation:
            case "GetItem":
                self.read += 1 if params.get("ConsistentRead") else 0.5
            case "Query":
                # The request does not tell how much there is to read: the answer does.
                pass
            case "BatchGetItem":
                self.read += sum(len(request["Keys"]) for request in params["RequestItems"].values())
            case "TransactGetItems":
                self.read += 2 * len(params["TransactItems"])
            case "TransactWriteItems":
                writes = (write for each in params["TransactItems"] for write in each.values())
                self.written += sum(2 * _units(write) for write in writes)
            case _:
                self.written += _units(params)

    def _check(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        # Batches are written by the filling alone.
        if "ConsumedCapacity" not in parsed or model.name.startswith(("Transact", "BatchWrite")):
            return
        consumed = parsed["ConsumedCapacity"]
        reported = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
        if model.name == "Query":
            with self.lock:
                self.read += reported
            return
        # Where the call is the operation's only one, the rule has counted nothing else.
        counted = self.read + self.written
        if reported > counted or (model.name in ("GetItem", "UpdateItem") and self.calls == 1 and reported != counted):
            raise RuntimeError(f"{model.name} took {reported} units, by the rule {counted}")


def _units(write: dict[str, Any]) -> int:
    values = {**write.get("Item", {}), **write.get("Key", {}), **write.get("ExpressionAttributeValues", {})}
    size = sum(len(name) + len(str(next(iter(value.values())))) for name, value in values.items())
    return math.ceil(size / 1024)


Send = Callable[..., int]


def operations(number: int, send: Send, client: Any) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield each operation's name and a call that carries it out on registrations of this number alone."""
    path = f"/dts/places/{PLACE}/subscriptions"
    bearer = {"authorization": "Bearer demo-places-key"}
    body = {"device_token": f"token-{number}-{uuid.uuid4().hex}"}
    route = "ANY /dts/places/{place_id}/subscriptions"

    def place(method: str) -> Callable[[], int]:
        return lambda: send("places", method, route, path, {"place_id": PLACE}, bearer, body)

    yield "places PUT new", place("PUT")
    yield "places PUT refresh", place("PUT")
    yield "places DELETE", place("DELETE")

    def kazoo(method: str, device: str, mobile: str, build: int) -> Callable[[], int]:
        parameters = {"account_id": ACCOUNT, "app": "app", "device_id": f"{device}-{number}"}
        data = {**document(), "mobile_device_id": f"{mobile}-{number}", "build": build}
        where = f"/v2/accounts/{ACCOUNT}/push_notification_subscriptions/app/{device}-{number}"
        token = {"x-auth-token": "demo-kazoo-token"}
        sent = {"data": data} if method in ("PUT", "POST") else None
        return lambda: send("kazoo", method, KAZOO_ROUTE, where, parameters, token, sent)

    yield "kazoo PUT new", kazoo("PUT", "a", "m", 1)
    yield "kazoo GET", kazoo("GET", "a", "m", 1)
    yield "kazoo POST unchanged", kazoo("POST", "a", "m", 1)
    yield "kazoo POST changed", kazoo("POST", "a", "m", 2)
    yield "kazoo PUT takeover", kazoo("PUT", "b", "m", 1)
    yield "kazoo POST other mobile device", kazoo("POST", "b", "n", 1)
    yield "kazoo DELETE", kazoo("DELETE", "b", "n", 1)

    ksids: list[str] = []

    def engagement(kind: str, **members: str) -> Callable[[], int]:
        def call() -> int:
            form = {"appId": "demo-app", **members, **({"ksid": ksids[0]} if kind == "unsubscribe" else {})}
            sent = {"subscriptionService": {kind: form}}
            return send("engagement", "POST", "ANY /vpns/subscription", "/vpns/subscription", {}, {}, sent, ksids)

        return call

    device, sid = f"device-{number}", f"sid-{number}"
    wish = {"deviceId": device, "sid": sid, "osType": "iphone"}
    yield "engagement new", engagement("subscribe", **wish)
    yield "engagement duplicate", engagement("subscribe", **wish)
    yield "engagement update", engagement("subscribe", **{**wish, "sid": f"{sid}-rotated"})
    yield "engagement unsubscribe", engagement("unsubscribe", deviceId=device)

    # What a sender reports was registered before it sent, and nothing here is measured but what is yielded.
    engagement("subscribe", **wish, ufid=f"user-{number}")()
    data = {"mobile_device_id": f"p-{number}", **_registrations("one", "two")}
    where = f"/v2/accounts/{ACCOUNT}/push_notification_subscriptions/app/c-{number}"
    parameters = {"account_id": ACCOUNT, "app": "app", "device_id": f"c-{number}"}
    send("kazoo", "PUT", KAZOO_ROUTE, where, parameters, {"x-auth-token": "demo-kazoo-token"}, {"data": data})
    place_id, moment = str(uuid.uuid4()), to_iso(now())
    for token in range(TOKENS):
        row = {"device_token": f"{token:0150}", "created_at": moment, "updated_at": moment}
        client.put_item(TableName="Places", Item=to_attributes({**place_key(place_id, f"{token:0150}"), **row}))
    yield from _sender_operations(number, send, client, place_id, ksids[0], sid)


def _sender_operations(
    number: int, send: Send, client: Any, place_id: str, ksid: str, sid: str
) -> Iterator[tuple[str, Callable[[], int]]]:
    def ask(operation: str, member: str, *entries: dict[str, str]) -> Callable[[], int]:
        path, key = f"/pushreg/v1/{operation}", {"authorization": "Bearer demo-sender-key"}
        return lambda: send("senders", "POST", f"ANY {path}", path, {}, key, {member: entries})

    device = {"account_id": ACCOUNT, "device_id": f"c-{number}"}
    others = [{"ksid": str(each)} for each in range(1, 100)]
    addresses = {
        f"lookup, a place with {TOKENS} tokens": [{"place_id": place_id}],
        "lookup, a KSID": [{"ksid": ksid}],
        "lookup, 100 KSIDs": [{"ksid": ksid}, *others],
        "lookup, a user": [{"application": "demo-app", "ufid": f"user-{number}"}],
        "lookup, an application's device": [{"application": "demo-app", "device_id": f"device-{number}"}],
        "lookup, a Kazoo device": [device],
    }
    for name, entries in addresses.items():
        yield name, ask("lookup", "addresses", *entries)
    values = {":place": {"S": place_id}}
    condition = {"KeyConditionExpression": "place_id = :place", "ExpressionAttributeValues": values}
    key = to_attributes(ksid_key(ksid))
    yield (
        f"tables read directly, a place with {TOKENS} tokens",
        lambda: _status(client.query(TableName="Places", **condition)),
    )
    yield "tables read directly, a subscriber", lambda: _status(client.get_item(TableName="Subscribers", Key=key))
    token, subscriber = {"place_id": place_id, "device_token": f"{0:0150}"}, {"ksid": ksid, "sid": sid}
    registrations = [{**device, "registration_id": name} for name in ("one", "two")]
    for due in ("due", "not due"):
        yield f"feedback, ok {due}, a place's token", ask("feedback", "results", {**token, "code": "ok"})
        yield f"feedback, ok {due}, a sid", ask("feedback", "results", {**subscriber, "code": "ok"})
    yield "feedback, ok not due, a registration id", ask("feedback", "results", {**registrations[0], "code": "ok"})
    dead = {"provider": "fcm", "code": "UNREGISTERED", "at": to_iso(_later())}
    yield "feedback, dead token of a place", ask("feedback", "results", {**token, **dead})
    yield "feedback, dead sid", ask("feedback", "results", {**subscriber, **dead})
    yield "feedback, dead registration id", ask("feedback", "results", {**registrations[0], **dead})
    yield "feedback, the last registration id", ask("feedback", "results", {**registrations[1], **dead})


def _registrations(*names: str) -> dict[str, Any]:
    preferences = ("chat", "incoming_call")
    each = {
        name: {"notification_preferences": [preference], "notification_type": "fcm"}
        for name, preference in zip(names, preferences, strict=True)
    }
    return {"notification_registration_ids": each, "platform": "android", "sip_proxy_server": "192.0.2.9"}


def _status(answer: dict[str, Any]) -> int:
    status: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return status


def _later() -> datetime:
    """Return the time of a sender: registrations made in the second of a report count as later than it."""
    return now() + timedelta(seconds=30)


def run(client: Any, sizes: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures; the tables grow from one size to the next."""
    meter = Meter()
    meter.watch(client)
    makers = {"places": create_places, "kazoo": create_kazoo, "engagement": create_engagement}
    handlers = {
        family: make({**ENVIRONMENT[family], "DIRECTORY_TABLE": "Directory"}, client, emit=lambda _: None)
        for family, make in makers.items()
    }

    handlers["senders"] = create_senders(
        {**SENDERS, "DIRECTORY_TABLE": "Directory"}, client, clock=_later, emit=lambda _: None
    )

    def send(family: str, *request: Any) -> int:
        *parts, last = request
        ksids = last if isinstance(last, list) else []
        event = build_request(*(parts if ksids is last else request))
        answer = handlers[family](event, None)
        if family == "engagement" and answer["statusCode"] == 200:
            ksids[:] = [json.loads(answer["body"])["subscriptionResponse"]["ksid"]]
        status: int = answer["statusCode"]
        if family == "senders" and status == 200:
            results = json.loads(answer["body"])["results"]
            is_found = "tokens" not in results[0] or any(result["tokens"] for result in results)
            if not is_found or {result["status"] for result in results} - DONE:
                raise RuntimeError(f"a sender was answered with {results}")
        return status

    data: dict[str, Any] = {}
    stored = 0
    for size in sizes:
        _fill(client, stored, size)
        stored = size
        for warm in (False, True):  # The first pass fills the caches.
            for name, call in operations(size * 2 + warm, send, client):
                meter.calls, meter.read, meter.written = 0, 0, 0
                if (status := call()) >= 400:
                    raise RuntimeError(f"{name} was answered with {status}")
                data.setdefault(name, {})[str(size)] = (meter.calls, meter.read, meter.written)
    rows = [
        (name, *(f"{calls}: {read:g} + {written:g}" for calls, read, written in by_size.values()))
        for name, by_size in data.items()
    ]
    header = ("calls: read + write units", *(f"{size:,} stored" for size in sizes))
    note = (
        "Warm caches. Units by DynamoDB's rule: 4 KB a read unit, 1 KB a write unit, twice in a transaction; "
        "held to what DynamoDB Local reports where that can be right."
    )
    return f"{table(header, rows)}\n\n{note}", data


def _fill(client: Any, stored: int, size: int) -> None:
    """Bring the registry from one size to another, a third of it in each family's table."""

    def write(start: int) -> None:
        puts: dict[str, list[Any]] = {}
        for number in range(start, min(start + BATCH, size)):
            name, key = _key(number)
            puts.setdefault(name, []).append({"PutRequest": {"Item": key}})
        client.batch_write_item(RequestItems=puts)

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(write, range(stored, size, BATCH)):
            pass


def _key(number: int) -> tuple[str, dict[str, Any]]:
    name = f"{number:064x}"
    match number % 3:
        case 0:
            return "Places", {"place_id": {"S": PLACE}, "token_digest": {"S": name}}
        case 1:
            return "Devices", to_attributes(device_key(ACCOUNT, name))
    return "Subscribers", to_attributes(ksid_key(name))

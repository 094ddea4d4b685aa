"""The hot operations: the event of each, and what DynamoDB answers to it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
TOKEN = "eGCgkKMKFHQ:APA91b" + "x" * 142
SID, DEVICE, KSID = "d0" * 80, "800ABC1", "8285657837679045502"
LIFETIME = 270 * 86_400
ENVIRONMENT = {
    "places": {"TABLE": "Places", "FAMILY": "places", "STALE_AFTER_DAYS": str(LIFETIME // 86_400)},
    "kazoo": {"TABLE": "Devices", "FAMILY": "kazoo"},
    "engagement": {"TABLE": "Subscribers", "FAMILY": "engagement", "STALE_AFTER_DAYS": str(LIFETIME // 86_400)},
}
KAZOO_ROUTE = "ANY /v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}"


@dataclass(frozen=True)
class Scenario:
    """One operation, its family, and the status that it is answered with."""

    name: str
    family: str
    status: int


SCENARIOS = (
    Scenario("places PUT refresh", "places", 200),
    Scenario("kazoo GET", "kazoo", 200),
    Scenario("kazoo POST unchanged", "kazoo", 200),
    Scenario("kazoo POST changed", "kazoo", 200),
    Scenario("engagement duplicate JSON", "engagement", 201),
    Scenario("engagement duplicate XML", "engagement", 201),
)


def build_event(name: str, count: int = 0) -> dict[str, Any]:
    """Return the event of a scenario in payload format 2.0; `count` makes each changed document another one."""
    device_id = "device-2" if name == "kazoo POST changed" else "device-1"
    kazoo = {"account_id": ACCOUNT, "app": "com.example.app", "device_id": device_id}
    kazoo_path = f"/v2/accounts/{ACCOUNT}/push_notification_subscriptions/com.example.app/{device_id}"
    kazoo_headers = {"x-auth-token": "demo-kazoo-token"}
    if name == "places PUT refresh":
        path = f"/dts/places/{PLACE}/subscriptions"
        headers = {"authorization": "Bearer demo-places-key"}
        body = json.dumps({"device_token": TOKEN})
        return _event("PUT", "ANY /dts/places/{place_id}/subscriptions", path, {"place_id": PLACE}, headers, body)
    if name == "kazoo GET":
        return _event("GET", KAZOO_ROUTE, kazoo_path, kazoo, kazoo_headers, None)
    if name.startswith("kazoo POST"):
        extra = {} if name.endswith("unchanged") else {"build": count}
        body = json.dumps({"data": {**document(), **extra}})
        return _event("POST", KAZOO_ROUTE, kazoo_path, kazoo, kazoo_headers, body)
    if name.endswith("JSON"):
        headers, body = {"content-type": "application/json;charset=UTF-8"}, json.dumps(subscription())
    else:
        headers, body = {"content-type": "text/xml;charset=UTF-8"}, _to_xml(subscription())
    return _event("POST", "ANY /vpns/subscription", "/vpns/subscription", {}, headers, body)


def build_request(
    method: str, route: str, path: str, parameters: dict[str, str], headers: dict[str, str], body: Any
) -> dict[str, Any]:
    """Return any request's event in payload format 2.0."""
    return _event(method, route, path, parameters, headers, None if body is None else json.dumps(body))


def to_rest(event: dict[str, Any]) -> dict[str, Any]:
    """Return the same request in payload format 1.0, for the peers that understand no other."""
    http = event["requestContext"]["http"]
    resource = event["routeKey"].partition(" ")[2].replace("{app}", "{name}")
    parameters = {("name" if name == "app" else name): value for name, value in event["pathParameters"].items()}
    return {
        "resource": resource,
        "path": event["rawPath"],
        "httpMethod": http["method"],
        "headers": event["headers"],
        "multiValueHeaders": {name: [value] for name, value in event["headers"].items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {"resourcePath": resource, "httpMethod": http["method"], "path": event["rawPath"],
                           "requestId": "r", "stage": "$default", "identity": {"sourceIp": "127.0.0.1"}},
        "body": event["body"],
        "isBase64Encoded": False,
    }  # fmt: skip


def document() -> dict[str, Any]:
    """Return a subscription of usual size."""
    registration = {"notification_preferences": ["incoming_call", "chat"], "notification_type": "apns"}
    return {
        "mobile_device_id": "3f2a91c05d6e4b788a90b1c2d3e4f506",
        "notification_registration_ids": {TOKEN: registration},
        "platform": "ios",
        "sip_proxy_server": "sip.example.com",
    }


def subscription() -> dict[str, Any]:
    """Return a subscribe request of usual size."""
    form = {"appId": "demo-app", "deviceId": DEVICE, "ufid": "me@example.com", "sid": SID, "osType": "androidgcm"}
    return {"subscriptionService": {"subscribe": form}}


def answer(target: str, body: bytes) -> tuple[int, bytes]:
    """Return DynamoDB's status and body for a call of these scenarios."""
    if target == "GetItem":
        device = "device-2" if b"device-2" in body else "device-1"
        item = _device(device) if b'"Devices"' in body else _application()
        if wanted := json.loads(body).get("ProjectionExpression"):
            item = {name: item[name] for name in wanted.split(", ") if name in item}
        return 200, json.dumps({"Item": item}).encode()
    if target == "BatchGetItem":
        items = {"Subscribers": _claims()} if b'"Subscribers"' in body else {"Directory": directory()}
        return 200, json.dumps({"Responses": items, "UnprocessedKeys": {}}).encode()
    return 200, b"{}"


def _event(
    method: str, route: str, path: str, parameters: dict[str, str], headers: dict[str, str], body: str | None
) -> dict[str, Any]:
    common = {
        "accept": "*/*",
        "accept-encoding": "gzip",
        "content-length": str(len(body or "")),
        "content-type": "application/json",
        "host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "user-agent": "okhttp/4.12.0",
        "x-amzn-trace-id": "Root=1-692a0000-0123456789abcdef01234567",
        "x-forwarded-for": "198.51.100.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {**common, **headers},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "198.51.100.7",
                     "userAgent": "okhttp/4.12.0"},
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": "22/Nov/2026:10:00:00 +0000",
            "timeEpoch": 1795341600000,
        },
        "pathParameters": parameters,
        "isBase64Encoded": False,
    }  # fmt: skip
    event["body"] = body
    return event


def stored() -> dict[str, list[dict[str, Any]]]:
    """Return what the scenarios find in the tables."""
    place = {"place_id": {"S": PLACE}, "token_digest": {"S": _digest(TOKEN)}, "device_token": {"S": TOKEN}}
    return {"Devices": [_device("device-1"), _device("device-2")], "Subscribers": _claims(), "Places": [place]}


def _device(device_id: str) -> dict[str, Any]:
    stored = {**document(), "app_name": "com.example.app"}
    text = json.dumps(stored, sort_keys=True, separators=(",", ":"))
    return {
        "account_id": {"S": ACCOUNT},
        "record": {"S": f"device#{device_id}"},
        "device_id": {"S": device_id},
        "app_name": {"S": "com.example.app"},
        "mobile_device_id": {"S": stored["mobile_device_id"]},
        "document": {"S": text},
        "digest": {"S": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()},
        "writes": {"N": "7"},
        "created_at": {"S": "2026-11-01T00:00:00Z"},
        "updated_at": {"S": "2026-11-01T00:00:00Z"},
        # Today, so that an unchanged document is not due to be refreshed (docs/data-model.md#ttl).
        "refreshed_at": {"S": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
    }


def _claims() -> list[dict[str, Any]]:
    device, sid = _digest(DEVICE), _digest(SID)
    common = {
        "ksid": {"S": KSID},
        "ufid": {"S": "me@example.com"},
        "expires_at": {"N": str(int(time.time()) + LIFETIME)},
    }
    own = {"osType": {"S": "androidgcm"}, "active": {"BOOL": True}}
    return [
        {"record": {"S": f"device#demo-app#{device}"}, "partner": {"S": sid}, **common, **own},
        {"record": {"S": f"sid#demo-app#{sid}"}, "partner": {"S": device}, **common},
    ]


def _application() -> dict[str, Any]:
    return {"record": {"S": "application#demo-app"}, "created_at": {"S": "2026-11-01T00:00:00Z"}}


def directory() -> list[dict[str, Any]]:
    """Return the entries of the callers that the scenarios know."""
    created = {"created_at": {"S": "2026-11-01T00:00:00Z"}, "scope": {"S": "write"}}
    places = {"family": {"S": "places"}, "places": {"SS": ["all"]}}
    kazoo = {"family": {"S": "kazoo"}, "account_id": {"S": ACCOUNT}}
    return [
        {"record": {"S": f"credential#{_digest('demo-places-key')}"}, **created, **places},
        {"record": {"S": f"credential#{_digest('demo-kazoo-token')}"}, **created, **kazoo},
        {**_sender(), "created_at": created["created_at"]},
        _application(),
        {"record": {"S": f"place#{PLACE}"}, **created},
        {"record": {"S": f"account#{ACCOUNT}"}, **created},
    ]


def _sender() -> dict[str, Any]:
    key = {"record": {"S": f"credential#{_digest('demo-sender-key')}"}, "family": {"S": "senders"}}
    reach = {"account_id": {"S": "all"}, "places": {"SS": ["all"]}, "applications": {"SS": ["all"]}}
    return {**key, "scope": {"S": "sender"}, **reach}


def _to_xml(data: dict[str, Any]) -> str:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in data["subscriptionService"]["subscribe"].items())
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f"<subscriptionService><subscribe>{fields}</subscribe></subscriptionService>"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

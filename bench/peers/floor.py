"""The floor: routes in a dict, `json`, a check by hand, one boto3 call, one line of log."""

from __future__ import annotations

import json
from typing import Any

from bench.peers import operations

JSON = {"content-type": "application/json"}
XML = {"content-type": "text/xml;charset=UTF-8"}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer the hot operations."""
    body, status = ROUTES[event["routeKey"], event["requestContext"]["http"]["method"]](event)
    print(json.dumps({"route": event["routeKey"], "status": status}))
    if isinstance(body, str):
        return {"statusCode": status, "headers": XML, "body": body}
    return {"statusCode": status, "headers": JSON, "body": json.dumps(body)}


def _refresh(event: dict[str, Any]) -> tuple[Any, int]:
    if not operations.admits(event["headers"]["authorization"].removeprefix("Bearer ")):
        return {"error": "Unauthorized"}, 401
    token = json.loads(event["body"]).get("device_token")
    if not isinstance(token, str) or not token.strip() or len(token) > 4096:
        return {"error": "Bad Request"}, 400
    return operations.refresh(event["pathParameters"]["place_id"], token), 200


def _fetch(event: dict[str, Any]) -> tuple[Any, int]:
    secret = event["headers"]["x-auth-token"]
    if not operations.admits(secret):
        return {"error": "401"}, 401
    path = event["pathParameters"]
    found = operations.fetch(path["account_id"], path["app"], path["device_id"], secret)
    return (found, 200) if found is not None else ({"error": "404"}, 404)


def _replace(event: dict[str, Any]) -> tuple[Any, int]:
    secret = event["headers"]["x-auth-token"]
    if not operations.admits(secret):
        return {"error": "401"}, 401
    path = event["pathParameters"]
    data = json.loads(event["body"])["data"]
    replaced = operations.post(path["account_id"], path["app"], path["device_id"], data, secret)
    return (replaced, 200) if replaced is not None else ({"error": "409"}, 409)


def _subscribe(event: dict[str, Any]) -> tuple[Any, int]:
    is_xml = "xml" in event["headers"]["content-type"]
    body = event["body"]
    form = operations.from_xml(body) if is_xml else json.loads(body)["subscriptionService"]["subscribe"]
    found = operations.find_duplicate(operations.Subscribe.model_construct(**form))
    if found is None:
        return {"error": "404"}, 404
    return (operations.to_xml(found) if is_xml else found), 201


KAZOO = "ANY /v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}"
ROUTES = {
    ("ANY /dts/places/{place_id}/subscriptions", "PUT"): _refresh,
    (KAZOO, "GET"): _fetch,
    (KAZOO, "POST"): _replace,
    ("ANY /vpns/subscription", "POST"): _subscribe,
}

"""The same service on Chalice; its events are API Gateway's REST format, the one that it understands."""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice, NotFoundError, Response, UnauthorizedError

from bench.peers import operations

handler = Chalice("peer")


def _admit() -> str:
    headers = handler.current_request.headers
    secret: str = headers.get("x-auth-token") or headers.get("authorization", "").removeprefix("Bearer ")
    if not operations.admits(secret):
        raise UnauthorizedError
    return secret


@handler.route("/dts/places/{place_id}/subscriptions", methods=["PUT"])
def refresh(place_id: str) -> Any:
    """Refresh a registration."""
    _admit()
    body = operations.Registration.model_validate(handler.current_request.json_body)
    handler.log.info("refresh")
    return operations.refresh(place_id, body.device_token)


@handler.route("/v2/accounts/{account_id}/push_notification_subscriptions/{name}/{device_id}", methods=["GET"])
def fetch(account_id: str, name: str, device_id: str) -> Any:
    """Read a subscription."""
    found = operations.fetch(account_id, name, device_id, _admit())
    if found is None:
        raise NotFoundError
    handler.log.info("fetch")
    return found


@handler.route("/vpns/subscription", methods=["POST"])
def subscribe() -> Any:
    """Answer a duplicate."""
    body = operations.Envelope.model_validate(handler.current_request.json_body)
    found = operations.find_duplicate(body.subscriptionService.subscribe)
    if found is None:
        raise NotFoundError
    handler.log.info("subscribe")
    return Response(found, {"content-type": "application/json"}, 201)

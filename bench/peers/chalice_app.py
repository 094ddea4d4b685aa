"""The same service on Chalice; its events are API Gateway's REST format, the one that it understands."""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice, ConflictError, NotFoundError, Response, UnauthorizedError

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


@handler.route("/v2/accounts/{account_id}/push_notification_subscriptions/{name}/{device_id}", methods=["POST"])
def replace(account_id: str, name: str, device_id: str) -> Any:
    """Replace a subscription."""
    secret = _admit()
    data = operations.Posted.model_validate(handler.current_request.json_body).data.model_dump()
    replaced = operations.post(account_id, name, device_id, data, secret)
    if replaced is None:
        raise ConflictError
    handler.log.info("replace")
    return replaced


@handler.route("/vpns/subscription", methods=["POST"], content_types=["application/json", "text/xml"])
def subscribe() -> Any:
    """Answer a duplicate."""
    request = handler.current_request
    is_xml = "xml" in request.headers["content-type"]
    if is_xml:
        form = operations.Subscribe.model_validate(operations.from_xml(request.raw_body))
    else:
        form = operations.Envelope.model_validate(request.json_body).subscriptionService.subscribe
    found = operations.find_duplicate(form)
    if found is None:
        raise NotFoundError
    handler.log.info("subscribe")
    if is_xml:
        return Response(operations.to_xml(found), {"content-type": "text/xml;charset=UTF-8"}, 201)
    return Response(found, {"content-type": "application/json"}, 201)

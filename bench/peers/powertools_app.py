"""The same service on Powertools, as its documentation does it: resolver, Logger, Metrics, pydantic, xmltodict."""

from __future__ import annotations

from typing import Any

import xmltodict
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError, UnauthorizedError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.peers import operations

logger = Logger(service="peer")
metrics = Metrics(namespace="Peer", service="peer")
app = APIGatewayHttpResolver()


def _admit() -> str:
    headers = app.current_event.headers
    secret: str = headers.get("x-auth-token") or headers.get("authorization", "").removeprefix("Bearer ")
    if not operations.admits(secret):
        raise UnauthorizedError("unknown caller")
    return secret


def _record(operation: str) -> None:
    metrics.add_metric(name=operation, unit=MetricUnit.Count, value=1)
    logger.info(operation)


@app.put("/dts/places/<place_id>/subscriptions")
def refresh(place_id: str) -> dict[str, Any]:
    """Refresh a registration."""
    _admit()
    body = operations.Registration.model_validate(app.current_event.json_body)
    _record("refresh")
    return operations.refresh(place_id, body.device_token)


@app.get("/v2/accounts/<account_id>/push_notification_subscriptions/<name>/<device_id>")
def fetch(account_id: str, name: str, device_id: str) -> dict[str, Any]:
    """Read a subscription."""
    found = operations.fetch(account_id, name, device_id, _admit())
    if found is None:
        raise NotFoundError
    _record("fetch")
    return found


@app.post("/v2/accounts/<account_id>/push_notification_subscriptions/<name>/<device_id>")
def replace(account_id: str, name: str, device_id: str) -> dict[str, Any]:
    """Replace a subscription."""
    secret = _admit()
    data = operations.Posted.model_validate(app.current_event.json_body).data.model_dump()
    replaced = operations.post(account_id, name, device_id, data, secret)
    if replaced is None:
        raise ServiceError(409, "conflict")
    _record("replace")
    return replaced


@app.post("/vpns/subscription")
def subscribe() -> Response[Any] | tuple[dict[str, Any], int]:
    """Answer a duplicate, in either format."""
    event = app.current_event
    is_xml = "xml" in event.headers.get("content-type", "")
    document = xmltodict.parse(event.decoded_body) if is_xml else event.json_body
    form = operations.Envelope.model_validate(document).subscriptionService.subscribe
    found = operations.find_duplicate(form)
    if found is None:
        raise NotFoundError
    _record("subscribe")
    if not is_xml:
        return found, 201
    members = operations.to_xml_members(found)
    body = xmltodict.unparse({"subscriptionResponse": members}, full_document=False)
    return Response(201, "text/xml;charset=UTF-8", body)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer the event."""
    return app.resolve(event, context)

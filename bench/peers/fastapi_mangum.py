"""The same service on FastAPI with Mangum, as its documentation does it: typed bodies, dependencies, async routes."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from mangum import Mangum

from bench.peers import operations

logger = logging.getLogger("peer")
app = FastAPI(openapi_url=None)


async def admit(authorization: Annotated[str, Header()] = "", x_auth_token: Annotated[str, Header()] = "") -> str:
    """Return the caller's secret; 401 if it is unknown."""
    secret = x_auth_token or authorization.removeprefix("Bearer ")
    if not operations.admits(secret):
        raise HTTPException(401)
    return secret


Secret = Annotated[str, Depends(admit)]


@app.put("/dts/places/{place_id}/subscriptions")
async def refresh(place_id: str, body: operations.Registration, secret: Secret) -> JSONResponse:
    """Refresh a registration."""
    logger.info("refresh")
    return JSONResponse(operations.refresh(place_id, body.device_token))


@app.get("/v2/accounts/{account_id}/push_notification_subscriptions/{name}/{device_id}")
async def fetch(account_id: str, name: str, device_id: str, secret: Secret) -> JSONResponse:
    """Read a subscription."""
    found: dict[str, Any] | None = operations.fetch(account_id, name, device_id, secret)
    if found is None:
        raise HTTPException(404)
    logger.info("fetch")
    return JSONResponse(found)


@app.post("/v2/accounts/{account_id}/push_notification_subscriptions/{name}/{device_id}")
async def replace(account_id: str, name: str, device_id: str, body: operations.Posted, secret: Secret) -> JSONResponse:
    """Replace a subscription."""
    replaced = operations.post(account_id, name, device_id, body.data.model_dump(), secret)
    if replaced is None:
        raise HTTPException(409)
    logger.info("replace")
    return JSONResponse(replaced)


@app.post("/vpns/subscription")
async def subscribe(request: Request) -> Response:
    """Answer a duplicate, in either format, which no typed parameter can name."""
    body = await request.body()
    is_xml = "xml" in request.headers.get("content-type", "")
    if is_xml:
        form = operations.Subscribe.model_validate(operations.from_xml(body))
    else:
        form = operations.Envelope.model_validate_json(body).subscriptionService.subscribe
    found = operations.find_duplicate(form)
    if found is None:
        raise HTTPException(404)
    logger.info("subscribe")
    if is_xml:
        return Response(operations.to_xml(found), 201, media_type="text/xml;charset=UTF-8")
    return JSONResponse(found, 201)


handler = Mangum(app, lifespan="off")

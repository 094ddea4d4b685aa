"""`/dts/places/{place_id}/subscriptions`: route, parse, render (seed 002, spec/places.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from snapshot_restore_py import register_before_snapshot

from places.operations import UnknownTokenError, register, unregister
from pushreg.codecs import json
from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Client
from pushreg.errors import (
    ForbiddenError,
    MalformedError,
    MethodError,
    PushregError,
    RouteError,
    StoreError,
    TooLargeError,
    UnauthenticatedError,
)
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Credential
from pushreg.models.places import Registration
from pushreg.schema import DAY, EntryKind, to_place_id
from pushreg.stores.places import Places

CONTENT_TYPE = "application/json"
VERBS = {
    "PUT": (register, "Device subscription created/updated successfully"),
    "DELETE": (unregister, "Device subscription deleted successfully"),
}


class PlaceIdError(PushregError):
    """The path names no UUID."""


class TokenError(PushregError):
    """The body names no token."""


class UnknownPlaceError(PushregError):
    """No place has this id."""


class Dialect:
    """The Device Token Service's dialect."""

    def answer(self, request: Request, context: Context) -> Response:
        """Register or unregister the token that the body names."""
        if request.method not in VERBS:
            raise MethodError(tuple(VERBS))
        operate, text = VERBS[request.method]
        if "place_id" not in request.parameters:
            raise RouteError
        body = request.read_body()
        place_id = to_place_id(request.parameters["place_id"])
        # Removal asks only for the row: seed 002 lists no `Place not found` for it.
        exists = _authenticate(request, context, place_id, look_up=request.method == "PUT")
        if place_id is None:
            raise PlaceIdError
        token = _token(body)
        if not exists:
            raise UnknownPlaceError
        lifetime = context.settings.stale_after_days * DAY
        places = Places(request.session, context.settings.table, request.moment, request.epoch, lifetime)
        outcome = operate(places, place_id, token)
        data = {"place_id": place_id, "device_token": token}
        message = {"message": text, "error": None, "data": data, "extra": None}
        return _render(200, {"status": 200, "responseType": "success", "message": message}, outcome)

    def fail(self, request: Request, context: Context, error: Exception) -> Response:
        """Return the flat `{error, message}` form of spec/places.md section 3."""
        match error:
            case PlaceIdError():
                return _refuse(400, "Bad Request", "placeId must be a valid UUID", "invalid")
            case TokenError() | MalformedError():
                text = "device_token is required and must be a non-empty string"
                return _refuse(400, "Bad Request", text, "invalid")
            case UnauthenticatedError():
                headers = {"www-authenticate": "Bearer"}
                return _refuse(401, "Unauthorized", "Invalid or missing API key", "denied", headers)
            case ForbiddenError():
                return _refuse(403, "Forbidden", error.cause, "denied")
            case UnknownPlaceError():
                return _refuse(404, "Not Found", "Place not found", "missing")
            case UnknownTokenError():
                return _refuse(404, "Not Found", "Device subscription not found", "missing")
            case RouteError():
                return _refuse(404, "Not Found", "Route not found", "missing")
            case MethodError():
                text = f"Only {' and '.join(error.allowed)} are supported"
                headers = {"allow": ", ".join(error.allowed)}
                return _refuse(405, "Method Not Allowed", text, "invalid", headers)
            case TooLargeError():
                return _refuse(413, "Payload Too Large", "The body is larger than 64 KiB", "invalid")
            case StoreError():
                return _refuse(500, "Internal Server Error", "Database error", "fault")
        return _refuse(500, "Internal Server Error", "Unexpected error", "fault")


def _authenticate(request: Request, context: Context, place_id: str | None, *, look_up: bool) -> bool:
    """Let the caller pass, and tell whether the place exists if that is to be looked up."""

    def check(credential: Credential) -> None:
        if not credential.may_write:
            raise ForbiddenError("The API key's scope does not allow this")
        if place_id is not None and not credential.reaches_place(place_id):
            raise ForbiddenError("The API key has no access to this place")

    target: tuple[EntryKind, str] | None = ("place", place_id) if look_up and place_id is not None else None
    secret = bearer(request.headers.get("authorization"))
    entry = authenticate(context.directory, request.session, "places", secret, check, target)
    return entry is not None or not look_up


def _token(body: bytes) -> str:
    try:
        return Registration.model_validate(json.decode(body)).device_token
    except ValidationError as error:
        raise TokenError from error


def _refuse(status: int, error: str, message: str, outcome: str, headers: Mapping[str, str] | None = None) -> Response:
    return _render(status, {"error": error, "message": message}, outcome, headers)


def _render(status: int, data: Any, outcome: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.encode(data), CONTENT_TYPE, outcome, headers or {})


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a handler of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)


handler = create_handler()
# SnapStart takes its picture with the client made; nothing in it is unique or bound to a moment.
register_before_snapshot(handler.prepare)

"""The Device Token Service's bodies (docs/spec/places.md#2-request)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from places.operations import UnknownTokenError
from pushreg.codecs import json
from pushreg.errors import (
    ContendedError,
    ForbiddenError,
    MalformedError,
    MethodError,
    PushregError,
    RouteError,
    StoreError,
    TooLargeError,
    UnauthenticatedError,
)
from pushreg.http import RETRY_AFTER, Response, look_up
from pushreg.models.places import Registration

CONTENT_TYPE = "application/json"
MESSAGES = {
    "PUT": "Device subscription created/updated successfully",
    "DELETE": "Device subscription deleted successfully",
}
NO_TOKEN = "device_token is required and must be a non-empty string"  # noqa: S105 A message.
BUSY = "Database is busy, try again"


class PlaceIdError(PushregError):
    """The path names no UUID."""


class TokenError(PushregError):
    """The body names no token."""


class UnknownPlaceError(PushregError):
    """No place has this id."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The members of an error response."""

    status: int
    outcome: str
    error: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


def decode(body: bytes) -> str:
    """Return the token that the body names; TokenError or MalformedError if there is none."""
    try:
        return Registration.model_validate(json.decode(body)).device_token
    except ValidationError as error:
        raise TokenError from error


def succeed(method: str, place_id: str, token: str, outcome: str) -> Response:
    """Return the success envelope for an outcome of the operations."""
    data = {"place_id": place_id, "device_token": token}
    message = {"message": MESSAGES[method], "error": None, "data": data, "extra": None}
    body = json.encode({"status": 200, "responseType": "success", "message": message})
    return Response(200, body, CONTENT_TYPE, outcome)


def fail(error: Exception) -> Response:
    """Return the flat `{error, message}` form of any error (docs/spec/places.md#3-responses)."""
    refusal = look_up(_REFUSALS, error)(error)
    body = json.encode({"error": refusal.error, "message": refusal.message})
    return Response(refusal.status, body, CONTENT_TYPE, refusal.outcome, refusal.headers)


def _refuse_key(error: UnauthenticatedError) -> Refusal:
    headers = {"www-authenticate": "Bearer"}
    return Refusal(401, "denied", "Unauthorized", "Invalid or missing API key", headers)


def _refuse_method(error: MethodError) -> Refusal:
    message = f"Only {' and '.join(error.allowed)} are supported"
    return Refusal(405, "invalid", "Method Not Allowed", message, {"allow": ", ".join(error.allowed)})


_REFUSALS: Mapping[type[Exception], Callable[[Any], Refusal]] = {
    PlaceIdError: lambda _: Refusal(400, "invalid", "Bad Request", "placeId must be a valid UUID"),
    TokenError: lambda _: Refusal(400, "invalid", "Bad Request", NO_TOKEN),
    MalformedError: lambda _: Refusal(400, "invalid", "Bad Request", NO_TOKEN),
    UnauthenticatedError: _refuse_key,
    ForbiddenError: lambda error: Refusal(403, "denied", "Forbidden", error.cause),
    UnknownPlaceError: lambda _: Refusal(404, "missing", "Not Found", "Place not found"),
    UnknownTokenError: lambda _: Refusal(404, "missing", "Not Found", "Device subscription not found"),
    RouteError: lambda _: Refusal(404, "missing", "Not Found", "Route not found"),
    MethodError: _refuse_method,
    TooLargeError: lambda _: Refusal(413, "invalid", "Payload Too Large", "The body is larger than 64 KiB"),
    ContendedError: lambda _: Refusal(
        503, "contended", "Service Unavailable", "Database is busy, try again", RETRY_AFTER
    ),
    StoreError: lambda _: Refusal(500, "fault", "Internal Server Error", "Database error"),
    Exception: lambda _: Refusal(500, "fault", "Internal Server Error", "Unexpected error"),
}

"""The Device Token Service's bodies (docs/spec/places.md#2-request)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

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
from pushreg.http import NO_HEADERS, RETRY_AFTER, Response, look_up
from pushreg.models.places import TokenBody
from pushreg.schema import is_digest
from pushreg.stores.places import Row

CONTENT_TYPE = "application/json"
MESSAGES = {
    "PUT": "Device subscription created/updated successfully",
    "DELETE": "Device subscription deleted successfully",
}
LISTED = "Device subscriptions listed successfully"
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
NO_TOKEN = "device_token is required and must be a non-empty string"  # noqa: S105 A message.


class PlaceIdError(PushregError):
    """The path names no UUID."""


class TokenError(PushregError):
    """The body names no token."""


class PageError(PushregError):
    """The query string has an invalid limit or cursor; `problem` may be shown to the caller."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class UnknownPlaceError(PushregError):
    """No place has this id."""


class Refusal(NamedTuple):
    """The members of an error response."""

    status: int
    outcome: str
    error: str
    message: str
    headers: Mapping[str, str] = NO_HEADERS


def decode(body: bytes) -> str:
    """Return the token that the body names; TokenError or MalformedError if there is none."""
    try:
        return TokenBody.model_validate(json.decode(body)).device_token
    except ValidationError as error:
        raise TokenError from error


def read_page(query: Mapping[str, str]) -> tuple[int, str | None]:
    """Return the limit and the cursor of the query string; PageError if they are malformed."""
    text = query.get("limit") or str(DEFAULT_LIMIT)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise PageError(f"limit must be a number from 1 to {MAX_LIMIT}")
    cursor = query.get("cursor") or None
    if cursor is not None and not is_digest(cursor):
        raise PageError("cursor must be the one of the page before")
    return int(text), cursor


def succeed(method: str, place_id: str, token: str, outcome: str) -> Response:
    """Return the success envelope for an outcome of the operations."""
    data = {"place_id": place_id, "device_token": token}
    return _envelop(MESSAGES[method], data, None, outcome)


def succeed_list(place_id: str, rows: Sequence[Row], cursor: str | None) -> Response:
    """Return the success envelope of one page of a place's tokens; the cursor is null on the last page."""
    data = [
        {
            "place_id": place_id,
            "device_token": row.device_token,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
        for row in rows
    ]
    return _envelop(LISTED, data, {"cursor": cursor}, "listed")


def fail(error: Exception) -> Response:
    """Return the flat `{error, message}` form of any error (docs/spec/places.md#3-responses)."""
    refusal = look_up(_REFUSALS, error)(error)
    body = json.encode({"error": refusal.error, "message": refusal.message})
    return Response(refusal.status, body, CONTENT_TYPE, refusal.outcome, refusal.headers)


def _envelop(text: str, data: Any, extra: Any, outcome: str) -> Response:
    message = {"message": text, "error": None, "data": data, "extra": extra}
    body = json.encode({"status": 200, "responseType": "success", "message": message})
    return Response(200, body, CONTENT_TYPE, outcome)


def _refuse_key(error: UnauthenticatedError) -> Refusal:
    headers = {"www-authenticate": "Bearer"}
    return Refusal(401, "denied", "Unauthorized", "Invalid or missing API key", headers)


def _refuse_method(error: MethodError) -> Refusal:
    *others, last = error.allowed
    message = f"Only {', '.join(others)} and {last} are supported"
    return Refusal(405, "invalid", "Method Not Allowed", message, {"allow": ", ".join(error.allowed)})


_REFUSALS: Mapping[type[Exception], Callable[[Any], Refusal]] = {
    PlaceIdError: lambda _: Refusal(400, "invalid", "Bad Request", "placeId must be a valid UUID"),
    TokenError: lambda _: Refusal(400, "invalid", "Bad Request", NO_TOKEN),
    MalformedError: lambda _: Refusal(400, "invalid", "Bad Request", NO_TOKEN),
    PageError: lambda error: Refusal(400, "invalid", "Bad Request", error.problem),
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

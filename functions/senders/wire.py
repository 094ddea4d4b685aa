"""Bodies of the senders' operations (docs/sending.md#report)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

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
from senders.operations import CONTENDED, FAILED, AddressResult, CursorError, Outcome

CONTENT_TYPE = "application/json"
MAX_ENTRIES = 100


class BodyError(PushregError):
    """The body is not a feedback or lookup request; `problem` may be shown to the caller."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Refusal(NamedTuple):
    """The members of an error response."""

    status: int
    outcome: str
    error: str
    message: str
    headers: Mapping[str, str] = NO_HEADERS


def decode(body: bytes, member: str) -> tuple[Sequence[Any], str | None]:
    """Return the entries under the member and the cursor; MalformedError or BodyError if there is no such list."""
    data = json.decode(body)
    entries = data.get(member) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_ENTRIES:
        raise BodyError(f"{member} must be a list of 1 to {MAX_ENTRIES} entries")
    cursor = data.get("cursor")
    if not isinstance(cursor, str | None):
        raise CursorError
    return entries, cursor or None


def succeed_report(outcomes: Sequence[Outcome]) -> Response:
    """Return the response to feedback."""
    body = json.encode({"results": [_to_data(outcome) for outcome in outcomes]})
    return Response(200, body, CONTENT_TYPE, _name(outcomes, "reported"))


def succeed_lookup(found: Sequence[AddressResult], cursor: str | None) -> Response:
    """Return the response to a lookup."""
    results = [
        {"address": each.address, **_to_data(each.outcome), **({"tokens": each.tokens} if _is_ok(each) else {})}
        for each in found
    ]
    body = json.encode({"results": results, "cursor": cursor})
    return Response(200, body, CONTENT_TYPE, _name([each.outcome for each in found], "found"))


def fail(error: Exception) -> Response:
    """Return the flat `{error, message}` form of any error."""
    refusal = look_up(_REFUSALS, error)(error)
    body = json.encode({"error": refusal.error, "message": refusal.message})
    return Response(refusal.status, body, CONTENT_TYPE, refusal.outcome, refusal.headers)


def _is_ok(found: AddressResult) -> bool:
    return found.outcome.status == "ok"


def _to_data(outcome: Outcome) -> dict[str, str]:
    reason = {} if outcome.reason is None else {"reason": outcome.reason}
    return {"status": outcome.status, **reason}


def _name(outcomes: Sequence[Outcome], usual: str) -> str:
    """Return the name of a response for the log and the metrics: its worst entry's, if that is worth an alarm."""
    if FAILED in outcomes:
        return "fault"
    if CONTENDED in outcomes:
        return "contended"
    return "denied" if any(outcome.status == "denied" for outcome in outcomes) else usual


_REFUSALS: Mapping[type[Exception], Callable[[Any], Refusal]] = {
    MalformedError: lambda error: Refusal(400, "invalid", "Bad Request", f"The body is not JSON: {error.reason}"),
    BodyError: lambda error: Refusal(400, "invalid", "Bad Request", error.problem),
    CursorError: lambda _: Refusal(400, "invalid", "Bad Request", "cursor must be the one of the answer before"),
    UnauthenticatedError: lambda _: Refusal(
        401, "denied", "Unauthorized", "Invalid or missing API key", {"www-authenticate": "Bearer"}
    ),
    ForbiddenError: lambda error: Refusal(403, "denied", "Forbidden", error.cause),
    RouteError: lambda _: Refusal(404, "missing", "Not Found", "Route not found"),
    MethodError: lambda error: Refusal(
        405, "invalid", "Method Not Allowed", "Only POST is supported", {"allow": ", ".join(error.allowed)}
    ),
    TooLargeError: lambda _: Refusal(413, "invalid", "Payload Too Large", "The body is larger than 64 KiB"),
    ContendedError: lambda _: Refusal(
        503, "contended", "Service Unavailable", "Database is busy, try again", RETRY_AFTER
    ),
    StoreError: lambda _: Refusal(503, "fault", "Service Unavailable", "Database error, try again", RETRY_AFTER),
    Exception: lambda _: Refusal(500, "fault", "Internal Server Error", "Unexpected error"),
}

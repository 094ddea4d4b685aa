"""Requests and responses of the engagement servers, in XML and JSON (docs/spec/engagement.md#3-legacy-response)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

from engagement.access import ApplicationError, AuthTokenError
from engagement.operations import NoSubscriptionError, UnclearError, UnprovenError
from pushreg.codecs import json, xml
from pushreg.config import Settings
from pushreg.errors import ContendedError, MalformedError, MethodError, RouteError, TooLargeError
from pushreg.http import RETRY_AFTER, Request, Response, look_up
from pushreg.models.engagement import FormError, Subscribe, Unsubscribe, parse

Format = Literal["json", "xml"]
CONTENT_TYPES = {"json": "application/json;charset=UTF-8", "xml": "text/xml;charset=UTF-8"}
MAX_FIELDS = 100
# What may precede the first character of a document, the byte order mark included.
_BLANKS = b"\xef\xbb\xbf \t\r\n"
DUPLICATE = "Duplicate subscription. SID element has ID of existing subscription."
# Clients compare the text: docs/spec/engagement.md#duplicate-message-text-differs-between-xml-and-json
DUPLICATE_XML = "Duplicate subscription. SID element has the ID of existing subscription."
UNCLEAR = "Subscription unclear. Found multiple subscriptions with given input. Check your SID and DEVICE ID"
# Status and message by outcome.
MESSAGES = {
    "created": (200, "Subscription successful."),
    "updated": (200, "Update successful."),
    "duplicate": (201, DUPLICATE),
    "unsubscribed": (200, "Unsubscription successful."),
    "already": (200, "Already unsubscribed."),
}


class Refusal(NamedTuple):
    """The status, outcome and message of an error response."""

    status: int
    outcome: str
    message: str


_REFUSALS: Mapping[type[Exception], Refusal] = {
    MalformedError: Refusal(400, "invalid", "Invalid request format."),
    FormError: Refusal(400, "invalid", "Invalid request format."),
    AuthTokenError: Refusal(401, "denied", "Unauthorized request. The authToken is invalid."),
    UnclearError: Refusal(403, "unclear", UNCLEAR),
    UnprovenError: Refusal(403, "denied", UNCLEAR),
    ApplicationError: Refusal(404, "denied", "Invalid Application ID."),
    NoSubscriptionError: Refusal(404, "missing", "No valid subscription exists."),
    RouteError: Refusal(404, "missing", "Not found."),
    MethodError: Refusal(405, "invalid", "Method not allowed."),
    TooLargeError: Refusal(413, "invalid", "Request too large."),
    ContendedError: Refusal(503, "contended", "Server is busy. Try again."),
    Exception: Refusal(500, "fault", "Server failed to process the request."),
}


def read_form(request: Request) -> Subscribe | Unsubscribe:
    """Return the request in the body.

    MalformedError if the body is not the format it claims or looks to be, FormError if it is no such request.
    """
    if find_format(request) == "xml":
        return parse(xml.decode(unwrap(request.read_body())), blank_is_absent=True)
    return parse(json.decode(unwrap(request.read_body())))


def succeed(
    request: Request, settings: Settings, ksid: str, outcome: str, duplicate_as_update: bool | None = None
) -> Response:
    """Return the response for an outcome of the operations; the application's setting takes precedence."""
    status, message = MESSAGES[outcome]
    chosen = find_format(request)
    if outcome == "duplicate":
        if settings.duplicate_as_update if duplicate_as_update is None else duplicate_as_update:
            status, message = MESSAGES["updated"]
        elif chosen == "xml":
            message = DUPLICATE_XML
    return _render(chosen, settings, status, ksid, message, outcome)


def fail(error: Exception, request: Request, settings: Settings) -> Response:
    """Return the failure form of any error; the servers' 500 for one that is not the caller's."""
    refusal = look_up(_REFUSALS, error)
    if isinstance(error, MethodError | RouteError):
        # No client of the servers' protocol gets here, so these need no disguise: JSON with their own HTTP status.
        headers = {"allow": ", ".join(error.allowed)} if isinstance(error, MethodError) else {}
        body = json.encode(_to_data(refusal.status, "-1", refusal.message))
        return Response(refusal.status, body, CONTENT_TYPES["json"], refusal.outcome, headers)
    response = _render(find_format(request), settings, refusal.status, "-1", refusal.message, refusal.outcome)
    return response._replace(headers=RETRY_AFTER) if isinstance(error, ContendedError) else response


def find_format(request: Request) -> Format:
    """Return the format of the request, in which it is answered."""
    media_type = request.headers.get("content-type", "").partition(";")[0].lower()
    try:
        body = request.read_body()
        # The media type of a form is that of something else: SDKs say JSON.
        content = unwrap(body)
    except (MalformedError, TooLargeError):
        body = content = b""
    if content == body:
        if "xml" in media_type:
            return "xml"
        if "json" in media_type:
            return "json"
    return "xml" if content.lstrip(_BLANKS).startswith(b"<") else "json"


def unwrap(body: bytes) -> bytes:
    """Return the field `postdata` of a form, any other body as it is.

    The vendor's serialiser puts other fields beside it and an ampersand behind it
    (docs/spec/engagement-v1.md#4-createmodify-request).
    """
    if b"postdata=" not in body or body.lstrip(_BLANKS)[:1] in (b"{", b"[", b"<"):
        return body
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise MalformedError("the form is malformed") from error
    return fields.get("postdata", [""])[0].encode("utf-8")


def _render(chosen: Format, settings: Settings, status: int, ksid: str, message: str, outcome: str) -> Response:
    data = _to_data(status, ksid, message)
    body = xml.encode(data) if chosen == "xml" else json.encode(data)
    http_status = 200 if settings.always_http_200 else status
    return Response(http_status, body, CONTENT_TYPES[chosen], outcome)


def _to_data(status: int, ksid: str, message: str) -> dict[str, Any]:
    return {"subscriptionResponse": {"statusCode": str(status), "ksid": ksid, "message": message}}

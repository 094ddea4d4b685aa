"""Both formats of the engagement servers' requests and answers (spec/engagement.md sections 2, 3 and 9)."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from engagement.operations import NoSubscriptionError, UnclearError
from pushreg.codecs import json, xml
from pushreg.config import Settings
from pushreg.errors import MalformedError, MethodError, PushregError, TooLargeError
from pushreg.http import Request, Response
from pushreg.models.engagement import FormError

Format = Literal["json", "xml"]
CONTENT_TYPES = {"json": "application/json;charset=UTF-8", "xml": "text/xml;charset=UTF-8"}
DUPLICATE = "Duplicate subscription. SID element has ID of existing subscription."
# The XML sample of seed 001 has a "the" that its JSON sample lacks (C5).
DUPLICATE_XML = "Duplicate subscription. SID element has the ID of existing subscription."
MESSAGES = {
    "created": (200, "Subscription successful."),
    "updated": (200, "Update successful."),
    "duplicate": (201, DUPLICATE),
    "unsubscribed": (200, "Unsubscription successful."),
    "already": (200, "Already unsubscribed."),
}


class ApplicationError(PushregError):
    """Nobody knows the application."""


class AuthTokenError(PushregError):
    """The application needs an authToken, and it is missing or wrong."""


def decode(request: Request) -> Any:
    """Return the body's data; MalformedError if it is not the format it claims or looks to be."""
    body = request.read_body()
    if _format(request) == "xml":
        return xml.decode(body)
    # Hybrid builds wrap the JSON like a form field (spec/engagement.md section 9).
    if body.startswith(b"postdata="):
        body = unquote_to_bytes(body.removeprefix(b"postdata=").replace(b"+", b" "))
    return json.decode(body)


def succeed(request: Request, settings: Settings, ksid: str, outcome: str) -> Response:
    """Return the answer for an outcome of the operations."""
    status, message = MESSAGES[outcome]
    if outcome == "duplicate":
        if settings.duplicate_as_update:
            status, message = MESSAGES["updated"]
        elif _format(request) == "xml":
            message = DUPLICATE_XML
    return _render(request, settings, status, ksid, message, outcome)


def refuse(request: Request, settings: Settings, error: Exception) -> Response:
    """Return the failure for any error, the server's 500 for one that is not the caller's."""
    match error:
        case MethodError():
            headers = {"allow": ", ".join(error.allowed)}
            body = json.encode(_body(405, "-1", "Method not allowed."))
            return Response(405, body, CONTENT_TYPES["json"], "invalid", headers)
        case MalformedError() | FormError():
            return _render(request, settings, 400, "-1", "Invalid request format.", "invalid")
        case AuthTokenError():
            message = "Unauthorized request. The authToken is invalid."
            return _render(request, settings, 401, "-1", message, "denied")
        case UnclearError():
            message = (
                "Subscription unclear. Found multiple subscriptions with given input. Check your SID and DEVICE ID"
            )
            return _render(request, settings, 403, "-1", message, "unclear")
        case ApplicationError():
            return _render(request, settings, 404, "-1", "Invalid Application ID.", "denied")
        case NoSubscriptionError():
            return _render(request, settings, 404, "-1", "No valid subscription exists.", "missing")
        case TooLargeError():
            return _render(request, settings, 413, "-1", "Request too large.", "invalid")
    return _render(request, settings, 500, "-1", "Server failed to process the request.", "fault")


def _format(request: Request) -> Format:
    media_type = request.headers.get("content-type", "").partition(";")[0].lower()
    if "xml" in media_type:
        return "xml"
    if "json" in media_type:
        return "json"
    try:
        return "xml" if request.read_body().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else "json"
    except (MalformedError, TooLargeError):
        return "json"


def _render(request: Request, settings: Settings, status: int, ksid: str, message: str, outcome: str) -> Response:
    chosen = _format(request)
    body = _body(status, ksid, message)
    encoded = xml.encode(body) if chosen == "xml" else json.encode(body)
    http_status = 200 if settings.always_http_200 else status
    return Response(http_status, encoded, CONTENT_TYPES[chosen], outcome)


def _body(status: int, ksid: str, message: str) -> dict[str, Any]:
    return {"subscriptionResponse": {"statusCode": str(status), "ksid": ksid, "message": message}}

"""Requests and responses of the modern engagement API (docs/spec/engagement-v1.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from engagement.access import ApplicationError, AuthTokenError
from engagement.management import NoKsidsError, NotInactiveError, TooManyKsidsError, UnnamedApplicationError
from engagement.operations import NoSubscriptionError, UnprovenError
from engagement.wire import CONTENT_TYPES, Refusal, find_format, unwrap
from pushreg.codecs import json, xml
from pushreg.errors import (
    ContendedError,
    MalformedError,
    MethodError,
    PushregError,
    RouteError,
    TooLargeError,
    UnauthenticatedError,
)
from pushreg.http import RETRY_AFTER, Request, Response, look_up
from pushreg.models.engagement import FormError, Subscribe, match_names, parse, take_only, validate
from pushreg.models.engagement_v1 import MAX_DELETED, KsidList, ListQuery, Location, UnsubscribeByKsid
from pushreg.stores.managed_subscribers import UncountableError
from pushreg.stores.subscribers import Subscriber

# Below the same prefixes as the others.
LEGACY_LOCATION = "/service/geolocupdate"
# What a list may weigh before it ends early: Lambda's responses hold 6 MB, in which a character can take four.
MAX_LIST_BYTES = 1_500_000

# Blanks as the vendor prints them: docs/spec/engagement-v1.md#5-createmodify-answers
MESSAGES = {
    "created": "Subscription successful. ",
    "updated": " Update successful. ",
    "duplicate": " Update successful. ",
    "unsubscribed": "Unsubscription successful. ",
    "already": "Already unsubscribed. ",
}
LOCATION_UPDATED = "Updated Successfully"
STATUS_UPDATED = "Subscriber Status updated successfully. "
DELETED = "Subscribers deleted successfully"
BAD_FORMAT = "Invalid request format"
UNAUTHORIZED = "Unauthorized request"
# By the member at fault, in the order in which they are looked at.
_FIELDS = {
    "appId": "Invalid {brand} application ID",
    "sid": "Invalid Request. SID Cannot be empty",
    "deviceId": "Invalid Request. DEVICEID Cannot be empty",
    "osType": "Error occurred at property subscriptionService->subscribe->osType",
    "ksid": "Invalid KSID",
}
_LOCATION_FIELDS = {
    "ksid": "Invalid subscriber or subscriber not found",
    "latitude": "Invalid longitude or latitude value.",
    "longitude": "Invalid longitude or latitude value.",
}
# For members at fault, by operation.
_TEXTS: Mapping[str, Mapping[str, str]] = {"subscribe": _FIELDS, "location": _LOCATION_FIELDS}
# For an unknown subscriber, by operation.
_UNKNOWN = {"location": _LOCATION_FIELDS["ksid"], "activate": BAD_FORMAT, "inactivate": BAD_FORMAT}
_REFUSALS: Mapping[type[Exception], Refusal] = {
    MalformedError: Refusal(400, "invalid", BAD_FORMAT),
    FormError: Refusal(400, "invalid", BAD_FORMAT),
    ApplicationError: Refusal(400, "denied", _FIELDS["appId"]),
    NoSubscriptionError: Refusal(400, "missing", _FIELDS["ksid"]),
    UnnamedApplicationError: Refusal(400, "invalid", "Invalid request. Name an application by appId."),
    UncountableError: Refusal(400, "invalid", "Invalid request. Too many to count: narrow the filters, or export."),
    NoKsidsError: Refusal(400, "invalid", "Please provide ksids to delete"),
    NotInactiveError: Refusal(400, "invalid", "Please provide valid ksids with inactive status"),
    TooManyKsidsError: Refusal(400, "invalid", f"Invalid request. Name at most {MAX_DELETED} ksids."),
    AuthTokenError: Refusal(401, "denied", UNAUTHORIZED),
    UnprovenError: Refusal(401, "denied", UNAUTHORIZED),
    UnauthenticatedError: Refusal(401, "denied", UNAUTHORIZED),
    RouteError: Refusal(404, "missing", "Not found."),
    MethodError: Refusal(405, "invalid", "Method not allowed."),
    TooLargeError: Refusal(413, "invalid", "Request too large."),
    ContendedError: Refusal(503, "contended", "Server is busy. Try again."),
    Exception: Refusal(500, "fault", "Server failure to process request"),
}
_FAULTS = {
    "activate": "Failed to update subscriber status",
    "inactivate": "Failed to update subscriber status",
    "delete": "Failed to delete the subscriber",
}
# As the vendor's documents print them.
_OS_NAMES = {
    "iphone": "iPhone",
    "ipad": "iPad",
    "ipod": "iPod",
    "iwatch": "iWatch",
    "windows": "Windows",
    "windows8": "Windows8",
    "blackberry": "BlackBerry",
}
# What the vendor's own sample app sends to the legacy URL.
_SHORT_NAMES = {"lat": "latitude", "lon": "longitude"}
_TRAILING_COMMA = rb",(?=\s*[}\]])"


def read_form(request: Request) -> Subscribe | UnsubscribeByKsid:
    """Return the request in the body.

    MalformedError if the body is not the format it claims or looks to be, FormError if it is no such request.
    """
    is_xml = find_format(request) == "xml"
    form = parse(_decode(request), blank_is_absent=is_xml, unsubscribe_model=UnsubscribeByKsid)
    if not isinstance(form, Subscribe | UnsubscribeByKsid):
        raise TypeError(form)
    return form


def read_location(request: Request) -> Location:
    """Return the position in the body; errors as of `read_form`."""
    data = take_only(_decode(request))
    if isinstance(data, dict):
        data = take_only(match_names(data, {"geolocation"}).get("geolocation", data))
    if isinstance(data, dict) and _is_legacy_location(request):
        short = match_names(data, _SHORT_NAMES.keys())
        data = {_SHORT_NAMES[name]: value for name, value in short.items()} | data
    return validate(Location, data)


def read_ksids(request: Request) -> list[str]:
    """Return the KSIDs to delete, perhaps none; NotInactiveError if one cannot be a KSID."""
    data = _decode(request)
    if not isinstance(data, dict):
        raise FormError("no object")
    ksids = match_names(data, {"ksids"}).get("ksids")
    if ksids in (None, [], ""):
        return []
    try:
        return validate(KsidList, {"ksids": ksids}).ksids
    except FormError as error:
        raise NotInactiveError from error


def read_query(request: Request) -> ListQuery:
    """Return what to list; FormError for an invalid filter."""
    return validate(ListQuery, request.query)


def succeed(request: Request, ksid: str, outcome: str) -> Response:
    """Return the response for an outcome of the device's operations."""
    return _render(request, 200, ksid, MESSAGES[outcome], outcome)


def locate(request: Request, ksid: str) -> Response:
    """Return the response for a position that was accepted."""
    return _render(request, 200, ksid, LOCATION_UPDATED, "accepted")


def show(subscriber: Subscriber) -> Response:
    """Return the response that describes the subscriber."""
    return Response(200, json.encode(_to_row(subscriber)), CONTENT_TYPES["json"], "found")


def fit(subscribers: Iterable[Subscriber]) -> list[bytes]:
    """Return the encoded rows of the subscribers, at least one if there is one, up to MAX_LIST_BYTES."""
    rows: list[bytes] = []
    size = 0
    for each in subscribers:
        row = json.encode(_to_row(each))
        size += len(row)
        if rows and size > MAX_LIST_BYTES:
            break
        rows.append(row)
    return rows


def show_list(total: int, rows: Iterable[bytes], cursor: str | None) -> Response:
    """Return the response that lists encoded rows; `cursor` leads to the next ones."""
    end = b"" if cursor is None else b',"next":' + json.encode(cursor)
    body = b'{"total":%d,"subscribers":[%b]%b}' % (total, b",".join(rows), end)
    return Response(200, body, CONTENT_TYPES["json"], "found")


def confirm(message: str, ksid: str, outcome: str) -> Response:
    """Return the response to a change by an operator."""
    return Response(200, json.encode({"id": ksid, "message": message}), CONTENT_TYPES["json"], outcome)


def fail(error: Exception, request: Request, operation: str) -> Response:
    """Return the failure form of any error: an empty id and the vendor's message."""
    refusal = look_up(_REFUSALS, error)
    message, headers = refusal.message, {}
    if isinstance(error, FormError):
        texts = _TEXTS.get(operation, {})
        message = next((texts[name] for name in texts if name in error.fields), message)
    elif isinstance(error, NoSubscriptionError):
        message = _UNKNOWN.get(operation, message)
    elif isinstance(error, UnauthenticatedError):
        headers = {"www-authenticate": "Bearer"}
    elif isinstance(error, MethodError):
        headers = {"allow": ", ".join(error.allowed)}
    elif isinstance(error, ContendedError):
        headers = dict(RETRY_AFTER)
    elif not isinstance(error, PushregError) or refusal.status >= 500:
        message = _FAULTS.get(operation, message)
    brand = "Kony" if request.resource.startswith("/kpns") else "Volt MX"
    return _render(request, refusal.status, "", message.format(brand=brand), refusal.outcome, headers)


def _is_legacy_location(request: Request) -> bool:
    return request.resource.endswith(LEGACY_LOCATION)


def _decode(request: Request) -> Any:
    body = unwrap(request.read_body())
    if find_format(request) == "xml":
        return xml.decode(body)
    try:
        return json.decode(body)
    except MalformedError:
        if not _is_legacy_location(request):
            raise
        # The vendor's sample app writes its JSON by hand, with a comma before the last brace
        # (docs/spec/engagement-v1.md#8-location).
        return json.decode(re.sub(_TRAILING_COMMA, b"", body))


def _render(
    request: Request,
    status: int,
    ksid: str,
    message: str,
    outcome: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    is_location = request.resource.endswith(("/location", LEGACY_LOCATION))
    speaks_xml = is_location or request.resource.endswith("/subscribers")
    location = {"statusCode": str(status), "description": message}
    if speaks_xml and request.method == "POST" and find_format(request) == "xml":
        answer = {"statusCode": str(status), "ksid": ksid or "-1", "message": message}
        data = {"geoLocationResponse": location} if is_location else {"subscriptionResponse": answer}
        return Response(status, xml.encode(data), CONTENT_TYPES["xml"], outcome, headers or {})
    body = json.encode(location if _is_legacy_location(request) else {"id": ksid, "message": message})
    return Response(status, body, CONTENT_TYPES["json"], outcome, headers or {})


def _to_row(subscriber: Subscriber) -> dict[str, Any]:
    return {
        # A number here, and here alone: docs/spec/engagement-v1.md#7-read-list-change-delete-management
        "ksid": int(subscriber.ksid),
        "appId": subscriber.appId,
        "ufid": subscriber.ufid or "",
        "deviceId": subscriber.deviceId,
        "deviceName": subscriber.deviceName or "",
        "sid": subscriber.sid,
        "osType": _OS_NAMES.get(subscriber.osType, subscriber.osType),
        "phoneNo": "",
        "createdDateStr": f"{datetime.fromisoformat(subscriber.created_at):%m/%d/%Y %I:%M:%S %p} UTC",
        "userAgent": subscriber.userAgent or "",
        "ipAddress": subscriber.ipAddress or "",
        "subscriptionStatus": subscriber.active,
        "cloudStatus": subscriber.cloud,
    }

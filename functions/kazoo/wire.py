"""Kazoo's envelope, around requests, answers and errors (spec/kazoo.md sections 1, 2 and 4)."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

from kazoo.operations import ExistsError, PreconditionError, UnknownDeviceError
from pushreg.codecs import json
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
from pushreg.http import MAX_BODY, Request, Response
from pushreg.models.kazoo import InvalidError
from pushreg.schema import is_account_id

CONTENT_TYPE = "application/json"
VERSION = "1.0.0"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_JSON_RANGES = frozenset({"*/*", "application/*", "application/json", "application/x-json"})
# The last is what curl says of a body unless told otherwise; a body of any other type is to Kazoo an uploaded file.
_JSON_TYPES = frozenset({"", "application/json", "application/x-json", "application/x-www-form-urlencoded"})


class AccountError(PushregError):
    """No account has this id."""

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id)
        self.account_id = account_id


class AcceptError(PushregError):
    """The caller takes no JSON."""


def read(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Return the envelope with its names as Kazoo reads them; empty `data` for an empty body or a file.

    MalformedError if the body is no JSON object.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if not body.strip() or media_type not in _JSON_TYPES:
        return {"data": {}}
    sent = json.decode(body)
    if not isinstance(sent, dict):
        raise MalformedError("All JSON must be valid")
    return {name.lower().replace("-", "_"): value for name, value in sent.items()}


def text(sent: Mapping[str, Any], name: str) -> str | None:
    """Return the envelope's member if it is a string with anything in it."""
    value = sent.get(name)
    return value if isinstance(value, str) and value else None


def check_data(sent: Mapping[str, Any]) -> None:
    """Raise InvalidError unless the envelope's `data` is an object."""
    data = sent.get("data")
    if data is None:
        problem: dict[str, Any] = {"required": {"message": "Field is required but missing", "value": dict(sent)}}
    elif not isinstance(data, dict):
        # Kazoo's envelope takes an array too; its subscription does not.
        target = "object" if isinstance(data, list) else "object, array"
        message = f"Value did not match type(s): {target}"
        problem = {"type": {"message": message, "target": target, "value": data}}
    else:
        return
    raise InvalidError("validation error", {"data": problem})


def accepts_json(accept: str | None) -> bool:
    """Whether an Accept header, if there is one, has a range that JSON falls into; parameters do not matter."""
    ranges = (each.partition(";")[0].strip().lower() for each in (accept or "*/*").split(","))
    return any(each in _JSON_RANGES for each in ranges)


def succeed(
    request: Request,
    status: int,
    data: Mapping[str, Any],
    revision: str,
    outcome: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the success envelope around the data."""
    return _render(request, status, {"data": data, "revision": revision, "status": "success"}, outcome, headers)


def refuse(request: Request, error: Exception) -> Response:
    """Return the error envelope, or the empty body that Kazoo's framework sends for 406 and 412."""
    match error:
        case PreconditionError():
            return Response(412, b"", None, "refused")
        case AcceptError():
            return Response(406, b"", None, "invalid")
        case MalformedError():
            problem = {"json": {"invalid": {"message": error.reason, "target": "body"}}}
            return _refuse(request, 400, "validation error", problem, "invalid")
        case InvalidError():
            return _refuse(request, 400, error.message, error.problems, "invalid")
        case ExistsError():
            message = "subscription already exists for this device"
            return _refuse(request, 400, message, "bad request", "exists")
        case UnauthenticatedError():
            return _refuse(request, 401, "invalid_credentials", {"message": "invalid credentials"}, "denied")
        case ForbiddenError():
            data = {"message": "forbidden"} | ({"cause": error.cause} if error.cause else {})
            return _refuse(request, 403, "forbidden", data, "denied")
        case UnknownDeviceError():
            return _unknown(request, request.parameters["device_id"])
        case AccountError() if is_account_id(error.account_id):
            return _unknown(request, error.account_id)
        case AccountError():
            data = {"message": f"invalid account_id '{error.account_id}'"}
            return _refuse(request, 404, "bad identifier", data, "missing")
        case RouteError():
            return _refuse(request, 404, "not_found", {"message": "not found"}, "missing")
        case MethodError():
            headers = {"allow": ", ".join(error.allowed)}
            data = {"message": "method not allowed"}
            return _refuse(request, 405, "invalid_method", data, "invalid", headers)
        case TooLargeError():
            message = f"Payload or Files must not be more than {MAX_BODY} bytes"
            limit: dict[str, Any] = {"message": message, "target": MAX_BODY}
            problem = {"file": {"maxSize": limit}}
            return _refuse(request, 413, "validation error", problem, "invalid")
        case StoreError():
            return _refuse(request, 503, "datastore_unreachable", {"message": "datastore timeout"}, "fault")
    return _refuse(request, 500, "unspecified_fault", {"message": "unspecified fault"}, "fault")


def _unknown(request: Request, identifier: str) -> Response:
    return _refuse(request, 404, "bad_identifier", {"cause": identifier, "message": "bad identifier"}, "missing")


def _refuse(
    request: Request,
    status: int,
    message: str,
    data: Any,
    outcome: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    error = {"data": data, "error": str(status), "message": message, "status": "error"}
    return _render(request, status, error, outcome, headers)


def _render(
    request: Request, status: int, own: Mapping[str, Any], outcome: str, headers: Mapping[str, str] | None
) -> Response:
    sent_id = request.headers.get("x-request-id", "")
    request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else uuid.uuid4().hex
    common = {
        "node": _node(request),
        "request_id": request_id,
        "timestamp": request.moment,
        "version": VERSION,
    }
    token = {} if request.secret is None else {"auth_token": request.secret}
    body = json.encode({**own, **token, **common})
    return Response(status, body, CONTENT_TYPE, outcome, {**(headers or {}), "x-request-id": request_id})


def _node(request: Request) -> str:
    # Kazoo's form, base64url of an MD5 without padding; ours names the API, the one thing that all answers share.
    api_id = request.event.get("requestContext", {}).get("apiId") or "pushreg"
    name = hashlib.md5(api_id.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(name).rstrip(b"=").decode()

"""Kazoo's envelope around requests, responses and errors (docs/spec/kazoo.md#1-success-envelope)."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from kazoo.operations import ExistsError, PreconditionError, Result, UnknownDeviceError
from pushreg.codecs import json
from pushreg.credentials import bearer
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
from pushreg.http import MAX_BODY, NO_HEADERS, RETRY_AFTER, SAFE_IN_PATH, Context, Request, Response, look_up
from pushreg.models.kazoo import InvalidError, shorten

CONTENT_TYPE = "application/json"
VERSION = "1.0.0"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_JSON_RANGES = frozenset({"*/*", "application/*", "application/json", "application/x-json"})
# curl claims the last type for any body; a body of another type is an uploaded file to Kazoo.
_JSON_TYPES = frozenset({"", "application/json", "application/x-json", "application/x-www-form-urlencoded"})
# Bytes of problems that any request may be answered with: the answer has at most 2 KB beside what the request pays for.
PROBLEMS_SIZE = 1000
# By verb and outcome; any other success is 200.
_STATUS = {("PUT", "created"): 201, ("PUT", "takeover"): 201, ("GET", "unchanged"): 304}

Envelope = Mapping[str, Any]


class AccountIdError(PushregError):
    """The path names no account id."""

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id)
        self.account_id = account_id


class UnknownAccountError(AccountIdError):
    """No account has this id."""


class AcceptError(PushregError):
    """The caller does not accept JSON."""


class Refusal(NamedTuple):
    """The members of an error response; without a message its body is empty, as Kazoo's framework sends it."""

    status: int
    outcome: str
    message: str | None = None
    data: Any = None
    headers: Mapping[str, str] = NO_HEADERS


def decode(request: Request) -> Envelope:
    """Return the envelope with its member names as Kazoo reads them; empty `data` for an empty body or a file.

    MalformedError if the body is no JSON object, TooLargeError if it is too large.
    """
    body = request.read_body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body.strip() or media_type not in _JSON_TYPES:
        return {"data": {}}
    sent = json.decode(body)
    if not isinstance(sent, dict):
        raise MalformedError("All JSON must be valid")
    return {name.lower().replace("-", "_"): value for name, value in sent.items()}


def get_text(envelope: Envelope, name: str) -> str | None:
    """Return the envelope's member if it is a string and not empty."""
    value = envelope.get(name)
    return value if isinstance(value, str) and value else None


def find_secret(request: Request, envelope: Envelope) -> str | None:
    """Return the token that the caller presented, which responses echo."""
    header = request.headers.get("x-auth-token")
    return header or get_text(envelope, "auth_token") or bearer(request.headers.get("authorization"))


def check_data(envelope: Envelope) -> None:
    """Raise InvalidError unless the envelope's `data` is an object."""
    data = envelope.get("data")
    if data is None:
        problem: dict[str, Any] = {
            "required": {"message": "Field is required but missing", "value": shorten(dict(envelope))}
        }
    elif not isinstance(data, dict):
        # Kazoo's envelope allows an array too; its subscription does not.
        target = "object" if isinstance(data, list) else "object, array"
        message = f"Value did not match type(s): {target}"
        problem = {"type": {"message": message, "target": target, "value": shorten(data)}}
    else:
        return
    raise InvalidError("validation error", {"data": problem})


def accepts_json(accept: str | None) -> bool:
    """Whether an Accept header, if there is one, has a range that includes JSON; parameters are ignored."""
    ranges = (each.partition(";")[0].strip().lower() for each in (accept or "*/*").split(","))
    return any(each in _JSON_RANGES for each in ranges)


def succeed(request: Request, context: Context, secret: str | None, verb: str, result: Result) -> Response:
    """Return the success envelope around a result; 304 has no body."""
    status = _STATUS.get((verb, result.outcome), 200)
    headers = {}
    if verb == "GET":
        headers = {"etag": f'"{result.revision}"', "expires": "Fri, 01 Jan 1999 00:00:00 GMT"}
    if status == 304:
        return Response(status, b"", None, result.outcome, headers)
    if status == 201:
        # Kazoo's own Location repeats the device id, a fault of its framework, and leads nowhere.
        headers = {"location": quote(request.path, safe=SAFE_IN_PATH)}
    own = {"data": result.document, "revision": result.revision, "status": "success"}
    return _render(request, context, secret, status, own, result.outcome, headers)


def fail(error: Exception, request: Request, context: Context) -> Response:
    """Return the error envelope of any error."""
    refusal = look_up(_REFUSALS, error)(error)
    if isinstance(error, InvalidError):
        refusal = refusal._replace(data=_limit(error.problems, 3 * len(request.body) + PROBLEMS_SIZE))
    if refusal.message is None:
        return Response(refusal.status, b"", None, refusal.outcome)
    own = {
        "data": refusal.data,
        "error": str(refusal.status),
        "message": refusal.message,
        "status": "error",
    }
    try:
        secret = find_secret(request, decode(request))
    except (MalformedError, TooLargeError):
        secret = find_secret(request, {})
    return _render(request, context, secret, refusal.status, own, refusal.outcome, refusal.headers)


def _limit(problems: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return the first problem and the next ones that fit into the size, in bytes of JSON."""
    kept: dict[str, Any] = {}
    for path, problem in problems.items():
        size -= len(json.encode({path: problem}))
        if kept and size < 0:
            break
        kept[path] = problem
    return kept


def _refuse_identifier(identifier: str) -> Refusal:
    return Refusal(404, "missing", "bad_identifier", {"cause": identifier, "message": "bad identifier"})


def _refuse_access(error: ForbiddenError) -> Refusal:
    cause = {"cause": error.cause} if error.cause else {}
    return Refusal(403, "denied", "forbidden", {"message": "forbidden", **cause})


def _refuse_json(error: MalformedError) -> Refusal:
    problem = {"json": {"invalid": {"message": error.reason, "target": "body"}}}
    return Refusal(400, "invalid", "validation error", problem)


def _refuse_size(error: TooLargeError) -> Refusal:
    limit = {"message": f"Payload or Files must not be more than {MAX_BODY} bytes", "target": MAX_BODY}
    return Refusal(413, "invalid", "validation error", {"file": {"maxSize": limit}})


def _refuse_method(error: MethodError) -> Refusal:
    headers = {"allow": ", ".join(error.allowed)}
    return Refusal(405, "invalid", "invalid_method", {"message": "method not allowed"}, headers)


def _refuse_store(outcome: str, headers: Mapping[str, str]) -> Refusal:
    return Refusal(503, outcome, "datastore_unreachable", {"message": "datastore timeout"}, headers)


def _refuse_account_id(error: AccountIdError) -> Refusal:
    return Refusal(404, "missing", "bad identifier", {"message": f"invalid account_id '{error.account_id}'"})


_REFUSALS: Mapping[type[Exception], Callable[[Any], Refusal]] = {
    MalformedError: _refuse_json,
    InvalidError: lambda error: Refusal(400, "invalid", error.message, error.problems),
    ExistsError: lambda _: Refusal(400, "exists", "subscription already exists for this device", "bad request"),
    UnauthenticatedError: lambda _: Refusal(401, "denied", "invalid_credentials", {"message": "invalid credentials"}),
    ForbiddenError: _refuse_access,
    UnknownDeviceError: lambda error: _refuse_identifier(error.device_id),
    UnknownAccountError: lambda error: _refuse_identifier(error.account_id),
    AccountIdError: _refuse_account_id,
    RouteError: lambda _: Refusal(404, "missing", "not_found", {"message": "not found"}),
    MethodError: _refuse_method,
    AcceptError: lambda _: Refusal(406, "invalid"),
    PreconditionError: lambda _: Refusal(412, "refused"),
    TooLargeError: _refuse_size,
    ContendedError: lambda _: _refuse_store("contended", RETRY_AFTER),
    StoreError: lambda _: _refuse_store("fault", {}),
    Exception: lambda _: Refusal(500, "fault", "unspecified_fault", {"message": "unspecified fault"}),
}


def _render(
    request: Request,
    context: Context,
    secret: str | None,
    status: int,
    own: Mapping[str, Any],
    outcome: str,
    headers: Mapping[str, str],
) -> Response:
    sent_id = request.headers.get("x-request-id", "")
    request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else uuid.uuid4().hex
    common = {"node": _node(request), "request_id": request_id, "timestamp": context.moment, "version": VERSION}
    token = {} if secret is None else {"auth_token": secret}
    body = json.encode({**own, **token, **common})
    return Response(status, body, CONTENT_TYPE, outcome, {**headers, "x-request-id": request_id})


def _node(request: Request) -> str:
    # Kazoo's form, base64url of an MD5 without padding; here of the API's id, which all responses share.
    name = hashlib.md5((request.api_id or "pushreg").encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(name).rstrip(b"=").decode()

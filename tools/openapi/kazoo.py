"""Kazoo's part of the document."""

from __future__ import annotations

from typing import Any

from tools.openapi.description import ALLOW, Answer, Family, Operation, refer
from tools.openapi.kazoo_shapes import ID, REVISION, SCHEMAS, refuse, succeed, tell
from tools.openapi.schemas import JSON, fix, list_object

_REMOVED = list_object(id={"type": "string"}, _read_only=list_object(deleted=fix(True)))
_ANY_ID = {"type": "string"}
_UNPARSABLE = ("validation error", refer("KazooProblems"))
_BAD_JSON = refuse("The body is not JSON.", 400, _UNPARSABLE)
_INVALID = refuse(
    "The body is not JSON, the data breaks the schema or a rule beyond it, or the device has a subscription already.",
    400,
    _UNPARSABLE,
    ("invalid data", refer("KazooProblems")),
    ("subscription already exists for this device", fix("bad request")),
)
_UNAUTHORIZED = refuse("No token that the registry knows.", 401, ("invalid_credentials", tell("invalid credentials")))
_FORBIDDEN = refuse(
    "The token is another account's, or may only read.",
    403,
    (
        "forbidden",
        {"anyOf": [tell("forbidden"), tell("forbidden", cause=fix("access denied by token restrictions"))]},
    ),
)
_UNKNOWN = refuse(
    "The device has no subscription, or only another app's; or nobody knows the account.",
    404,
    ("bad_identifier", tell("bad identifier", cause=_ANY_ID)),
    ("bad identifier", list_object(message={"type": "string", "pattern": "^invalid account_id '"})),
)
_METHOD = refuse("Any other method.", 405, ("invalid_method", tell("method not allowed")), headers=("Allow",))
_ACCEPT = Answer("The caller takes no JSON.")
_PRECONDITION = Answer("The revision is none that If-Match names, or one that If-None-Match names.")
_UNCHANGED = Answer("The caller has this revision.", headers=("ETag", "Expires"))
_TOO_LARGE = refuse("The body is over 64 KiB.", 413, ("validation error", refer("KazooProblems")))
_UNREACHABLE = refuse("The database gave no answer in time.", 503, ("datastore_unreachable", tell("datastore timeout")))
_COMMON = {
    401: _UNAUTHORIZED,
    403: _FORBIDDEN,
    404: _UNKNOWN,
    406: _ACCEPT,
    412: _PRECONDITION,
    413: _TOO_LARGE,
    503: _UNREACHABLE,
}
_HELD = refer("KazooStoredSubscription")
_NEXT = ("fetchSubscription", "replaceSubscription", "removeSubscription")
_KNOWN_AS = ("X-Request-ID",)


def _name(answer: Any) -> str:
    data, message = answer["data"], answer.get("message")
    if answer["status"] == "success":
        return "Removed" if "_read_only" in data else "The subscription"
    if message in ("validation error", "invalid data"):
        # One path, one rule: the first of each is enough to tell the kinds apart.
        path, rules = next(iter(data.items()))
        rule, problem = next(iter(rules.items()))
        own = [name for name in problem if name not in ("message", "target", "value")]
        return f"{message}: {'json' if path == 'json' else (own or [rule])[0]}"
    # The two 404 differ by an underscore.
    return str(data["message"].partition(" '")[0] if message == "bad identifier" else message)


FAMILY = Family(
    title="Kazoo",
    text=(
        "Push-notification subscriptions of a Kazoo account's devices. A device has one subscription, whatever the "
        "app; a mobile device is in one subscription of the account."
    ),
    name=_name,
    preferred=("kazoo/documented", "kazoo/errors", "kazoo/semantics"),
    operations={
        "PUT": Operation(
            "createSubscription",
            "Create a device's subscription",
            "A mobile device that another device of the account has is taken from it, in the same transaction.",
            {
                **_COMMON,
                201: Answer("The subscription as stored.", succeed(_HELD), ("Location", *_KNOWN_AS), _NEXT),
                400: _INVALID,
            },
            {JSON: refer("KazooEnvelope")},
            ("If-Match",),
        ),
        "GET": Operation(
            "fetchSubscription",
            "Fetch a device's subscription",
            "Answers 304 without a body if `If-None-Match` names the stored revision.",
            {
                **_COMMON,
                200: Answer("The subscription.", succeed(_HELD), ("ETag", "Expires", *_KNOWN_AS)),
                304: _UNCHANGED,
                400: _BAD_JSON,
            },
            headers=("If-Match", "If-None-Match"),
        ),
        "POST": Operation(
            "replaceSubscription",
            "Replace a device's subscription",
            "Replaces the whole subscription, also one of another app, and takes the mobile device from whichever "
            "device has it. Equal content changes nothing and keeps its revision. An envelope with `verb` GET, PUT "
            "or DELETE is answered as that method.",
            {
                **_COMMON,
                200: Answer(
                    "The subscription as stored, or what was removed.",
                    succeed({"anyOf": [_HELD, _REMOVED]}),
                    _KNOWN_AS,
                    _NEXT,
                ),
                201: Answer("Created, by `verb` PUT.", succeed(_HELD), ("Location", *_KNOWN_AS)),
                304: _UNCHANGED,
                400: _INVALID,
                405: _METHOD,
            },
            {JSON: refer("KazooTunnel")},
            ("If-Match", "If-None-Match"),
        ),
        "DELETE": Operation(
            "removeSubscription",
            "Remove a device's subscription",
            "The mobile device is free for another one at once.",
            {
                **_COMMON,
                200: Answer("Removed.", succeed(_REMOVED), _KNOWN_AS),
                400: _BAD_JSON,
            },
            headers=("If-Match", "If-None-Match"),
        ),
    },
    refusal=_METHOD,
    schemas=SCHEMAS,
    security=("kazooToken", "kazooBearer"),
    security_schemes={
        "kazooToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Auth-Token",
            "description": "An account's token, of `pushreg keys issue --account`.",
        },
        "kazooBearer": {"type": "http", "scheme": "bearer", "description": "The same token as a bearer's."},
    },
    path_parameters={
        "account_id": {
            "description": "The account, 32 characters.",
            "schema": {"type": "string", "minLength": 32, "maxLength": 32},
        },
        "app": {"description": "The app's name.", "schema": {"type": "string", "pattern": ID}},
        "device_id": {
            "description": "The Kazoo device, by whatever id the account knows it.",
            "schema": {"type": "string", "pattern": ID},
        },
    },
    request_headers={
        "If-Match": {"description": "Act only on these revisions, in quotes, or `*`."},
        "If-None-Match": {"description": "Act only on other revisions than these."},
    },
    response_headers={
        **ALLOW,
        "ETag": {"description": "The revision, in quotes.", "schema": {"type": "string", "pattern": f'^"{REVISION}"$'}},
        "Expires": {"description": "Long past: nobody is to keep the answer unasked.", "schema": {"type": "string"}},
        "Location": {"description": "The subscription's path.", "schema": {"type": "string"}},
        "X-Request-ID": {"description": "As in the body.", "schema": {"type": "string"}},
    },
)

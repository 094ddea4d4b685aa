"""What Kazoo's requests and answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushreg.models.kazoo import Registration
from pushreg.models.kazoo import Schema as Subscription
from tools.openapi.description import Answer, Schema, refer
from tools.openapi.schemas import JSON, fix, list_cases, list_object, read_model

REVISION = "[1-9][0-9]*-[0-9a-f]{32}"
# Printable ASCII but / # % ? \ and the double quote.
ID = r"^[ !$&-.0->@-[\]-~]{1,255}$"

_MEMBERS: Mapping[str, Schema] = {
    "app_name": {"description": "The app that sends the notifications.", "examples": ["com.example.softphone"]},
    "mobile_device_id": {
        "description": "The mobile device's name for itself. One that another device of the account has moves here.",
        "examples": ["m-0123456789abcdef"],
    },
    "notification_registration_ids": {
        "description": "By registration token, what to send there and through which service.",
        "additionalProperties": refer("KazooRegistration"),
    },
    "platform": {"description": "What the app runs on."},
    "sip_proxy_server": {"description": "The SIP registrar that the app wakes up to.", "examples": ["192.0.2.10"]},
}
_STORED = read_model(
    Subscription, "The subscription as it is stored, with every further property.", _MEMBERS, additionalProperties=True
)
_SENT = {
    **_STORED,
    "description": (
        "What to store. Further properties are kept, but for those at the top named `_…` or `pvt_…`; "
        "`app_name` comes from the path. Over all registrations, no preference may stand twice."
    ),
    "required": [name for name in _STORED["required"] if name != "app_name"],
    "properties": {name: member for name, member in _STORED["properties"].items() if name != "app_name"},
    # On iOS calls come by APNs alone.
    "if": {"properties": {"platform": fix("ios")}},
    "then": {
        "properties": {
            "notification_registration_ids": {
                "additionalProperties": {
                    "anyOf": [
                        {"properties": {"notification_type": fix("apns")}},
                        {"properties": {"notification_preferences": {"items": {"not": fix("incoming_call")}}}},
                    ]
                }
            }
        }
    },
}
_ENVELOPE = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": refer("KazooSubscription"),
        "auth_token": {"description": "The token, for callers that cannot send X-Auth-Token, which goes before it."},
    },
}

_TUNNEL = {
    "anyOf": [
        {
            "title": "Replace",
            "allOf": [refer("KazooEnvelope")],
            "properties": {
                "verb": {
                    "description": "Another method to be answered as, in any letter case.",
                    "anyOf": [
                        {"type": "string", "pattern": f"^{list_cases('POST', 'PUT')}?$"},
                        {"not": {"type": "string"}},
                    ],
                }
            },
        },
        {
            "title": "Fetch or remove",
            "type": "object",
            "required": ["verb"],
            "properties": {"verb": {"type": "string", "pattern": f"^{list_cases('GET', 'DELETE')}$"}},
        },
    ],
}

_PROBLEM = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}, "target": {}, "value": {}},
}
_PROBLEMS = {
    "type": "object",
    "description": "By the path of what is wrong, the rule that it breaks and how.",
    "minProperties": 1,
    "additionalProperties": {"type": "object", "minProperties": 1, "additionalProperties": _PROBLEM},
}


_ANSWER = {
    "type": "object",
    "required": ["status", "node", "request_id", "timestamp", "version"],
    "properties": {
        "status": {"enum": ["success", "error"]},
        "auth_token": {"type": "string", "description": "The token, as it was sent; absent if none was."},
        "node": {"type": "string", "description": "The API that answered."},
        "request_id": {"type": "string", "description": "X-Request-ID as it was sent, else one made up."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When, in UTC."},
        "version": {"type": "string", "description": "Of the registry."},
    },
}
SCHEMAS: Mapping[str, Schema] = {
    "KazooEnvelope": _ENVELOPE,
    "KazooTunnel": _TUNNEL,
    "KazooAnswer": _ANSWER,
    "KazooProblems": _PROBLEMS,
    "KazooSubscription": _SENT,
    "KazooStoredSubscription": _STORED,
    "KazooRegistration": read_model(
        Registration,
        "How a registration token wants to be notified. Further properties are kept.",
        {
            "notification_preferences": {"description": "What to notify of.", "uniqueItems": True},
            "notification_type": {"description": "Through whom."},
        },
        additionalProperties=True,
    ),
}


def _wrap(status: str, own: Mapping[str, Schema], **keywords: Any) -> Mapping[str, Schema]:
    envelope = {
        "allOf": [refer("KazooAnswer")],
        "required": list(own),
        "properties": {**own, "status": fix(status)},
        **keywords,
        "unevaluatedProperties": False,
    }
    return {JSON: envelope}


def succeed(data: Schema) -> Mapping[str, Schema]:
    """Return the body of a success with this data."""
    text = "The count of writes and the digest of the content."
    return _wrap(
        "success", {"data": data, "revision": {"type": "string", "pattern": f"^{REVISION}$", "description": text}}
    )


def refuse(text: str, status: int, *kinds: tuple[str, Schema], headers: tuple[str, ...] = ()) -> Answer:
    """Return the answer of an error that says one of these messages, each with its data."""
    own = {"error": fix(str(status)), "message": {"enum": [message for message, _ in kinds]}}
    ((_, first), *more) = kinds
    if more:
        alternatives = [{"properties": {"message": fix(message), "data": data}} for message, data in kinds]
        body = _wrap("error", {"data": {}, **own}, anyOf=alternatives)
    else:
        body = _wrap("error", {"data": first, **own})
    return Answer(text, body, (*headers, "X-Request-ID"))


def tell(text: str, **more: Schema) -> dict[str, Any]:
    """Return the data that most errors have."""
    return list_object(message=fix(text), **more)

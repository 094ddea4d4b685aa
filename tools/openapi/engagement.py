"""The engagement servers' part of the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushreg.models.engagement import OS_TYPES, Subscribe, Unsubscribe
from pushreg.models.text import BLANKS, VISIBLE
from pushreg.schema import MAX_TOKEN_BYTES
from tools.openapi.description import ALLOW, Answer, Family, Operation, Schema, refer
from tools.openapi.schemas import JSON, XML, fix, list_cases, list_object, read_model

KSID = "^[1-9][0-9]{18}$"
# A text of XML without one of these is blank or none at all.
XML_VISIBLE = rf"[^{BLANKS}\u0000-\u001f\ufffe\uffff]"


# XML has no types: whatever a client holds, it writes as text.
XML_TYPES = ["string", "number", "boolean", "null"]

_APP_ID = {"description": "The application's id. `appID` is read too.", "examples": ["demo-app"]}
_DEVICE_ID = {"description": "The device's own id; a BlackBerry's loses a leading `0x`.", "examples": ["d-demo"]}
_OPTIONAL: Mapping[str, Any] = {"anyOf": None, "type": ["string", "null"], "maxLength": 255}
_AUTH_TOKEN = {
    "description": "The application's token, if it has one; the header X-Device-AuthToken goes before it.",
    "anyOf": None,
    "type": ["string", "null"],
}
_SUBSCRIBE = read_model(
    Subscribe,
    "A device's wish to be pushed to. Other members are ignored.",
    {
        "appId": _APP_ID,
        "deviceId": _DEVICE_ID,
        "sid": {
            "description": f"The push provider's token, at most {MAX_TOKEN_BYTES:,} bytes in UTF-8.",
            "maxLength": MAX_TOKEN_BYTES,
            "examples": ["s-demo"],
        },
        "osType": {
            "description": "The platform, in any letter case.",
            "pattern": f"^{list_cases(*sorted(OS_TYPES))}$",
            "examples": sorted(OS_TYPES),
        },
        "ufid": {
            **_OPTIONAL,
            "description": "What the application knows its user by; left out, a known one stays.",
            "examples": ["user@example.com"],
        },
        "isGCM": {
            "description": "With osType `android`: whether it is FCM. Blank is as good as left out.",
            "anyOf": [
                {"enum": ["true", "false", True, False, None]},
                {"type": "string", "pattern": f"^[{BLANKS}]*$"},
            ],
        },
        "authToken": _AUTH_TOKEN,
    },
)
_UNSUBSCRIBE = read_model(
    Unsubscribe,
    "The end of a subscription: by ksid, or by appId and deviceId. Other members are ignored.",
    {
        "ksid": {
            **_OPTIONAL,
            "description": "What subscribing answered, as text or as a number.",
            "type": ["string", "integer", "null"],
            "examples": ["8285657837679045502"],
        },
        "appId": {**_OPTIONAL, **_APP_ID},
        "deviceId": {**_OPTIONAL, **_DEVICE_ID},
        "authToken": _AUTH_TOKEN,
    },
    anyOf=[
        {"required": ["ksid"], "properties": {"ksid": {"type": ["string", "integer"], "pattern": VISIBLE}}},
        {
            "required": ["appId", "deviceId"],
            "properties": {name: {"type": "string", "pattern": VISIBLE} for name in ("appId", "deviceId")},
        },
    ],
)


def _to_text(schema: Schema) -> dict[str, Any]:
    """Return the schema of the same object in XML, where all is text and blanks around it do not count."""
    texts = {}
    for name, member in schema["properties"].items():
        text = {key: value for key, value in member.items() if key in ("description", "maxLength", "examples")}
        text["type"] = XML_TYPES
        if name == "isGCM":
            text |= {"type": ["string", "boolean"], "pattern": f"^[{BLANKS}]*(true|false)?[{BLANKS}]*$"}
        elif name == "osType":
            text |= {"type": "string", "pattern": f"^[{BLANKS}]*{member['pattern'].strip('^$')}[{BLANKS}]*$"}
        elif "pattern" in member:
            text["pattern"] = XML_VISIBLE
        texts[name] = text
    changed = {**schema, "properties": texts}
    if "anyOf" in schema:
        visible = {"type": XML_TYPES, "pattern": XML_VISIBLE}
        changed["anyOf"] = [
            {"required": each["required"], "properties": dict.fromkeys(each["required"], visible)}
            for each in schema["anyOf"]
        ]
    return changed


def _service(subscribe: str, unsubscribe: str) -> dict[str, Any]:
    # `not` rather than additionalProperties: members of other names are ignored.
    return {
        "type": "object",
        "description": "Either of the two.",
        "oneOf": [
            {
                "title": "Subscribe",
                "required": ["subscribe"],
                "properties": {"subscribe": refer(subscribe)},
                "not": {"required": ["unsubscribe"]},
            },
            {
                "title": "Unsubscribe",
                "required": ["unsubscribe"],
                "properties": {"unsubscribe": refer(unsubscribe)},
                "not": {"required": ["subscribe"]},
            },
        ],
    }


def _answer(text: str, status: int, *messages: str, xml: tuple[str, ...] = ()) -> Answer:
    ksid: dict[str, Any] = {"type": "string", "pattern": KSID} if status < 300 else fix("-1")
    common = {"statusCode": fix(str(status)), "ksid": ksid}
    plain = list_object(**common, message={"enum": list(messages)})
    markup = list_object(**common, message={"enum": list(xml or messages)})
    return Answer(
        text,
        {
            JSON: list_object(subscriptionResponse=plain),
            XML: {**markup, "xml": {"name": "subscriptionResponse"}},
        },
    )


FAMILY = Family(
    title="Engagement",
    text=(
        "Subscribers known by their KSID, as Volt MX Foundry and Kony (Quantum Fabric) Engagement keep them. "
        "The three paths are one and the same. The answer comes in the request's format."
    ),
    name=lambda answer: str(answer["subscriptionResponse"]["message"]),
    preferred=("engagement/outcomes", "engagement/unsubscribe", "engagement/security"),
    operations={
        "POST": Operation(
            "subscribe",
            "Subscribe or unsubscribe a device",
            "The sid and the deviceId lead to at most one subscriber of the application: the first request creates it, "
            "one that changes anything updates it and keeps its KSID, one that changes nothing is a duplicate. "
            "A stack set to EngagementAlwaysHttp200 answers every request with HTTP status 200 and the body below, "
            "one set to EngagementDuplicateAsUpdate calls a duplicate an update.",
            {
                200: _answer(
                    "Subscribed, updated or unsubscribed.",
                    200,
                    "Subscription successful.",
                    "Update successful.",
                    "Unsubscription successful.",
                    "Already unsubscribed.",
                ),
                201: _answer(
                    "Nothing differs from the subscription that is there.",
                    201,
                    "Duplicate subscription. SID element has ID of existing subscription.",
                    xml=("Duplicate subscription. SID element has the ID of existing subscription.",),
                ),
                400: _answer("The body is malformed or lacks a field.", 400, "Invalid request format."),
                401: _answer(
                    "The application needs an authToken, and it is missing or wrong.",
                    401,
                    "Unauthorized request. The authToken is invalid.",
                ),
                403: _answer(
                    "What the request names leads to different subscribers.",
                    403,
                    "Subscription unclear. Found multiple subscriptions with given input. Check your SID and DEVICE ID",
                ),
                404: _answer(
                    "Nobody knows the application or, unsubscribing, the subscription.",
                    404,
                    "Invalid Application ID.",
                    "No valid subscription exists.",
                ),
                413: _answer("The body is over 64 KiB.", 413, "Request too large."),
                500: _answer("The database gave no answer in time.", 500, "Server failed to process the request."),
            },
            {JSON: refer("SubscriptionRequest"), XML: refer("SubscriptionRequestXml")},
        )
    },
    refusal=Answer(
        "Any other method; always JSON.",
        {JSON: _answer("", 405, "Method not allowed.").content[JSON]},
        ("Allow",),
    ),
    schemas={
        "SubscriptionRequest": {
            "type": "object",
            "required": ["subscriptionService"],
            "properties": {"subscriptionService": _service("Subscribe", "Unsubscribe")},
        },
        "SubscriptionRequestXml": {
            **_service("SubscribeXml", "UnsubscribeXml"),
            "xml": {"name": "subscriptionService"},
        },
        "Subscribe": _SUBSCRIBE,
        "Unsubscribe": _UNSUBSCRIBE,
        "SubscribeXml": _to_text(_SUBSCRIBE),
        "UnsubscribeXml": _to_text(_UNSUBSCRIBE),
    },
    security=(None, "applicationToken"),
    security_schemes={
        "applicationToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Device-AuthToken",
            "description": "The authToken of an application that has one (`pushreg apps add ID --auth-token VALUE`). "
            "Devices may send it in the body instead, as `authToken`.",
        }
    },
    response_headers=ALLOW,
)

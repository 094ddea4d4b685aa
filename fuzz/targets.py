"""What the fuzzer calls with any bytes, and what must hold then; any exception is a finding."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from xml.dom import expatbuilder
from xml.etree import ElementTree

from fuzz.store import KSID, Store
from pushreg.codecs import json as json_codec
from pushreg.codecs import xml as xml_codec
from pushreg.dynamodb import Session, to_attributes
from pushreg.errors import MalformedError, UnauthenticatedError
from pushreg.models.directory import TokenFamily
from pushreg.stores.directory import Directory, to_item
from pushreg.tokens import LEEWAY, TokenVerifier, is_token
from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, AUTH_TOKEN, ENGAGEMENT_KEY, PLACE_ID, PLACES_KEY, SENDER_KEY
from tests.support.issuers import kazoo_issuer, kazoo_signer, places_issuer
from tests.support.sizes import is_bounded

METHODS = ("POST", "PUT", "GET", "DELETE", "PATCH")
CONTENT_TYPES = ("application/json", "text/xml;charset=UTF-8", "application/json;charset=UTF-8", "text/plain", None)
HEAD = 4
# Bits of the third byte: what the database holds and refuses, and how the gateway hands the body on.
FILLED, REFUSALS, ENCODED, OPEN = 1, 6, 8, 16
# The highest bits of the third byte choose one of these, for the modern engagement API and for senders.
RESOURCE_SHIFT = 5
PLACES_RESOURCE = "/dts/places/{place_id}/subscriptions"
SENDERS_RESOURCES = ("/pushreg/v1/feedback", "/pushreg/v1/lookup", PLACES_RESOURCE)
MODERN_RESOURCES = (
    "/api/v1/subscribers",
    "/api/v1/subscribers/{ksid}",
    "/api/v1/subscribers/{ksid}/activate",
    "/api/v1/subscribers/{ksid}/inactivate",
    "/api/v1/subscribers/delete/ksids",
    "/api/v1/location",
    "/kpns/api/v1/subscribers",
    "/service/geolocupdate",
)
# Bits of the fourth byte: the first line of the body stands for path parameters, the second for headers.
FUZZ_PATH, FUZZ_HEADERS = 1, 2
HEADERS = (
    "if-match",
    "if-none-match",
    "accept",
    "x-request-id",
    "authorization",
    "x-auth-token",
    "x-auth-account-id",
    "x-http-method-override",
)
EMPTY = {304, 406, 412}


Create = Callable[..., Callable[[dict[str, Any], None], dict[str, Any]]]
# Resource, its parameters, and what opens it.
_REQUESTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "kazoo": (
        "/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}",
        {"account_id": ACCOUNT_ID, "app": "com.example.app", "device_id": "device-1"},
        {"x-auth-token": ACCOUNT_TOKEN},
    ),
    "engagement": ("/vpns/subscription", {}, {"x-device-authtoken": AUTH_TOKEN}),
    "modern": (
        MODERN_RESOURCES[0],
        {"ksid": KSID},
        {"x-device-authtoken": AUTH_TOKEN, "authorization": f"Bearer {ENGAGEMENT_KEY}"},
    ),
    "places": (PLACES_RESOURCE, {"place_id": PLACE_ID}, {"authorization": f"Bearer {PLACES_KEY}"}),
    "senders": (SENDERS_RESOURCES[0], {"place_id": PLACE_ID}, {"authorization": f"Bearer {SENDER_KEY}"}),
}
_RESOURCES = {"modern": MODERN_RESOURCES, "senders": SENDERS_RESOURCES}
_STATUSES = {"removed", "newer", "absent", "renewed", "kept", "invalid", "denied", "failed"}
MAX_RESULT = 200


# The function of a target, where they differ.
_FUNCTIONS = {"modern": "engagement"}
_SENDERS_TABLES = {f"{name}_TABLE": name for name in ("DEVICES", "SUBSCRIBERS", "PLACES")}


class FindingError(Exception):
    """What must hold does not."""


def check_json(data: bytes) -> None:
    """What the codec accepts is JSON, means the same to the standard library, and comes back as it went."""
    try:
        value = json_codec.decode(data)
    except MalformedError:
        return
    _require(value == json.loads(data.decode("utf-8-sig")), "another meaning than json's")
    _require(json_codec.decode(json_codec.encode(value)) == value, "not the same after a round trip")


def check_xml(data: bytes) -> None:
    """What the codec accepts is XML to others too, has one root, and comes back as it went."""
    try:
        value = xml_codec.decode(data)
    except MalformedError:
        return
    # Without namespaces, as the codec reads: with them, a colon in a processing instruction's name is an error.
    # S316: the codec has refused every DTD.
    root = expatbuilder.parseString(data.lstrip(), namespaces=False).documentElement  # noqa: S316
    # The codec reads UTF-8 that calls itself ISO-8859-1 as UTF-8; minidom believes the declaration.
    is_same = root is not None and (b"8859" in data or list(value) == [root.tagName])
    _require(is_same, "another root than minidom's")
    encoded = xml_codec.encode(value)
    # A carriage return can be written as a reference alone, which answers never need.
    if b"\r" not in encoded:
        _require(xml_codec.decode(encoded) == value, "not the same after a round trip")


def check_family(family: str, data: bytes, create_handler: Create | None = None) -> dict[str, Any]:
    """Return the answer to the request that the bytes stand for; it is in the family's form and below 500."""
    answer = _answer(family, create_handler, data)
    _CHECKS[family](answer)
    return answer


def _check_kazoo(answer: dict[str, Any]) -> None:
    status, body = answer["statusCode"], answer["body"]
    if status in EMPTY:
        _require(body == "", "a body where none belongs")
        return
    envelope = json.loads(body)
    _require(envelope["status"] == ("success" if status < 400 else "error"), "another status than the answer's")
    _require({"node", "request_id", "timestamp", "version", "data"} <= envelope.keys(), "an incomplete envelope")
    _require(status < 400 or envelope["error"] == str(status), "another error than the answer's")
    _require((status < 400) == ("revision" in envelope), "a revision where none belongs, or none where one does")


def _check_engagement(answer: dict[str, Any]) -> None:
    if "xml" in answer["headers"]["content-type"]:
        root = ElementTree.fromstring(answer["body"])  # noqa: S314 Our own answer.
        _require(root.tag == "subscriptionResponse", "another root")
        response = {child.tag: child.text for child in root}
    else:
        ((name, response),) = json.loads(answer["body"]).items()
        _require(name == "subscriptionResponse", "another root")
    _require(list(response) == ["statusCode", "ksid", "message"], "other members")
    _require(response["statusCode"] == str(answer["statusCode"]), "another status than the answer's")
    _require((response["ksid"] == "-1") == (answer["statusCode"] >= 400), "a KSID where none belongs")


def _check_modern(answer: dict[str, Any]) -> None:
    status, body = answer["statusCode"], answer["body"]
    if "xml" in answer["headers"]["content-type"]:
        root = ElementTree.fromstring(body)  # noqa: S314 Our own answer.
        response = {child.tag: child.text for child in root}
        _require(response["statusCode"] == str(status), "another status than the answer's")
        return
    response = json.loads(body)
    if "description" in response:
        _require(response["statusCode"] == str(status), "another status than the answer's")
    elif "message" in response:
        _require(response.keys() == {"id", "message"}, "other members")
        _require(isinstance(response["id"], str) and (status < 400 or response["id"] == ""), "an id where none belongs")
    else:
        _require(status == 200 and ("ksid" in response or "total" in response), "neither a subscriber nor a list")


def _check_places(answer: dict[str, Any]) -> None:
    body = json.loads(answer["body"])
    members = {"error", "message"} if answer["statusCode"] >= 400 else {"status", "responseType", "message"}
    _require(body.keys() == members, "other members")


def _check_senders(answer: dict[str, Any]) -> None:
    body = json.loads(answer["body"])
    if "results" not in body:
        _check_places(answer)
        return
    is_lookup = "cursor" in body
    _require(answer["statusCode"] == 200 and body.keys() <= {"results", "cursor"}, "other members")
    for result in body["results"]:
        tokens = result.pop("tokens", None)
        if is_lookup:
            _require((tokens is not None) == (result["status"] == "ok"), "tokens where none belong, or none")
            _require(isinstance(result.pop("address"), int), "no address")
        _require(result["status"] in ({"ok", "invalid", "denied"} if is_lookup else _STATUSES), "another status")
        _require(result.keys() <= {"status", "reason"}, "other members of a result")
        _require(len(json.dumps(result)) <= MAX_RESULT, "a long result")


_CHECKS = {
    "kazoo": _check_kazoo,
    "engagement": _check_engagement,
    "modern": _check_modern,
    "places": _check_places,
    "senders": _check_senders,
}


def _check_request(family: str) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        check_family(family, data)

    return check


def check_token(data: bytes) -> None:
    """A token that nobody signed is refused; signed claims are accepted only for their account or roles, in time.

    After a first byte that is even comes a whole token, else a header and a payload, on a line each, to be signed.
    """
    is_signed = bool(data) and data[0] % 2 == 1
    header, _, payload = data[1:].partition(b"\n")
    text = KAZOO_SIGNER.sign_bytes(header, payload) if is_signed else data[1:].decode("utf-8", "surrogateescape")
    if not is_token(text):
        return
    store: Any = _IssuerStore()
    session = Session(store, timer=lambda: 0.0)
    verifier = TokenVerifier(Directory("DirectoryTable", lambda: 0.0))
    for family in _TOKEN_FAMILIES:
        try:
            credentials = verifier.verify(session, family, text, EPOCH)
        except UnauthenticatedError:
            continue
        _require(is_signed, "a token that nobody signed")
        claims = json.loads(payload)
        _require(json.loads(header)["alg"] == "RS256", "another algorithm")
        _require(family == "kazoo", "another family's token")
        _require(claims["exp"] + LEEWAY > EPOCH >= claims.get("nbf", 0) - LEEWAY, "out of time")
        _require(claims["iss"] == "kazoo" and not claims.get("aud"), "another issuer or audience")
        _require([each.account_id for each in credentials] == [claims["account_id"]], "another account")


class _IssuerStore(Store):
    """Holds the fuzzer's issuers."""

    def __init__(self) -> None:
        super().__init__(filled=False, refusals=0)

    def get_item(self, *, TableName: str, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Return the issuer under `Item`."""
        item = _ISSUERS.get(Key["record"]["S"])
        return {} if item is None else {"Item": item}


# The claims of one issuer's tokens are fuzzed; the other is there to be taken for it.
EPOCH = 1_767_225_600
KAZOO_SIGNER = kazoo_signer(EPOCH, ACCOUNT_ID)
_TOKEN_FAMILIES: tuple[TokenFamily, ...] = ("kazoo", "places")
_ISSUERS = {
    item["record"]: to_attributes(item) for item in map(to_item, (kazoo_issuer(), places_issuer("Courier=write:all")))
}
TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": check_json,
    "xml": check_xml,
    "token": check_token,
    **{family: _check_request(family) for family in _CHECKS},
}


def build_input(method: str, content_type: str | None, body: bytes, state: int = OPEN, parts: int = 0) -> bytes:
    """Return the bytes that stand for a request."""
    chosen = METHODS.index(method) if method in METHODS else 0
    known = CONTENT_TYPES.index(content_type) if content_type in CONTENT_TYPES else 0
    return bytes((chosen, known, state, parts)) + body


def _answer(family: str, create: Create | None, data: bytes) -> dict[str, Any]:
    resource, parameters, credential = _REQUESTS[family]
    parameters = dict(parameters)
    head, body = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    method, content_type = METHODS[head[0] % len(METHODS)], CONTENT_TYPES[head[1] % len(CONTENT_TYPES)]
    state, parts = head[2], head[3]
    query = {}
    if family in _RESOURCES:
        resources = _RESOURCES[family]
        resource = resources[(state >> RESOURCE_SHIFT) % len(resources)]
        if method == "GET":
            query = dict(parse_qsl(body.decode("utf-8", "replace")))
        if "{" not in resource:
            parameters = {}
    function = "places" if resource == PLACES_RESOURCE else _FUNCTIONS.get(family, family)
    create = create or importlib.import_module(f"{function}.app").create_handler
    headers: dict[str, str] = {} if content_type is None else {"content-type": content_type}
    if state & OPEN:
        headers |= credential
    if parts & FUZZ_PATH:
        line, _, body = body.partition(b"\n")
        parameters |= dict(zip(parameters, line.decode("utf-8", "surrogateescape").split("/"), strict=False))
    if parts & FUZZ_HEADERS:
        line, _, body = body.partition(b"\n")
        headers[HEADERS[parts // 4 % len(HEADERS)]] = line.decode("latin-1")
    lines: list[str] = []
    # Each look at the clock takes a moment, so that what never ends is answered as store trouble, and found.
    ticks = itertools.count()
    store = Store(bool(state & FILLED), (state & REFUSALS) >> 1)
    handler = create(
        {"FAMILY": function, "TABLE": "Table", "DIRECTORY_TABLE": "DirectoryTable", **_SENDERS_TABLES},
        store,
        timer=lambda: next(ticks) / 1000,
        sleep=lambda _: None,
        emit=lines.append,
    )
    encoded = bool(state & ENCODED)
    event = {
        "routeKey": f"ANY {resource}",
        "rawPath": resource,
        "pathParameters": parameters,
        "queryStringParameters": query,
        "headers": headers,
        "requestContext": {"http": {"method": method}, "requestId": "r", "apiId": "a"},
        "body": base64.b64encode(body).decode() if encoded else body.decode("utf-8", "surrogateescape"),
        "isBase64Encoded": encoded,
    }
    answer: dict[str, Any] = handler(event, None)
    _require(200 <= answer["statusCode"] < 500, f"answered {answer['statusCode']}: {lines}")
    _require(len(lines) == 1 and json.loads(lines[0])["status"] == answer["statusCode"], "not one line of log")
    _require(answer["statusCode"] < 400 or not store.written, "a refusal that changed something")
    path = "/".join((resource, *parameters.values()))
    bounded = is_bounded(answer["statusCode"], method, path, headers, len(body), len(answer["body"].encode()))
    _require(bounded, f"an answer of {len(answer['body'])} characters, too many for the request")
    _require(answer["headers"].get("cache-control") == "private, no-store", "an answer that a cache may keep")
    return answer


def _require(holds: bool, finding: str) -> None:
    if not holds:
        raise FindingError(finding)

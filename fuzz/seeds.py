"""Where the fuzzer starts: every request of the contract's cases."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fuzz.store import DEVICE_ID, KSID, REGISTRATION_ID, SID, TOKEN
from fuzz.targets import (
    ENCODED,
    EPOCH,
    FILLED,
    KAZOO_SIGNER,
    MODERN_RESOURCES,
    OPEN,
    PLACES_RESOURCE,
    RESOURCE_SHIFT,
    SENDERS_RESOURCES,
    build_input,
)
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.support.contract.cases import TABLES, load_cases
from tests.support.contract.filling import build_body, fill
from tests.support.issuers import decode, list_bad_tokens, places_signer

PLACES_INDEX = SENDERS_RESOURCES.index(PLACES_RESOURCE)
# One refused write.
REFUSED = 2


def list_seeds(target: str) -> Iterator[bytes]:
    """Yield the inputs for a target: bodies for a codec, tokens, or whole requests for a family."""
    if target == "token":
        yield from _list_tokens()
        return
    for case in load_cases():
        bindings = {**case.variables, "unique": "0123456789abcdef", "uuid": "1ee68c4e-7008-4227-a92d-e1b13ac64f30"}
        for step in case.steps:
            request = step.request
            body = build_body(request.data, request.text, request.parts, bindings) or b""
            headers = {name.lower(): fill(value, bindings) for name, value in request.headers.items()}
            content_type = headers.get("content-type", "application/json")
            if target in ("json", "xml"):
                if body.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"<") == (target == "xml"):
                    yield body
            elif target == "modern" and case.id.startswith("engagement_v1"):
                path, _, query = fill(request.path, bindings).partition("?")
                shift = _find_resource(path) << RESOURCE_SHIFT
                for state in (OPEN, OPEN | FILLED, OPEN | FILLED | REFUSED, ENCODED):
                    yield build_input(
                        fill(request.method, bindings), content_type, query.encode() or body, state | shift
                    )
            elif target == "senders" and (case.id.startswith(target) or fill(request.method, bindings) == "GET"):
                path, _, query = fill(request.path, bindings).partition("?")
                index = next((index for index, each in enumerate(SENDERS_RESOURCES) if each == path), PLACES_INDEX)
                for state in (OPEN, OPEN | FILLED, OPEN | FILLED | REFUSED, ENCODED):
                    shift = index << RESOURCE_SHIFT
                    yield build_input(
                        fill(request.method, bindings), content_type, query.encode() or body, state | shift
                    )
            elif case.tables == TABLES.get(target):
                for state in (OPEN, OPEN | FILLED, OPEN | FILLED | REFUSED, ENCODED):
                    yield build_input(fill(request.method, bindings), content_type, body, state)
    if target == "senders":
        yield from _list_entries()
    if target == "kazoo":
        body = b'{"data":{}}'
        for parts in (1, 2, 3, 6, 10, 14, 18, 22, 26):
            yield build_input(
                "GET", None, b"c0ffee00c0ffee00c0ffee00c0ffee00/app/device\n*\n" + body, OPEN | FILLED, parts
            )


def _list_entries() -> Iterator[bytes]:
    """Yield reports and lookups of what the store holds."""
    account = {"account_id": ACCOUNT_ID, "device_id": DEVICE_ID}
    keys = {"place": {"place_id": PLACE_ID}, "ksid": {"ksid": KSID}, "account": account}
    names = {"place": {"device_token": TOKEN}, "ksid": {"sid": SID}, "account": {"registration_id": REGISTRATION_ID}}
    verdicts = ({"code": "ok"}, {"provider": "fcm", "code": "UNREGISTERED", "at": "2025-01-01T00:00:00Z"})
    reports = [{**keys[kind], **names[kind], **verdict} for kind in keys for verdict in verdicts]
    application = {"application": "demo-app"}
    addresses = [*keys.values(), {**application, "ufid": "me"}, {**application, "device_id": DEVICE_ID}]
    for index, (member, entries) in enumerate((("results", reports), ("addresses", addresses))):
        for entry in (*([each] for each in entries), entries):
            body = json.dumps({member: entry}).encode()
            for state in (OPEN, OPEN | FILLED, OPEN | FILLED | REFUSED, ENCODED | OPEN | FILLED):
                yield build_input("POST", "application/json", body, state | index << RESOURCE_SHIFT)


def _find_resource(path: str) -> int:
    """Return the index of the resource that the path is most likely meant for."""
    words = ("activate", "inactivate", "ksids", "location", "geolocupdate")
    word = path.rpartition("/")[2]
    if word in words:
        return next(index for index, resource in enumerate(MODERN_RESOURCES) if resource.endswith(f"/{word}"))
    if word == "subscribers":
        return MODERN_RESOURCES.index("/kpns/api/v1/subscribers" if path.startswith("/kpns") else "/api/v1/subscribers")
    return MODERN_RESOURCES.index("/api/v1/subscribers/{ksid}")


def _list_tokens() -> Iterator[bytes]:
    """Yield tokens that nobody signed, and headers and payloads to be signed."""
    for signer in (KAZOO_SIGNER, places_signer(EPOCH, "Courier")):
        for token in list_bad_tokens(signer, EPOCH).values():
            yield b"\0" + token.encode()
            header, payload = (decode(part) for part in token.split(".")[:2])
            yield b"\1" + header + b"\n" + payload
    for token in (KAZOO_SIGNER.sign(), KAZOO_SIGNER.sign(nbf=EPOCH), KAZOO_SIGNER.sign(exp=EPOCH - 59.5)):
        header, payload = (decode(part) for part in token.split(".")[:2])
        yield b"\1" + header + b"\n" + payload

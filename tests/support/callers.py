"""Credentials of every kind, and a registry that records the database calls of each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import ConnectionClosedError

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, Item, digest
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.calls import Answer
from tests.support.gateway import Gateway, read_template
from tests.support.issuers import Signer, kazoo_signer, list_bad_tokens, places_signer
from tests.support.stored import Stored
from tests.support.tenants import (
    ACCOUNT,
    APPLICATION,
    FOREIGN_ACCOUNT,
    FOREIGN_APPLICATION,
    FOREIGN_PLACE,
    PLACE,
    Attempt,
    Target,
    build,
    push_token,
    secret,
)

PROJECT = Path(__file__).parents[2]
_ALL_ROUTES = {route.path: route for route in read_template().routes}
# The modern engagement API has a matrix of its own, since some of its routes are open to devices and some are not.
MODERN_ROUTES = {
    path: route for path, route in _ALL_ROUTES.items() if "/api/v1/" in path or path.endswith("/service/geolocupdate")
}
ROUTES = {path: route for path, route in _ALL_ROUTES.items() if path not in MODERN_ROUTES}
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS")
KNOWN = {
    "KazooFunction": ("GET", "PUT", "POST", "DELETE"),
    "EngagementFunction": ("POST",),
    "PlacesFunction": ("GET", "PUT", "DELETE"),
    "SendersFunction": ("POST",),
}
KINDS = {"none", "malformed", "unknown", "revoked", "other tenant's", "other family's", "too narrow"}
READS = {"get_item", "batch_get_item", "transact_get_items", "query"}
CLOCK = datetime(2026, 1, 1, tzinfo=UTC)

Refusal = int | Mapping[str, int]
_READ_ONLY = {"GET": 200, "PUT": 403, "POST": 403, "DELETE": 403}


def with_bearer(value: str) -> Attempt:
    return Attempt({"authorization": f"Bearer {value}"})


def with_token(value: str) -> Attempt:
    return Attempt({"x-auth-token": value})


def with_auth_token(value: Any) -> Attempt:
    return Attempt(members={"authToken": value})


EPOCH = int(CLOCK.timestamp())
KAZOO_SIGNER, PLACES_SIGNER = kazoo_signer(EPOCH, ACCOUNT), places_signer(EPOCH, "Courier")
_FOREIGN_TOKEN = kazoo_signer(EPOCH, FOREIGN_ACCOUNT).sign()


def _list_bad(signer: Signer, present: Callable[[str], Attempt]) -> dict[str, tuple[Attempt, Refusal]]:
    return {name: (present(token), 401) for name, token in list_bad_tokens(signer, EPOCH).items()}


# What comes with the request, and the status that it is worth.
CREDENTIALS: dict[str, dict[str, tuple[Attempt, Refusal]]] = {
    "KazooFunction": {
        "none": (Attempt(), 401),
        "none: the account's name": (Attempt({"x-auth-account-id": ACCOUNT}), 401),
        "malformed: empty": (with_token(""), 401),
        "malformed: blank": (with_token(" "), 401),
        "malformed: control characters": (with_token("\x00\x1b"), 401),
        "malformed: not ASCII": (with_token("\udcff\xe9"), 401),
        "malformed: 8 KB": (with_token("x" * 8192), 401),
        "malformed: another scheme": (Attempt({"authorization": f"Basic {secret(f'{ACCOUNT} write')}"}), 401),
        "malformed: no secret": (with_bearer(""), 401),
        "malformed: in the query string": (Attempt(query=f"auth_token={secret(f'{ACCOUNT} write')}"), 401),
        "malformed: a number": (Attempt(members={"auth_token": 17}), 401),
        "malformed: an array": (Attempt(members={"auth_token": [secret(f"{ACCOUNT} write")]}), 401),
        "malformed: the digest of a good one": (with_token(digest(secret(f"{ACCOUNT} write"))), 401),
        "malformed: the id of a good one": (with_token(digest(secret(f"{ACCOUNT} write"))[:16]), 401),
        "malformed: upper case": (with_token(secret(f"{ACCOUNT} write").upper()), 401),
        "malformed: a good one for another account": (
            Attempt({"x-auth-token": secret(f"{ACCOUNT} write"), "x-auth-account-id": FOREIGN_ACCOUNT}),
            401,
        ),
        "unknown": (with_token(secret("unknown")), 401),
        "unknown: before a good one": (
            Attempt({"x-auth-token": secret("unknown"), "authorization": f"Bearer {secret(f'{ACCOUNT} write')}"}),
            401,
        ),
        "unknown: in the body": (Attempt(members={"auth_token": secret("unknown")}), 401),
        "revoked": (with_token(secret("revoked")), 401),
        "other tenant's": (with_token(secret(f"{FOREIGN_ACCOUNT} admin")), 403),
        "other tenant's: as bearer": (with_bearer(secret(f"{FOREIGN_ACCOUNT} write")), 403),
        "other tenant's: in the body": (Attempt(members={"auth_token": secret(f"{FOREIGN_ACCOUNT} write")}), 403),
        "other family's: a sender's": (with_token(secret("sender")), 401),
        "other family's": (with_token(secret(f"{PLACE} admin")), 401),
        "other family's: an application's": (with_token(secret(APPLICATION)), 401),
        "too narrow": (with_token(secret(f"{ACCOUNT} read")), _READ_ONLY),
        "too narrow: as bearer": (with_bearer(secret(f"{ACCOUNT} read")), _READ_ONLY),
        "too narrow: other tenant's": (with_token(secret(f"{FOREIGN_ACCOUNT} read")), 403),
        **_list_bad(KAZOO_SIGNER, with_token),
        "malformed: token without account": (with_token(KAZOO_SIGNER.sign(account_id=None)), 401),
        "malformed: token for another account's name": (
            Attempt({"x-auth-token": KAZOO_SIGNER.sign(), "x-auth-account-id": FOREIGN_ACCOUNT}),
            401,
        ),
        "malformed: token in the query string": (Attempt(query=f"auth_token={KAZOO_SIGNER.sign()}"), 401),
        "other tenant's: token": (with_token(_FOREIGN_TOKEN), 403),
        "other tenant's: token as bearer": (with_bearer(_FOREIGN_TOKEN), 403),
        "other tenant's: token in the body": (Attempt(members={"auth_token": _FOREIGN_TOKEN}), 403),
        "other family's: token for places": (with_token(PLACES_SIGNER.sign()), 401),
    },
    "PlacesFunction": {
        "none": (Attempt(), 401),
        "malformed: empty": (Attempt({"authorization": ""}), 401),
        "malformed: no secret": (with_bearer(""), 401),
        "malformed: no scheme": (Attempt({"authorization": secret(f"{PLACE} write")}), 401),
        "malformed: another scheme": (Attempt({"authorization": f"Basic {secret(f'{PLACE} write')}"}), 401),
        "malformed: another header": (with_token(secret(f"{PLACE} write")), 401),
        "malformed: in the query string": (Attempt(query=f"access_token={secret(f'{PLACE} write')}"), 401),
        "malformed: in the body": (Attempt(members={"auth_token": secret(f"{PLACE} write")}), 401),
        "malformed: not ASCII": (with_bearer("\udcff\xe9"), 401),
        "malformed: 8 KB": (with_bearer("x" * 8192), 401),
        "malformed: the digest of a good one": (with_bearer(digest(secret(f"{PLACE} write"))), 401),
        "unknown": (with_bearer(secret("unknown")), 401),
        "revoked": (with_bearer(secret("revoked")), 401),
        "other tenant's": (with_bearer(secret(f"{FOREIGN_PLACE} admin")), 403),
        "other family's": (with_bearer(secret(f"{ACCOUNT} admin")), 401),
        "other family's: an application's": (with_bearer(secret(APPLICATION)), 401),
        "other family's: a sender's": (with_bearer(secret("sender")), {"GET": 200, "PUT": 401, "DELETE": 401}),
        "too narrow": (with_bearer(secret(f"{PLACE} read")), {"GET": 200, "PUT": 403, "DELETE": 403}),
        "too narrow: other tenant's": (with_bearer(secret(f"{FOREIGN_PLACE} read")), 403),
        **_list_bad(PLACES_SIGNER, with_bearer),
        "malformed: token in another header": (with_token(PLACES_SIGNER.sign()), 401),
        "other tenant's: token": (with_bearer(PLACES_SIGNER.sign(roles=["Foreign"])), 403),
        "other family's: token of Kazoo": (with_bearer(KAZOO_SIGNER.sign()), 401),
        "too narrow: token": (
            with_bearer(PLACES_SIGNER.sign(roles=["Reader"])),
            {"GET": 200, "PUT": 403, "DELETE": 403},
        ),
    },
    "SendersFunction": {
        "none": (Attempt(), 401),
        "malformed: empty": (Attempt({"authorization": ""}), 401),
        "malformed: no secret": (with_bearer(""), 401),
        "malformed: no scheme": (Attempt({"authorization": secret("sender")}), 401),
        "malformed: another header": (with_token(secret("sender")), 401),
        "malformed: in the query string": (Attempt(query=f"access_token={secret('sender')}"), 401),
        "malformed: in the body": (Attempt(members={"auth_token": secret("sender")}), 401),
        "malformed: not ASCII": (with_bearer("\udcff\xe9"), 401),
        "malformed: the digest of a good one": (with_bearer(digest(secret("sender"))), 401),
        "unknown": (with_bearer(secret("unknown")), 401),
        "revoked": (with_bearer(secret("revoked")), 401),
        # Entries are refused one by one, in an answer of status 200: tests/functional/test_senders.py.
        "other tenant's": (with_bearer(secret(f"{FOREIGN_PLACE} sender")), 200),
        "other family's": (with_bearer(secret(f"{ACCOUNT} admin")), 401),
        "other family's: a place's": (with_bearer(secret(f"{PLACE} admin")), 401),
        "other family's: that may read": (with_bearer(secret(f"{PLACE} read")), 401),
        "other family's: an application's": (with_bearer(secret(APPLICATION)), 401),
        "too narrow": (with_bearer(secret("sender for applications")), 200),
    },
    "EngagementFunction": {
        "none": (Attempt(), 401),
        "malformed: empty": (with_auth_token(""), 401),
        "malformed: null": (with_auth_token(None), 401),
        "malformed: a number": (with_auth_token(17), 401),
        "malformed: an array": (with_auth_token([secret(APPLICATION)]), 400),
        "malformed: as bearer": (with_bearer(secret(APPLICATION)), 401),
        "malformed: in the query string": (Attempt(query=f"authToken={secret(APPLICATION)}"), 401),
        "malformed: the digest of a good one": (with_auth_token(digest(secret(APPLICATION))), 401),
        "malformed: upper case": (with_auth_token(secret(APPLICATION).upper()), 401),
        "unknown": (with_auth_token(secret("unknown")), 401),
        "unknown: in the header": (Attempt({"x-device-authtoken": secret("unknown")}), 401),
        "unknown: in the header, before a good one": (
            Attempt({"x-device-authtoken": secret("unknown")}, members={"authToken": secret(APPLICATION)}),
            401,
        ),
        "revoked": (with_auth_token(secret("revoked")), 401),
        "other tenant's": (with_auth_token(secret(FOREIGN_APPLICATION)), 401),
        "other tenant's: in the header": (Attempt({"x-device-authtoken": secret(FOREIGN_APPLICATION)}), 401),
        "other family's": (with_auth_token(secret(f"{ACCOUNT} admin")), 401),
        "other family's: a sender's": (with_auth_token(secret("sender")), 401),
        "other family's: a place's": (Attempt({"x-device-authtoken": secret(f"{PLACE} admin")}), 401),
        "other family's: token of Kazoo": (with_auth_token(KAZOO_SIGNER.sign()), 401),
        # An authToken has no scope; what is narrower than an application is one of its subscribers.
        "too narrow: a subscriber's own sid": (with_auth_token(push_token("stored")), 401),
    },
}
KAZOO_MESSAGES = {
    401: ("invalid_credentials", {"message": "invalid credentials"}),
    403: ("forbidden", {"message": "forbidden"}),
}
NARROW = {"message": "forbidden", "cause": "access denied by token restrictions"}
PLACES_BODIES = {
    401: {"error": "Unauthorized", "message": "Invalid or missing API key"},
    403: {"error": "Forbidden", "message": "The API key has no access to this place"},
}
NARROW_KEY = {"error": "Forbidden", "message": "The API key's scope does not allow this"}
ENGAGEMENT_MESSAGES = {400: "Invalid request format.", 401: "Unauthorized request. The authToken is invalid."}


@dataclass(frozen=True)
class Call:
    """What a caller could tell by its stopwatch: one call of the database, without the values in it."""

    operation: str
    tables: tuple[str, ...]
    keys: int


@dataclass
class Timer:
    """A clock that stands still until it is moved."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


class Recorder:
    """A client that notes what each call costs."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[Call] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, operation)

        def noted(**parameters: Any) -> Any:
            self.calls.append(_describe(operation, parameters))
            return call(**parameters)

        return noted


def _describe(operation: str, parameters: Mapping[str, Any]) -> Call:
    if "RequestItems" in parameters:
        items: Mapping[str, Any] = parameters["RequestItems"]
        return Call(operation, tuple(sorted(items)), sum(len(each["Keys"]) for each in items.values()))
    if "TransactItems" in parameters:
        members = [next(iter(each.values())) for each in parameters["TransactItems"]]
        return Call(operation, tuple(sorted(each["TableName"] for each in members)), len(members))
    return Call(operation, (parameters["TableName"],), 1)


class Registry:
    """The functions over moto's tables, holding one registration of each family."""

    def __init__(self, stored: Stored, writer: DirectoryWriter) -> None:
        self.client = stored.client
        self.writer = writer
        self.stored = stored

    def snapshot(self) -> list[list[Item]]:
        """Return the items of all tables: devices, subscribers, places, directory."""
        return [self.stored.snapshot(table) for table in (DEVICES, SUBSCRIBERS, PLACES, DIRECTORY)]

    def gateway(self, **options: Any) -> tuple[Gateway, Recorder]:
        """Return functions that know nothing yet."""
        recorder = Recorder(self.client)
        return Gateway(recorder, clock=lambda: CLOCK, **options), recorder

    def send(self, gateway: Gateway, method: str, path: str, attempt: Attempt, target: Target | None = None) -> Answer:
        """Send a request for the stored registration, or for another target."""
        filled, headers, body = build(path, attempt, target or Target())
        return gateway.send(method, filled, headers, body)


def tables_of(recorder: Recorder) -> set[str]:
    return {table for call in recorder.calls for table in call.tables}


def settle(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    return answer[0], dict(answer[1]), answer[2]


class Breaking:
    """A client that fails as told, with the request's values in its words."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def __getattr__(self, operation: str) -> Any:
        def fail(**parameters: Any) -> NoReturn:
            text = json.dumps(parameters, default=str)
            if self._error is ConnectionClosedError:
                raise ConnectionClosedError(endpoint_url=text)
            raise self._error(text)

        return fail

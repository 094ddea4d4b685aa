"""Nobody in: every route of the template with every kind of credential that is not good enough for it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
from moto import mock_aws

from pushreg.models.directory import Application, digest
from pushreg.stores.directory import CACHE_SECONDS, DirectoryWriter
from pushreg_ops.template import Route
from tests.contract.in_process import Gateway, create_tables, read_template
from tests.contract.playing import Answer
from tests.trust.tenants import (
    ACCOUNT,
    APPLICATION,
    FOREIGN_ACCOUNT,
    FOREIGN_APPLICATION,
    FOREIGN_PLACE,
    MOMENT,
    PLACE,
    UNKNOWN_ACCOUNT,
    UNKNOWN_APPLICATION,
    UNKNOWN_PLACE,
    Attempt,
    Target,
    build,
    form,
    install,
    kazoo_credential,
    places_credential,
    push_token,
    right_attempts,
    secret,
)

PROJECT = Path(__file__).parents[2]
ROUTES = {route.path: route for route in read_template().routes}
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS")
KNOWN = {
    "KazooFunction": ("GET", "PUT", "POST", "DELETE"),
    "EngagementFunction": ("POST",),
    "PlacesFunction": ("PUT", "DELETE"),
}
KINDS = {"none", "malformed", "unknown", "revoked", "other tenant's", "other family's", "too narrow"}
READS = {"get_item", "batch_get_item", "transact_get_items"}
CLOCK = datetime(2026, 1, 1, tzinfo=UTC)

Refusal = int | Mapping[str, int]
_READ_ONLY = {"GET": 200, "PUT": 403, "POST": 403, "DELETE": 403}


def _bearer(value: str) -> Attempt:
    return Attempt({"authorization": f"Bearer {value}"})


def _token(value: str) -> Attempt:
    return Attempt({"x-auth-token": value})


def _auth_token(value: Any) -> Attempt:
    return Attempt(members={"authToken": value})


# What comes with the request, and the status that it is worth.
CREDENTIALS: dict[str, dict[str, tuple[Attempt, Refusal]]] = {
    "KazooFunction": {
        "none": (Attempt(), 401),
        "none: the account's name": (Attempt({"x-auth-account-id": ACCOUNT}), 401),
        "malformed: empty": (_token(""), 401),
        "malformed: blank": (_token(" "), 401),
        "malformed: control characters": (_token("\x00\x1b"), 401),
        "malformed: not ASCII": (_token("\udcff\xe9"), 401),
        "malformed: 8 KB": (_token("x" * 8192), 401),
        "malformed: another scheme": (Attempt({"authorization": f"Basic {secret(f'{ACCOUNT} write')}"}), 401),
        "malformed: no secret": (_bearer(""), 401),
        "malformed: in the query string": (Attempt(query=f"auth_token={secret(f'{ACCOUNT} write')}"), 401),
        "malformed: a number": (Attempt(members={"auth_token": 17}), 401),
        "malformed: an array": (Attempt(members={"auth_token": [secret(f"{ACCOUNT} write")]}), 401),
        "malformed: the digest of a good one": (_token(digest(secret(f"{ACCOUNT} write"))), 401),
        "malformed: the id of a good one": (_token(digest(secret(f"{ACCOUNT} write"))[:16]), 401),
        "malformed: upper case": (_token(secret(f"{ACCOUNT} write").upper()), 401),
        "malformed: a good one for another account": (
            Attempt({"x-auth-token": secret(f"{ACCOUNT} write"), "x-auth-account-id": FOREIGN_ACCOUNT}),
            401,
        ),
        "unknown": (_token(secret("unknown")), 401),
        "unknown: before a good one": (
            Attempt({"x-auth-token": secret("unknown"), "authorization": f"Bearer {secret(f'{ACCOUNT} write')}"}),
            401,
        ),
        "unknown: in the body": (Attempt(members={"auth_token": secret("unknown")}), 401),
        "revoked": (_token(secret("revoked")), 401),
        "other tenant's": (_token(secret(f"{FOREIGN_ACCOUNT} admin")), 403),
        "other tenant's: as bearer": (_bearer(secret(f"{FOREIGN_ACCOUNT} write")), 403),
        "other tenant's: in the body": (Attempt(members={"auth_token": secret(f"{FOREIGN_ACCOUNT} write")}), 403),
        "other family's": (_token(secret(f"{PLACE} admin")), 401),
        "other family's: an application's": (_token(secret(APPLICATION)), 401),
        "too narrow": (_token(secret(f"{ACCOUNT} read")), _READ_ONLY),
        "too narrow: as bearer": (_bearer(secret(f"{ACCOUNT} read")), _READ_ONLY),
        "too narrow: other tenant's": (_token(secret(f"{FOREIGN_ACCOUNT} read")), 403),
    },
    "PlacesFunction": {
        "none": (Attempt(), 401),
        "malformed: empty": (Attempt({"authorization": ""}), 401),
        "malformed: no secret": (_bearer(""), 401),
        "malformed: no scheme": (Attempt({"authorization": secret(f"{PLACE} write")}), 401),
        "malformed: another scheme": (Attempt({"authorization": f"Basic {secret(f'{PLACE} write')}"}), 401),
        "malformed: another header": (_token(secret(f"{PLACE} write")), 401),
        "malformed: in the query string": (Attempt(query=f"access_token={secret(f'{PLACE} write')}"), 401),
        "malformed: in the body": (Attempt(members={"auth_token": secret(f"{PLACE} write")}), 401),
        "malformed: not ASCII": (_bearer("\udcff\xe9"), 401),
        "malformed: 8 KB": (_bearer("x" * 8192), 401),
        "malformed: the digest of a good one": (_bearer(digest(secret(f"{PLACE} write"))), 401),
        "unknown": (_bearer(secret("unknown")), 401),
        "revoked": (_bearer(secret("revoked")), 401),
        "other tenant's": (_bearer(secret(f"{FOREIGN_PLACE} admin")), 403),
        "other family's": (_bearer(secret(f"{ACCOUNT} admin")), 401),
        "other family's: an application's": (_bearer(secret(APPLICATION)), 401),
        "too narrow": (_bearer(secret(f"{PLACE} read")), 403),
        "too narrow: other tenant's": (_bearer(secret(f"{FOREIGN_PLACE} read")), 403),
    },
    "EngagementFunction": {
        "none": (Attempt(), 401),
        "malformed: empty": (_auth_token(""), 401),
        "malformed: null": (_auth_token(None), 401),
        "malformed: a number": (_auth_token(17), 400),
        "malformed: an array": (_auth_token([secret(APPLICATION)]), 400),
        "malformed: as bearer": (_bearer(secret(APPLICATION)), 401),
        "malformed: in the query string": (Attempt(query=f"authToken={secret(APPLICATION)}"), 401),
        "malformed: the digest of a good one": (_auth_token(digest(secret(APPLICATION))), 401),
        "malformed: upper case": (_auth_token(secret(APPLICATION).upper()), 401),
        "unknown": (_auth_token(secret("unknown")), 401),
        "unknown: in the header": (Attempt({"x-device-authtoken": secret("unknown")}), 401),
        "unknown: in the header, before a good one": (
            Attempt({"x-device-authtoken": secret("unknown")}, members={"authToken": secret(APPLICATION)}),
            401,
        ),
        "revoked": (_auth_token(secret("revoked")), 401),
        "other tenant's": (_auth_token(secret(FOREIGN_APPLICATION)), 401),
        "other tenant's: in the header": (Attempt({"x-device-authtoken": secret(FOREIGN_APPLICATION)}), 401),
        "other family's": (_auth_token(secret(f"{ACCOUNT} admin")), 401),
        "other family's: a place's": (Attempt({"x-device-authtoken": secret(f"{PLACE} admin")}), 401),
        # An authToken has no scope; what is narrower than an application is one of its subscribers.
        "too narrow: a subscriber's own sid": (_auth_token(push_token("stored")), 401),
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

    def __init__(self, client: Any, writer: DirectoryWriter, snapshot: Callable[[], Any]) -> None:
        self.client = client
        self.writer = writer
        self.snapshot = snapshot

    def gateway(self, **options: Any) -> tuple[Gateway, Recorder]:
        """Return functions that know nothing yet."""
        recorder = Recorder(self.client)
        return Gateway(recorder, clock=lambda: CLOCK, **options), recorder

    def send(self, gateway: Gateway, method: str, path: str, attempt: Attempt, target: Target | None = None) -> Answer:
        """Send a request for the stored registration, or for another target."""
        filled, headers, body = build(path, attempt, target or Target())
        return gateway.send(method, filled, headers, body)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with mock_aws():
        client = boto3.client("dynamodb")
        tables = create_tables(client)
        writer = install(client)
        names = ("devices", "subscribers", "places", "directory")
        made = Registry(client, writer, lambda: [tables.snapshot(name) for name in names])
        gateway, _ = made.gateway()
        for function, method, attempt in right_attempts():
            path = next(route.path for route in ROUTES.values() if route.function == function)
            status, _, _ = made.send(gateway, method, path, attempt)
            assert status in (200, 201)
        yield made


@pytest.fixture(scope="module", autouse=True)
def baseline(registry: Registry) -> Any:
    return registry.snapshot()


def cells() -> Iterator[Any]:
    for route in ROUTES.values():
        for method in METHODS:
            for name in CREDENTIALS[route.function]:
                yield pytest.param(route, method, name, id=f"{method} {route.path} with {name}")


def test_matrix_has_every_kind_of_credential_for_every_function() -> None:
    assert {route.function for route in ROUTES.values()} == CREDENTIALS.keys()
    for function, credentials in CREDENTIALS.items():
        assert {name.partition(":")[0] for name in credentials} == KINDS, function


@pytest.mark.parametrize(("route", "method", "name"), list(cells()))
def test_credential_that_is_not_good_enough_does_nothing(
    route: Route, method: str, name: str, registry: Registry
) -> None:
    attempt, refusal = CREDENTIALS[route.function][name]
    wanted = refusal if isinstance(refusal, int) else refusal.get(method, 0)
    if method not in KNOWN[route.function]:
        wanted = 405
    gateway, recorder = registry.gateway()
    first = registry.send(gateway, method, route.path, attempt)
    cold = len(recorder.calls)
    again = registry.send(gateway, method, route.path, attempt)
    assert first[0] == wanted
    assert _settle(first) == _settle(again)
    _check_body(route.function, name, first)
    if wanted >= 400:
        assert push_token("stored").encode() not in first[2]
        assert "DevicesTable" not in _tables(recorder)
        assert cold <= 1
    if wanted in (400, 405):
        assert recorder.calls == []
    assert {call.operation for call in recorder.calls} <= READS


def _tables(recorder: Recorder) -> set[str]:
    return {table for call in recorder.calls for table in call.tables}


def _settle(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    return answer[0], dict(answer[1]), answer[2]


def _check_body(function: str, name: str, answer: Answer) -> None:
    status, headers, raw = answer
    if status in (200, 405):
        return
    body = json.loads(raw)
    narrow = name.startswith("too narrow") and "other tenant" not in name
    if function == "KazooFunction":
        message, data = KAZOO_MESSAGES[status]
        expected = {"status": "error", "error": str(status), "message": message, "data": NARROW if narrow else data}
        own = {"node", "request_id", "timestamp", "version", "auth_token"}
        assert {key: value for key, value in body.items() if key not in own} == expected
    elif function == "PlacesFunction":
        # A key that may not write is told so before anybody looks which places it has.
        assert body == (NARROW_KEY if name.startswith("too narrow") else PLACES_BODIES[status])
        assert (headers.get("www-authenticate") == "Bearer") == (status == 401)
    else:
        answered = {"statusCode": str(status), "ksid": "-1", "message": ENGAGEMENT_MESSAGES[status]}
        assert body == {"subscriptionResponse": answered}


@pytest.mark.parametrize(("function", "method", "attempt"), list(right_attempts()))
def test_right_credential_opens_what_the_matrix_shuts(
    function: str, method: str, attempt: Attempt, registry: Registry, baseline: Any
) -> None:
    gateway, _ = registry.gateway()
    for route in (each for each in ROUTES.values() if each.function == function):
        status, _, body = registry.send(gateway, method, route.path, attempt)
        # The registration is there already: PUT refuses, places refreshes, engagement answers a duplicate.
        assert (status, b"already" in body) in ((400, True), (200, False), (201, False))
    assert len(registry.snapshot()) == len(baseline)


@pytest.mark.parametrize("verb", ["DELETE", "delete", "PUT", "POST"])
def test_verb_in_the_envelope_needs_the_scope_of_that_verb(verb: str, registry: Registry, baseline: Any) -> None:
    gateway, _ = registry.gateway()
    path = next(path for path in ROUTES if path.startswith("/v2/"))
    narrow = Attempt({"x-auth-token": secret(f"{ACCOUNT} read")}, members={"verb": verb})
    assert registry.send(gateway, "POST", path, narrow)[0] == 403
    foreign = Attempt({"x-auth-token": secret(f"{FOREIGN_ACCOUNT} admin")}, members={"verb": verb})
    assert registry.send(gateway, "POST", path, foreign)[0] == 403
    assert registry.snapshot() == baseline


# Two targets between which a caller without the right to them must not be able to tell.
FOREIGN_OR_UNKNOWN = [
    ("KazooFunction", _token(secret(f"{ACCOUNT} admin")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", _token(secret(f"{ACCOUNT} read")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", _token(secret("unknown")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", _token(secret(f"{PLACE} admin")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", Attempt(), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("PlacesFunction", _bearer(secret(f"{PLACE} admin")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", _bearer(secret(f"{PLACE} read")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", _bearer(secret("unknown")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", _bearer(secret(f"{ACCOUNT} admin")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", Attempt(), FOREIGN_PLACE, UNKNOWN_PLACE),
]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("function", "attempt", "foreign", "unknown"), FOREIGN_OR_UNKNOWN)
def test_what_is_foreign_looks_and_costs_as_if_it_were_not_there(
    function: str, attempt: Attempt, foreign: str, unknown: str, warm: bool, registry: Registry, baseline: Any
) -> None:
    route = next(route for route in ROUTES.values() if route.function == function)
    for method in KNOWN[function]:
        seen = []
        for place in (foreign, unknown):
            gateway, recorder = registry.gateway()
            target = Target(account_id=place) if function == "KazooFunction" else Target(place_id=place)
            if warm:
                registry.send(gateway, "GET" if function == "KazooFunction" else "PUT", route.path, attempt)
                recorder.calls.clear()
            answer = registry.send(gateway, method, route.path, attempt, target)
            assert answer[0] in (401, 403)
            assert place.encode() not in answer[2]
            seen.append((_settle(answer), tuple(recorder.calls)))
        assert seen[0] == seen[1]
    assert registry.snapshot() == baseline


@pytest.mark.parametrize("function", ["KazooFunction", "PlacesFunction"])
def test_refused_caller_cannot_tell_a_registration_from_none(function: str, registry: Registry, baseline: Any) -> None:
    route = next(route for route in ROUTES.values() if route.function == function)
    for name, (attempt, _) in CREDENTIALS[function].items():
        if name.startswith("too narrow") and function == "KazooFunction":
            continue  # It may read what is there.
        for method in KNOWN[function]:
            seen = []
            for target in (Target(), Target(device_id="device-none", token=push_token("none"))):
                gateway, recorder = registry.gateway()
                seen.append((_settle(registry.send(gateway, method, route.path, attempt, target)), recorder.calls))
            assert seen[0] == seen[1], (method, name)
    assert registry.snapshot() == baseline


def test_subscribers_of_another_application_look_and_cost_as_if_they_were_not_there(
    registry: Registry, baseline: Any
) -> None:
    ksid = next(item["ksid"]["S"] for item in baseline[1] if item["record"]["S"].startswith("ksid#"))
    foreign = {"appId": FOREIGN_APPLICATION, "authToken": secret(FOREIGN_APPLICATION)}
    device_id = form(Target())["deviceId"]
    forms: list[list[dict[str, Any]]] = [
        [{**foreign, "ksid": each} for each in (ksid, "1" + "0" * 18)],
        [{**foreign, "ksid": each, "deviceId": device_id} for each in (ksid, "1" + "0" * 18)],
        [{**foreign, "deviceId": each} for each in (device_id, "device-none")],
    ]
    for pair in forms:
        seen = []
        for each in pair:
            gateway, recorder = registry.gateway()
            body = json.dumps({"subscriptionService": {"unsubscribe": each}}).encode()
            headers = {"content-type": "application/json"}
            answer = gateway.send("POST", "/vpns/subscription", headers, body)
            assert answer[0] == 404
            seen.append((_settle(answer), recorder.calls))
        assert seen[0] == seen[1], pair
    assert registry.snapshot() == baseline


def test_unknown_application_says_nothing_of_its_devices(registry: Registry, baseline: Any) -> None:
    gateway, recorder = registry.gateway()
    answer = registry.send(gateway, "POST", "/vpns/subscription", Attempt(), Target(application=UNKNOWN_APPLICATION))
    assert answer[0] == 404
    assert _tables(recorder) == {"DirectoryTable"}
    assert registry.snapshot() == baseline


@pytest.mark.parametrize("pace", [7.0, 59.0], ids=["busy", "idle"])
def test_revoked_key_is_dead_within_a_minute_however_busy(pace: float, registry: Registry) -> None:
    value = secret(f"to be revoked {pace}")
    entries = {
        "KazooFunction": (kazoo_credential(value, "write"), _token(value), 404, 401),
        "PlacesFunction": (places_credential(value, "write"), _bearer(value), 404, 401),
    }
    for function, (credential, attempt, alive, dead) in entries.items():
        route = next(route for route in ROUTES.values() if route.function == function)
        target = Target(device_id="device-none", token=push_token("none"))
        timer = Timer()
        gateway, _ = registry.gateway(timer=timer)
        registry.writer.add(credential)
        assert registry.send(gateway, "DELETE", route.path, attempt, target)[0] == alive
        assert registry.writer.remove("credential", credential.secret_digest)
        dies_at = timer.seconds + CACHE_SECONDS
        while timer.seconds + pace < dies_at:
            timer.seconds += pace
            # Remembered for a while, which a use must not make longer.
            assert registry.send(gateway, "DELETE", route.path, attempt, target)[0] == alive
        timer.seconds = dies_at
        assert registry.send(gateway, "DELETE", route.path, attempt, target)[0] == dead
        fresh, _ = registry.gateway()
        assert registry.send(fresh, "DELETE", route.path, attempt, target)[0] == dead
    assert CACHE_SECONDS <= 60


def test_replaced_auth_token_is_dead_within_a_minute(registry: Registry) -> None:
    timer = Timer()
    gateway, _ = registry.gateway(timer=timer)
    target = Target(application="rotating-app", token=push_token("rotating"))
    registry.writer.add(Application("rotating-app", MOMENT, digest(secret("old"))))
    body = {"unsubscribe": {"appId": "rotating-app", "deviceId": "device-none"}}

    def unsubscribe(token: str) -> int:
        headers = {"content-type": "application/json", "x-device-authtoken": token}
        return gateway.send("POST", "/subscription", headers, json.dumps({"subscriptionService": body}).encode())[0]

    try:
        assert unsubscribe(secret("old")) == 404
        registry.writer.add(Application("rotating-app", MOMENT, digest(secret("new"))))
        timer.seconds += CACHE_SECONDS
        assert unsubscribe(secret("old")) == 401
        assert unsubscribe(secret("new")) == 404
    finally:
        assert registry.writer.remove("application", target.application)


class Untouchable(str):
    """A digest that tells when it is compared in a way that stops at the first difference."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> NoReturn:
        pytest.fail("compared by ==")

    def __ne__(self, other: object) -> NoReturn:
        pytest.fail("compared by !=")


def test_auth_tokens_are_compared_in_constant_time() -> None:
    application = Application("an-app", MOMENT, Untouchable(digest("right")))
    assert application.admits("right")
    assert not application.admits("wrong")
    assert not application.admits(None)


def test_nothing_else_compares_secrets() -> None:
    """Other secrets are looked up by their digests, so nobody's stopwatch meets the secret itself."""
    found = []
    for path in [*PROJECT.glob("layers/common/pushreg/**/*.py"), *PROJECT.glob("functions/*/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot):
                names = {_name(each) for each in ast.walk(node)}
                if names & {"secret", "secret_digest", "auth_token", "authToken", "auth_token_digest"}:
                    found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == []


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

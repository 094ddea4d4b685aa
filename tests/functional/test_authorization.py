"""The authorization matrix: every route with every kind of insufficient credential."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pushreg_local.template import Route
from tests.support.callers import (
    CREDENTIALS,
    ENGAGEMENT_MESSAGES,
    KAZOO_MESSAGES,
    KAZOO_SIGNER,
    KINDS,
    KNOWN,
    METHODS,
    NARROW,
    NARROW_KEY,
    PLACES_BODIES,
    PLACES_SIGNER,
    READS,
    ROUTES,
    Registry,
    settle,
    tables_of,
    with_bearer,
    with_token,
)
from tests.support.calls import Answer
from tests.support.tenants import (
    ACCOUNT,
    FOREIGN_ACCOUNT,
    Attempt,
    push_token,
    right_attempts,
    secret,
)

pytestmark = pytest.mark.usefixtures("baseline")


def cells() -> Iterator[Any]:
    for route in ROUTES.values():
        for method in METHODS:
            for name in CREDENTIALS[route.function]:
                yield pytest.param(route, method, name, id=f"{method} {route.path} with {name}")


def test_authorization_matrix_covers_every_kind_of_credential() -> None:
    assert {route.function for route in ROUTES.values()} == CREDENTIALS.keys()
    for function, credentials in CREDENTIALS.items():
        assert {name.partition(":")[0] for name in credentials} == KINDS, function


@pytest.mark.slow
@pytest.mark.parametrize(("route", "method", "name"), list(cells()))
def test_request_with_insufficient_credential_is_refused_without_effect(
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
    assert settle(first) == settle(again)
    _check_body(route.function, method, name, first)
    if wanted >= 400 or route.function == "SendersFunction":
        assert push_token("stored").encode() not in first[2]
        assert "DevicesTable" not in tables_of(recorder)
        assert cold <= 1
    if wanted in (400, 405):
        assert recorder.calls == []
    assert {call.operation for call in recorder.calls} <= READS


def _check_body(function: str, method: str, name: str, answer: Answer) -> None:
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
    elif function == "SendersFunction":
        assert body == PLACES_BODIES[status]
        assert headers["www-authenticate"] == "Bearer"
    elif function == "PlacesFunction":
        # A key that may not write is told so before anybody looks which places it has.
        is_narrow = name.startswith("too narrow") and method != "GET"
        assert body == (NARROW_KEY if is_narrow else PLACES_BODIES[status])
        assert (headers.get("www-authenticate") == "Bearer") == (status == 401)
    else:
        answered = {"statusCode": str(status), "ksid": "-1", "message": ENGAGEMENT_MESSAGES[status]}
        assert body == {"subscriptionResponse": answered}


@pytest.mark.parametrize(("function", "method", "attempt"), list(right_attempts()))
def test_request_with_valid_credential_is_accepted(
    function: str, method: str, attempt: Attempt, registry: Registry, baseline: Any
) -> None:
    gateway, _ = registry.gateway()
    for route in (each for each in ROUTES.values() if each.function == function):
        status, _, body = registry.send(gateway, method, route.path, attempt)
        # The registration is there already: PUT refuses, places refreshes, engagement answers a duplicate.
        assert (status, b"already" in body) in ((400, True), (200, False), (201, False))
    assert len(registry.snapshot()) == len(baseline)


@pytest.mark.parametrize(
    ("function", "method", "attempt"),
    [
        ("KazooFunction", "GET", with_token(KAZOO_SIGNER.sign())),
        ("KazooFunction", "POST", with_bearer(KAZOO_SIGNER.sign())),
        ("KazooFunction", "POST", Attempt(members={"auth_token": KAZOO_SIGNER.sign()})),
        ("PlacesFunction", "PUT", with_bearer(PLACES_SIGNER.sign())),
        ("PlacesFunction", "PUT", with_bearer(PLACES_SIGNER.sign(roles=["Reader", "Unheard", "Courier"]))),
    ],
)
def test_request_with_token_of_known_issuer_is_accepted(
    function: str, method: str, attempt: Attempt, registry: Registry, baseline: Any
) -> None:
    gateway, recorder = registry.gateway()
    (route,) = (each for each in ROUTES.values() if each.function == function)
    status, _, body = registry.send(gateway, method, route.path, attempt)
    assert status == 200
    # Kazoo echoes the token that was presented.
    assert (KAZOO_SIGNER.sign().encode() in body) == (function == "KazooFunction")
    cold = len(recorder.calls)
    assert registry.send(gateway, method, route.path, attempt)[0] == 200
    # The issuer and the target are read one after the other, and then remembered with the token.
    assert len(recorder.calls) - cold == cold - 2
    assert len(registry.snapshot()) == len(baseline)


@pytest.mark.parametrize(("function", "name"), [(f, n) for f in CREDENTIALS for n in CREDENTIALS[f] if "token" in n])
def test_refused_token_costs_at_most_one_read_of_directory(function: str, name: str, registry: Registry) -> None:
    attempt, _ = CREDENTIALS[function][name]
    for route in (each for each in ROUTES.values() if each.function == function):
        gateway, recorder = registry.gateway()
        registry.send(gateway, KNOWN[function][-1], route.path, attempt)
        assert [call.tables for call in recorder.calls] in ([], [("DirectoryTable",)])


@pytest.mark.parametrize("verb", ["DELETE", "delete", "PUT", "POST"])
def test_kazoo_tunnelled_verb_with_read_scope_returns_403(verb: str, registry: Registry, baseline: Any) -> None:
    gateway, _ = registry.gateway()
    path = next(path for path in ROUTES if path.startswith("/v2/"))
    narrow = Attempt({"x-auth-token": secret(f"{ACCOUNT} read")}, members={"verb": verb})
    assert registry.send(gateway, "POST", path, narrow)[0] == 403
    foreign = Attempt({"x-auth-token": secret(f"{FOREIGN_ACCOUNT} admin")}, members={"verb": verb})
    assert registry.send(gateway, "POST", path, foreign)[0] == 403
    assert registry.snapshot() == baseline


# Two targets between which a caller without the right to them must not be able to tell.

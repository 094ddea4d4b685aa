"""The modern engagement API's authorization matrix: each route and method with each kind of credential."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pushreg.models.directory import Credential, Scope
from pushreg.schema import SUBSCRIBERS, digest, ksid_key
from tests.support.callers import MODERN_ROUTES, READS, Registry, settle, tables_of, with_auth_token, with_bearer
from tests.support.tenants import (
    ACCOUNT,
    APPLICATION,
    FOREIGN_APPLICATION,
    MOMENT,
    PLACE,
    SUBSCRIBER,
    Attempt,
    push_token,
    secret,
)

# The prefixes lead to the same operations: test_contract.py plays the documented exchanges under each.
ROUTES = [path for path in MODERN_ROUTES if path.startswith(("/api", "/service"))]
MANAGER_METHODS = {
    "/api/v1/subscribers": ("GET",),
    "/api/v1/subscribers/{ksid}": ("GET",),
    "/api/v1/subscribers/{ksid}/activate": ("POST",),
    "/api/v1/subscribers/{ksid}/inactivate": ("POST",),
    "/api/v1/subscribers/delete/ksids": ("POST",),
}
DEVICE_METHODS = {
    "/api/v1/subscribers": ("POST",),
    "/api/v1/subscribers/{ksid}": ("DELETE", "POST"),
    "/api/v1/location": ("POST",),
    "/service/geolocupdate": ("POST",),
}
# How a credential that is not good enough comes.
MANAGERS = {
    "none": Attempt(),
    "malformed: no scheme": Attempt({"authorization": secret("manager admin")}),
    "malformed: password without user": Attempt(
        {"authorization": "Basic " + base64.b64encode(secret("manager admin").encode()).decode()}
    ),
    "malformed: in the query string": Attempt(query=f"access_token={secret('manager admin')}"),
    "malformed: in the body": Attempt(members={"authToken": secret("manager admin")}),
    "malformed: the digest of a good one": with_bearer(digest(secret("manager admin"))),
    "malformed: not ASCII": with_bearer("\udcff\xe9"),
    "malformed: 8 KB": with_bearer("x" * 8192),
    "unknown": with_bearer(secret("unknown")),
    "unknown: before a good one": Attempt(
        {"authorization": f"Bearer {secret('unknown')}", "x-kony-authorization": secret("manager admin")}
    ),
    "revoked": with_bearer(secret("revoked")),
    "other family's": with_bearer(secret(f"{ACCOUNT} admin")),
    "other family's: a place's": with_bearer(secret(f"{PLACE} admin")),
    "other family's: the application's authToken": with_bearer(secret(APPLICATION)),
    "other family's: the authToken in its header": Attempt({"x-device-authtoken": secret(APPLICATION)}),
}
DEVICES = {
    "none": Attempt(),
    "malformed: empty": with_auth_token(""),
    "malformed: null": with_auth_token(None),
    "malformed: as bearer": with_bearer(secret(APPLICATION)),
    "malformed: upper case": with_auth_token(secret(APPLICATION).upper()),
    "unknown": with_auth_token(secret("unknown")),
    "unknown: in the header, before a good one": Attempt(
        {"x-device-authtoken": secret("unknown")}, members={"authToken": secret(APPLICATION)}
    ),
    "revoked": with_auth_token(secret("revoked")),
    "other tenant's": with_auth_token(secret(FOREIGN_APPLICATION)),
    "other tenant's: in the header": Attempt({"x-device-authtoken": secret(FOREIGN_APPLICATION)}),
    "other family's: a management key": Attempt({"x-device-authtoken": secret("manager admin")}),
    "too narrow: a subscriber's own sid": with_auth_token(push_token("stored")),
}


def manager(name: str, scope: Scope, *applications: str) -> Credential:
    return Credential(digest(secret(name)), "engagement", scope, MOMENT, applications=frozenset(applications))


@pytest.fixture(scope="module")
def ksid(registry: Registry) -> str:
    """The KSID of the one subscriber, once there are keys to manage it."""
    for scope in ("read", "write", "admin"):
        registry.writer.add(manager(f"manager {scope}", scope, APPLICATION))
    registry.writer.add(manager("foreign manager", "admin", FOREIGN_APPLICATION))
    (stored,) = (item for item in registry.stored.items(SUBSCRIBERS) if item["record"].startswith("ksid#"))
    return str(stored["ksid"])


def send(registry: Registry, method: str, path: str, attempt: Attempt, ksid: str) -> tuple[Any, Any]:
    """Send a request that lacks nothing but perhaps a credential; return the answer and what it cost."""
    gateway, recorder = registry.gateway()
    form = {"appId": APPLICATION, "deviceId": SUBSCRIBER, "sid": push_token("stored"), "osType": "iphone"}
    body: dict[str, Any] = {"subscriptionService": {"subscribe": {**form, **attempt.members}}}
    if "loc" in path:
        body = {"ksid": ksid, "latitude": 1, "longitude": 1, **attempt.members}
    elif "ksids" in path:
        body = {"ksids": [ksid], **attempt.members}
    headers = {"content-type": "application/json", "x-http-method-override": "DELETE", **attempt.headers}
    query = f"?appId={APPLICATION}&{attempt.query}" if path.endswith("subscribers") else f"?{attempt.query}"
    filled = path.format(ksid=ksid) + query
    return gateway.send(method, filled, headers, json.dumps(body).encode()), recorder


def cells() -> Iterator[Any]:
    for methods, attempts in ((MANAGER_METHODS, MANAGERS), (DEVICE_METHODS, DEVICES)):
        for path, known in methods.items():
            for method in known:
                for name in attempts:
                    if "{ksid}" in path and attempts[name].members.get("authToken") == secret(APPLICATION):
                        continue
                    yield pytest.param(method, path, attempts[name], id=f"{method} {path} with {name}")


def test_authorization_v1_matrix_covers_every_route_of_one_prefix() -> None:
    assert set(ROUTES) == {*MANAGER_METHODS, *DEVICE_METHODS}
    assert set(MODERN_ROUTES) == {prefix + path for prefix in ("", "/vpns", "/kpns") for path in ROUTES}


@pytest.mark.parametrize(("method", "path", "attempt"), list(cells()))
def test_v1_request_with_insufficient_credential_is_refused_without_effect(
    method: str, path: str, attempt: Attempt, registry: Registry, ksid: str
) -> None:
    before = registry.snapshot()
    answer, recorder = send(registry, method, path, attempt, ksid)
    assert answer[0] == 401
    expected = {"id": "", "message": "Unauthorized request"}
    if path.endswith("/service/geolocupdate"):
        expected = {"statusCode": "401", "description": "Unauthorized request"}
    assert json.loads(answer[2]) == expected
    assert {call.operation for call in recorder.calls} <= READS
    if method in MANAGER_METHODS.get(path, ()):
        assert tables_of(recorder) <= {"DirectoryTable"}
    assert registry.snapshot() == before


@pytest.mark.parametrize("path", [path for path in MANAGER_METHODS if path != "/api/v1/subscribers"])
def test_v1_manager_of_other_application_cannot_tell_subscriber_from_none(
    path: str, registry: Registry, ksid: str
) -> None:
    before = registry.snapshot()
    answers = []
    for each in (ksid, "1000000000000000001"):
        for method in MANAGER_METHODS[path]:
            answer, recorder = send(registry, method, path, with_bearer(secret("foreign manager")), each)
            assert answer[0] == 400
            answers.append((settle(answer), recorder.calls))
    assert answers[0] == answers[1]
    assert registry.snapshot() == before


def test_v1_manager_of_other_application_lists_nothing(registry: Registry, ksid: str) -> None:
    answer, recorder = send(registry, "GET", "/api/v1/subscribers", with_bearer(secret("foreign manager")), ksid)
    assert json.loads(answer[2]) == {"total": 0, "subscribers": []}
    assert tables_of(recorder) == {"DirectoryTable"}


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_v1_manager_reads_with_every_scope_and_changes_only_with_write(
    scope: str, registry: Registry, ksid: str
) -> None:
    attempt = with_bearer(secret(f"manager {scope}"))
    read, _ = send(registry, "GET", "/api/v1/subscribers/{ksid}", attempt, ksid)
    assert (read[0], json.loads(read[2])["ksid"]) == (200, int(ksid))
    listed, _ = send(registry, "GET", "/api/v1/subscribers", attempt, ksid)
    assert (listed[0], json.loads(listed[2])["total"]) == (200, 1)
    for verb in ("inactivate", "activate"):
        changed, _ = send(registry, "POST", f"/api/v1/subscribers/{{ksid}}/{verb}", attempt, ksid)
        assert changed[0] == (401 if scope == "read" else 200)
        item = registry.stored.get(SUBSCRIBERS, ksid_key(ksid))
        assert item is not None
        assert item["active"] is (scope == "read" or verb == "activate")
    deleted, _ = send(registry, "POST", "/api/v1/subscribers/delete/ksids", attempt, ksid)
    assert deleted[0] == (401 if scope == "read" else 400)

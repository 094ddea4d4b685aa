"""What a refused caller can learn from answers and calls, and how long a revoked credential works."""

from __future__ import annotations

import ast
import json
from typing import Any, NoReturn

import pytest

from pushreg.models.directory import Application
from pushreg.schema import KSID_PREFIX, digest
from pushreg.stores.directory import CACHE_SECONDS
from tests.support.callers import (
    CREDENTIALS,
    KAZOO_SIGNER,
    KNOWN,
    PLACES_SIGNER,
    PROJECT,
    ROUTES,
    Registry,
    Timer,
    settle,
    tables_of,
    with_bearer,
    with_token,
)
from tests.support.tenants import (
    ACCOUNT,
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
    form,
    kazoo_credential,
    places_credential,
    push_token,
    secret,
)

pytestmark = pytest.mark.usefixtures("baseline")


FOREIGN_OR_UNKNOWN = [
    ("KazooFunction", with_token(secret(f"{ACCOUNT} admin")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", with_token(secret(f"{ACCOUNT} read")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", with_token(secret("unknown")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", with_token(secret(f"{PLACE} admin")), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", with_token(KAZOO_SIGNER.sign()), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", with_token(KAZOO_SIGNER.unsign()), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("KazooFunction", Attempt(), FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT),
    ("PlacesFunction", with_bearer(secret(f"{PLACE} admin")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", with_bearer(secret(f"{PLACE} read")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", with_bearer(secret("unknown")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", with_bearer(secret(f"{ACCOUNT} admin")), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", with_bearer(PLACES_SIGNER.sign()), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", with_bearer(PLACES_SIGNER.sign(roles=["Unheard"])), FOREIGN_PLACE, UNKNOWN_PLACE),
    ("PlacesFunction", Attempt(), FOREIGN_PLACE, UNKNOWN_PLACE),
]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("function", "attempt", "foreign", "unknown"), FOREIGN_OR_UNKNOWN)
def test_foreign_target_is_indistinguishable_from_unknown_target(
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
            seen.append((settle(answer), tuple(recorder.calls)))
        assert seen[0] == seen[1]
    assert registry.snapshot() == baseline


@pytest.mark.slow
@pytest.mark.parametrize("function", ["KazooFunction", "PlacesFunction"])
def test_refused_caller_cannot_detect_registration(function: str, registry: Registry, baseline: Any) -> None:
    route = next(route for route in ROUTES.values() if route.function == function)
    for name, (attempt, _) in CREDENTIALS[function].items():
        if name.startswith("too narrow") and function == "KazooFunction":
            continue  # It may read what is there.
        for method in KNOWN[function]:
            seen = []
            for target in (Target(), Target(device_id="device-none", token=push_token("none"))):
                gateway, recorder = registry.gateway()
                seen.append((settle(registry.send(gateway, method, route.path, attempt, target)), recorder.calls))
            assert seen[0] == seen[1], (method, name)
    assert registry.snapshot() == baseline


def test_engagement_foreign_subscriber_is_indistinguishable_from_unknown(registry: Registry, baseline: Any) -> None:
    ksid = next(item["ksid"] for item in baseline[1] if item["record"].startswith(KSID_PREFIX))
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
            seen.append((settle(answer), recorder.calls))
        assert seen[0] == seen[1], pair
    assert registry.snapshot() == baseline


def test_engagement_unknown_application_reads_no_subscriber(registry: Registry, baseline: Any) -> None:
    gateway, recorder = registry.gateway()
    answer = registry.send(gateway, "POST", "/vpns/subscription", Attempt(), Target(application=UNKNOWN_APPLICATION))
    assert answer[0] == 404
    assert tables_of(recorder) == {"DirectoryTable"}
    assert registry.snapshot() == baseline


@pytest.mark.parametrize("pace", [7.0, 59.0], ids=["busy", "idle"])
def test_revoked_key_is_refused_within_one_minute(pace: float, registry: Registry) -> None:
    value = secret(f"to be revoked {pace}")
    entries = {
        "KazooFunction": (kazoo_credential(value, "write"), with_token(value), 404, 401),
        "PlacesFunction": (places_credential(value, "write"), with_bearer(value), 404, 401),
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


def test_replaced_auth_token_is_refused_within_one_minute(registry: Registry) -> None:
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


def test_auth_token_comparison_is_constant_time() -> None:
    application = Application("an-app", MOMENT, Untouchable(digest("right")))
    assert application.accepts("right")
    assert not application.accepts("wrong")
    assert not application.accepts(None)


def test_source_code_compares_no_other_secret() -> None:
    """Other secrets are looked up by their digests, so nobody's stopwatch meets the secret itself."""
    found = []
    for path in [*PROJECT.glob("layers/common/pushreg/**/*.py"), *PROJECT.glob("functions/*/*.py")]:
        if path.parent.name == "smoke":
            # The smoke test makes the secrets that it sends, and compares ids in the answers.
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot):
                names = {_name(each) for each in ast.walk(node)}
                if names & {"secret", "secret_digest", "auth_token", "authToken", "auth_token_digest"}:
                    found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == []


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

"""Functions without the tokens layer refuse signed tokens, and never look for what would verify them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushreg.dynamodb import to_attributes
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.template import Route
from tests.support.callers import CLOCK, KAZOO_SIGNER, PLACES_SIGNER, Registry
from tests.support.gateway import Gateway, read_template
from tests.support.tenants import Attempt, Target, build, secret

PROBE = Path(__file__).with_name("tokens_probe.py")
FUNCTIONS = {function.name: function for function in read_template().functions}
WITHOUT_LAYER = [name for name, function in FUNCTIONS.items() if "TokensLayer" not in function.layers]
HEADERS = (
    "x-auth-token",
    "x-device-authtoken",
    "x-voltmx-app-api-key",
    "x-kony-app-api-key",
    "x-voltmx-authorization",
    "x-kony-authorization",
)
TOKENS = {"kazoo": KAZOO_SIGNER.sign(), "places": PLACES_SIGNER.sign()}

Request = tuple[str, str, dict[str, str], bytes]


def list_methods(route: Route) -> list[str]:
    """Return the methods that the function knows on the route."""
    package = FUNCTIONS[route.function].module.partition(".")[0]
    return list(importlib.import_module(f"{package}.app").Dialect().routes[route.path])


def make_request(route: Route, method: str, value: str, ksid: str) -> Request:
    """Return a request that carries the secret wherever a client may put one."""
    carried = {"authorization": f"Bearer {value}", **dict.fromkeys(HEADERS, value)}
    if method == "POST":
        carried["x-http-method-override"] = "DELETE"
    members = {"authToken": value, "auth_token": value}
    path, headers, body = build(route.path, Attempt(carried, members=members), Target(ksid=ksid))
    if "loc" in route.path:
        body = json.dumps({"ksid": ksid, "latitude": 1, "longitude": 1, **members}).encode()
    elif route.path.endswith("ksids"):
        body = json.dumps({"ksids": [ksid]}).encode()
    return method, path, headers, body


def run_probe(registry: Registry, gateway: Gateway, requests: list[Request]) -> tuple[list[Any], list[str]]:
    """Return status, body and tried imports of each request in a process without the libraries, and all imports."""
    given = {
        "moment": CLOCK.isoformat(),
        "functions": [(name, each.module, dict(each.environment)) for name, each in FUNCTIONS.items()],
        "events": [gateway.find_event(*request) for request in requests],
        "tables": {
            table: [to_attributes(item) for item in registry.stored.items(table)]
            for table in (DEVICES, SUBSCRIBERS, PLACES, DIRECTORY)
        },
    }
    done = subprocess.run(
        [sys.executable, str(PROBE)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    *answers, imports = map(json.loads, done.stdout.splitlines())
    return answers, imports


@pytest.fixture(scope="module")
def ksid(registry: Registry) -> str:
    """The KSID of the one subscriber."""
    (stored,) = (item for item in registry.stored.items(SUBSCRIBERS) if item["record"].startswith("ksid#"))
    return str(stored["ksid"])


def test_function_without_tokens_layer_refuses_token_like_unknown_key(registry: Registry, ksid: str) -> None:
    gateway, _ = registry.gateway()
    routes = [route for route in read_template().routes if route.function in WITHOUT_LAYER]
    assert {route.function for route in routes} == {"EngagementFunction", "SendersFunction"}
    calls = [(route, method) for route in routes for method in list_methods(route)]
    requests, expected = [], []
    for token in TOKENS.values():
        for route, method in calls:
            requests.append(make_request(route, method, token, ksid))
            status, _, body = gateway.send(*make_request(route, method, secret("unknown"), ksid))
            assert status == 401, route
            expected.append([401, body.decode(), []])
    answers, imports = run_probe(registry, gateway, requests)
    assert answers == expected
    assert imports == []


@pytest.mark.parametrize(("function", "token"), [("KazooFunction", "kazoo"), ("PlacesFunction", "places")])
def test_function_with_tokens_layer_imports_it_for_token(
    function: str, token: str, registry: Registry, ksid: str
) -> None:
    gateway, _ = registry.gateway()
    (route,) = (each for each in read_template().routes if each.function == function)
    requests = [make_request(route, "GET", value, ksid) for value in (secret("unknown"), TOKENS[token])]
    answers, imports = run_probe(registry, gateway, requests)
    assert [(status, tried) for status, _, tried in answers] == [(401, []), (500, ["jwt"])]
    assert imports == ["jwt"]

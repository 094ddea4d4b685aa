"""The sample events for `sam local invoke` equal what the gateway builds, and are answered as named."""

from __future__ import annotations

import base64
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pushreg_local.events import HttpRequest, build_event
from pushreg_local.routing import Router
from tests.support.gateway import read_template
from tests.support.roles import Restricted
from tests.support.stored import Stored

EVENTS = Path(__file__).parents[2] / "events"
TEMPLATE = read_template()
ROUTER = Router(TEMPLATE.routes)
# Status, outcome, and the events that have to come first.
EXPECTED: dict[str, tuple[int, str, list[str]]] = {
    "kazoo_put_created": (201, "created", []),
    "kazoo_put_exists": (400, "exists", ["kazoo_put_created"]),
    "kazoo_put_invalid": (400, "invalid", []),
    "kazoo_put_unauthenticated": (401, "denied", []),
    "kazoo_post_replaced": (200, "updated", ["kazoo_put_created"]),
    "kazoo_post_moved": (200, "moved", ["kazoo_put_created"]),
    "kazoo_post_missing": (404, "missing", []),
    "kazoo_get_found": (200, "found", ["kazoo_put_created"]),
    "kazoo_get_missing": (404, "missing", []),
    "kazoo_delete_removed": (200, "deleted", ["kazoo_put_created"]),
    "kazoo_delete_missing": (404, "missing", []),
    "kazoo_patch_refused": (405, "invalid", []),
    "engagement_post_subscribed_voltmx": (200, "created", []),
    "engagement_post_subscribed_kony": (200, "created", []),
    "engagement_post_subscribed_bare": (200, "created", []),
    "engagement_post_subscribed_second": (200, "created", []),
    "engagement_post_duplicate": (201, "duplicate", ["engagement_post_subscribed_voltmx"]),
    "engagement_post_updated": (200, "updated", ["engagement_post_subscribed_voltmx"]),
    "engagement_post_unsubscribed": (200, "unsubscribed", ["engagement_post_subscribed_voltmx"]),
    "engagement_post_unclear": (
        403,
        "unclear",
        ["engagement_post_subscribed_voltmx", "engagement_post_subscribed_second"],
    ),
    "engagement_post_unauthenticated": (401, "denied", []),
    "engagement_post_unknown_application": (404, "denied", []),
    "engagement_post_malformed": (400, "invalid", []),
    "engagement_post_v1_subscribed": (200, "created", []),
    "engagement_post_v1_repeated": (200, "duplicate", ["engagement_post_v1_subscribed"]),
    "engagement_get_v1_listed": (200, "found", ["engagement_post_v1_subscribed"]),
    "engagement_delete_v1_unknown": (400, "missing", []),
    "engagement_get_v1_unauthenticated": (401, "denied", []),
    "engagement_get_v1_unknown": (400, "missing", []),
    "engagement_post_v1_activate_unknown": (400, "missing", []),
    "engagement_post_v1_inactivate_unknown": (400, "missing", []),
    "engagement_post_v1_delete_unknown": (400, "invalid", []),
    "engagement_post_v1_location_unknown": (400, "missing", []),
    "engagement_post_v1_subscribed_voltmx": (200, "created", []),
    "engagement_get_v1_unknown_voltmx": (400, "missing", []),
    "engagement_post_v1_activate_unknown_voltmx": (400, "missing", []),
    "engagement_post_v1_inactivate_unknown_voltmx": (400, "missing", []),
    "engagement_post_v1_delete_unknown_voltmx": (400, "invalid", []),
    "engagement_post_v1_location_unknown_voltmx": (400, "missing", []),
    "engagement_post_v1_subscribed_kony": (200, "created", []),
    "engagement_get_v1_unknown_kony": (400, "missing", []),
    "engagement_post_v1_activate_unknown_kony": (400, "missing", []),
    "engagement_post_v1_inactivate_unknown_kony": (400, "missing", []),
    "engagement_post_v1_delete_unknown_kony": (400, "invalid", []),
    "engagement_post_v1_location_unknown_kony": (400, "missing", []),
    "engagement_post_location_legacy_unknown": (400, "missing", []),
    "engagement_post_location_legacy_unknown_kony": (400, "missing", []),
    "engagement_post_location_legacy_unknown_voltmx": (400, "missing", []),
    "places_put_registered": (200, "created", []),
    "places_put_refreshed": (200, "refreshed", ["places_put_registered"]),
    "places_put_unknown_place": (404, "missing", []),
    "places_put_no_token": (400, "invalid", []),
    "places_put_unauthenticated": (401, "denied", []),
    "places_get_listed": (200, "listed", ["places_put_registered"]),
    "places_delete_removed": (200, "deleted", ["places_put_registered"]),
    "places_delete_missing": (404, "missing", []),
    "senders_post_reported": (200, "reported", ["places_put_registered"]),
    "senders_post_unauthenticated": (401, "denied", []),
    "senders_post_found": (200, "found", ["places_put_registered"]),
}


def load_event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
    return event


def find_function(event: dict[str, Any]) -> str:
    match = ROUTER.match(event["requestContext"]["http"]["method"], event["rawPath"])
    assert match is not None
    return match[0].function


def test_sample_events_are_all_listed() -> None:
    assert {path.stem for path in EVENTS.iterdir()} == set(EXPECTED)


def test_sample_events_cover_every_route_and_verb() -> None:
    events = [load_event(name) for name in EXPECTED]
    assert {event["routeKey"] for event in events} == {route.key for route in TEMPLATE.routes}
    verbs = {(find_function(event), event["requestContext"]["http"]["method"]) for event in events}
    assert verbs >= {
        *(("KazooFunction", verb) for verb in ("GET", "PUT", "POST", "DELETE")),
        *(("EngagementFunction", verb) for verb in ("GET", "POST", "DELETE")),
        ("PlacesFunction", "GET"),
        ("PlacesFunction", "PUT"),
        ("PlacesFunction", "DELETE"),
        ("SendersFunction", "POST"),
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_sample_event_equals_gateway_event(name: str) -> None:
    event = load_event(name)
    context = event["requestContext"]
    http = context["http"]
    assert name.startswith(f"{find_function(event).removesuffix('Function')}_{http['method']}_".lower())
    body = event.get("body", "")
    request = HttpRequest(
        method=http["method"],
        path=event["rawPath"],
        query=event["rawQueryString"],
        headers=tuple(event["headers"].items()),
        body=base64.b64decode(body) if event["isBase64Encoded"] else body.encode(),
        source_ip=http["sourceIp"],
    )
    match = ROUTER.match(request.method, request.path)
    assert match is not None
    moment = datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC)
    made = build_event(request, *match, int(event["headers"]["x-forwarded-port"]), moment)
    # Chance decides these two anew each time.
    made["headers"]["x-amzn-trace-id"] = event["headers"]["x-amzn-trace-id"]
    made["requestContext"]["requestId"] = context["requestId"]
    assert made == event


@pytest.mark.parametrize("name", EXPECTED)
def test_sample_event_is_answered_as_named(name: str, client: Any, empty: Stored) -> None:
    status, outcome, before = EXPECTED[name]
    lines: list[str] = []
    handlers = {
        function.name: importlib.import_module(function.module).create_handler(
            function.environment, Restricted(client, function.name), emit=lines.append
        )
        for function in TEMPLATE.functions
    }
    answers = [handlers[find_function(event)](event, None) for event in map(load_event, [*before, name])]
    assert answers[-1]["statusCode"] == status
    assert json.loads(lines[-1])["outcome"] == outcome

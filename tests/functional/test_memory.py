"""A handled request is freed, however it was answered."""

from __future__ import annotations

import gc
import importlib
import json
import weakref
from typing import Any

import pytest

from engagement import app as engagement
from fuzz.store import Store
from kazoo import app as kazoo
from places import app as places
from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, PLACE_ID, PLACES_KEY
from tests.support.calls import engagement_form, kazoo_data

SUBSCRIBE = engagement_form("device", "sid")
SUBSCRIPTION = kazoo_data("mobile")
KAZOO = ({"account_id": ACCOUNT_ID, "app": "com.example.app", "device_id": "device-1"}, {"x-auth-token": ACCOUNT_TOKEN})
PLACES = ({"place_id": PLACE_ID}, {"authorization": f"Bearer {PLACES_KEY}"})
RESOURCES = {"kazoo": kazoo.RESOURCE, "engagement": engagement.RESOURCES[0], "places": places.RESOURCE}
REQUESTS: dict[str, tuple[str, str, Any, int]] = {
    "accepted": ("engagement", "POST", {"subscribe": SUBSCRIBE}, 200),
    "unknown osType": ("engagement", "POST", {"subscribe": {**SUBSCRIBE, "osType": "toaster"}}, 400),
    "long sid": ("engagement", "POST", {"subscribe": {**SUBSCRIBE, "sid": "x" * 5000}}, 400),
    "half a reference": ("engagement", "POST", {"unsubscribe": {"appId": "demo-app"}}, 400),
    "unknown application": ("engagement", "POST", {"subscribe": {**SUBSCRIBE, "appId": "nobody"}}, 404),
    "long token": ("places", "PUT", {"device_token": "x" * 5000}, 400),
    "blank token": ("places", "PUT", {"device_token": " "}, 400),
    "accepted by a place": ("places", "PUT", {"device_token": "token"}, 200),
    "bad platform": ("kazoo", "PUT", {"data": {**SUBSCRIPTION, "platform": "fridge"}}, 400),
    "no platform": ("kazoo", "PUT", {"data": {**SUBSCRIPTION, "platform": None}}, 400),
    "not an object": ("kazoo", "PUT", {"data": []}, 400),
    "no JSON": ("kazoo", "PUT", "{", 400),
}


class Event(dict[str, Any]):
    """An event that can be watched."""


@pytest.mark.parametrize("name", REQUESTS)
def test_answered_request_is_garbage_collected(name: str) -> None:
    family, method, data, status = REQUESTS[name]
    parameters, credential = {"kazoo": KAZOO, "places": PLACES}.get(family, ({}, {}))
    environ = {"FAMILY": family, "TABLE": "Table", "DIRECTORY_TABLE": "DirectoryTable"}
    app = importlib.import_module(f"{family}.app")
    handler = app.create_handler(environ, Store(filled=True, refusals=0), emit=lambda _: None)
    body = {"subscriptionService": data} if family == "engagement" else data
    event = Event(
        routeKey=f"ANY {RESOURCES[family]}",
        rawPath="/",
        pathParameters=parameters,
        headers={**credential, "content-type": "application/json"},
        requestContext={"http": {"method": method}},
        body=body if isinstance(body, str) else json.dumps(body),
    )
    watched = weakref.ref(event)
    answer = handler(event, None)
    assert answer["statusCode"] == status, answer["body"]
    del event
    gc.collect()
    assert watched() is None

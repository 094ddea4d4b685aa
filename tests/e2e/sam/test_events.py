"""Functions see the same event from `pushreg local` as from `sam local start-api`.

Both serve template.yaml with functions that answer with the event they got: what the real ones make of an event is the
other tests' subject, and nothing of it can hide a difference here.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
import yaml

from pushreg_local.gateway import Gateway, create_app
from pushreg_local.intrinsics import parse
from pushreg_local.template import load_template
from tests.e2e.sam.tool import PATIENCE, PROJECT, Sam, serve

pytestmark = pytest.mark.docker

ECHO = """
import json

def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""
# Members that differ between any two calls, or that hold an address or an id of the stack.
OWN = {
    "headers.host",
    "headers.x-amzn-trace-id",
    "headers.x-forwarded-for",
    "headers.x-forwarded-port",
    "requestContext.requestId",
    "requestContext.time",
    "requestContext.timeEpoch",
}
# Where `sam local` is known not to do as API Gateway does; the local gateway follows API Gateway.
SAM_ONLY = {
    # API Gateway verification cookies over in their own member alone, as both do besides.
    "headers.cookie",
    # sam says "Custom User Agent String".
    "requestContext.http.userAgent",
}
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": "secret", "Authorization": "Bearer secret"}
ROUTES = {
    "/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}": [
        "/v2/accounts/c0ffee/push_notification_subscriptions/com.example.app/device-1",
        "/v2/accounts/c0ffee/push_notification_subscriptions/com.example%20app/d%C3%A9vice%3A1",
    ],
    "/vpns/subscription": ["/vpns/subscription"],
    "/kpns/subscription": ["/kpns/subscription"],
    "/subscription": ["/subscription", "/subscription?a=1&b=&a=2%20x&c=%C3%A9"],
    "/pushreg/v1/lookup": ["/pushreg/v1/lookup"],
    "/pushreg/v1/feedback": ["/pushreg/v1/feedback"],
    **{path: [path] for path in ("/service/geolocupdate", "/vpns/service/geolocupdate", "/kpns/service/geolocupdate")},
    **{
        f"{prefix}/api/v1/{path}": [f"{prefix}/api/v1/{path.format(ksid='4927718950329103027')}{query}"]
        for prefix in ("", "/vpns", "/kpns")
        for path, query in {
            "subscribers": "?start=0&pageSize=10&ufid=x%40y.com",
            "subscribers/{ksid}": "",
            "subscribers/{ksid}/activate": "",
            "subscribers/{ksid}/inactivate": "",
            "subscribers/delete/ksids": "",
            "location": "",
        }.items()
    },
    "/dts/places/{place_id}/subscriptions": ["/dts/places/1EE68C4E-7008-4227-a92d-e1b13ac64f30/subscriptions"],
}
REQUESTS = {
    "bare": ("GET", {}, None),
    "json": ("PUT", HEADERS, '{"data":{"name":"Zoë"}}'.encode()),
    "xml": ("POST", {"Content-Type": "text/xml;charset=UTF-8"}, "<a>é</a>".encode()),
    "delete": ("DELETE", {"Content-Type": "application/json; charset=utf-8"}, b'{"device_token":"t"}'),
    "headers": ("POST", {**HEADERS, "X-Many": "a, b", "If-Match": '"1-0a"', "Cookie": "a=b; c=d"}, b"{}"),
    "method": ("PATCH", {"Content-Type": "application/json"}, b"{}"),
}


@pytest.fixture(scope="module")
def sam_url(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("echo")
    document = parse((PROJECT / "template.yaml").read_text("utf-8"))
    resources = document["Resources"]
    document["Resources"] = {
        name: each for name, each in resources.items() if each["Type"] == "AWS::Serverless::HttpApi"
    } | {
        name: {
            "Type": each["Type"],
            "Properties": {"Handler": "echo.handler", "CodeUri": "code", "Events": each["Properties"]["Events"]},
        }
        for name, each in resources.items()
        if each["Type"] == "AWS::Serverless::Function"
    }
    own = {"Runtime": document["Globals"]["Function"]["Runtime"], "Architectures": [{"Ref": "Architecture"}]}
    document["Globals"] = {"Function": own}
    kept = ("AWSTemplateFormatVersion", "Transform", "Parameters", "Conditions", "Globals", "Resources")
    (folder / "template.yaml").write_text(yaml.safe_dump({name: document[name] for name in kept}))
    # Alone in its folder: sam starts a function anew when a file beside it changes, its own log too.
    (folder / "code").mkdir()
    (folder / "code" / "echo.py").write_text(ECHO)
    with serve(sam, folder / "template.yaml", folder / "start-api.log") as address:
        yield address


@pytest.fixture(scope="module")
def local_url() -> Iterator[str]:
    template = load_template((PROJECT / "template.yaml").read_text("utf-8"))
    scope: dict[str, Any] = {}
    exec(ECHO, scope)
    handlers = {function.name: scope["handler"] for function in template.functions}
    app = create_app(Gateway(template, handlers, 0))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def fetch(url: str, method: str, path: str, headers: dict[str, str], body: bytes | None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"User-Agent": "events", **headers})
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        event: dict[str, Any] = json.loads(content)
        return event
    finally:
        connection.close()


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the members with a content under their dotted names; header names count without case."""
    if isinstance(value, dict):
        for key, member in value.items():
            key = key.lower() if name == "headers" else key
            yield from flatten(member, f"{name}.{key}" if name else key)
    elif value not in (None, "", []):
        yield name, value


def comparable(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without what may differ.

    `sam local` writes empty members where API Gateway leaves them out, names the method of the request in the key of a
    route that takes any, and does not tell the length of a body that is not there.
    """
    members = {name: value for name, value in flatten(event) if name not in OWN | SAM_ONLY}
    if members.get("headers.content-length") == "0":
        del members["headers.content-length"]
    for name in ("routeKey", "requestContext.routeKey"):
        members[name] = re.sub(r"^\S+ ", "", members[name])
    return members


def test_event_comparison_covers_every_route() -> None:
    template = load_template((PROJECT / "template.yaml").read_text("utf-8"))
    assert {(route.method, route.path) for route in template.routes} == {("ANY", path) for path in ROUTES}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("path", [path for paths in ROUTES.values() for path in paths])
def test_event_of_local_gateway_equals_event_of_sam(path: str, name: str, sam_url: str, local_url: str) -> None:
    method, headers, body = REQUESTS[name]
    from_sam, from_local = (fetch(url, method, path, headers, body) for url in (sam_url, local_url))
    assert comparable(from_local) == comparable(from_sam)


@pytest.mark.parametrize("media_type", [None, "application/octet-stream", "application/x-www-form-urlencoded"])
def test_event_binary_body_has_same_bytes_in_both_gateways(
    media_type: str | None, sam_url: str, local_url: str
) -> None:
    # API Gateway encodes whatever it does not know for text; sam decides by the bytes.
    headers = {"Content-Type": media_type} if media_type else {}
    events = [fetch(url, "POST", "/subscription", headers, b'{"a":1}') for url in (sam_url, local_url)]
    assert [_decode(event) for event in events] == [b'{"a":1}'] * 2
    assert [event["isBase64Encoded"] for event in events] == [False, True]


def _decode(event: dict[str, Any]) -> bytes:
    body: str = event["body"]
    return base64.b64decode(body) if event["isBase64Encoded"] else body.encode()


def test_event_differences_between_gateways_are_the_listed_ones(sam_url: str, local_url: str) -> None:
    path = "/subscription"
    members = [dict(flatten(fetch(url, "POST", path, {"Cookie": "a=b"}, b"{}"))) for url in (sam_url, local_url)]
    from_sam, from_local = members
    assert set(from_local) >= OWN
    assert set(from_sam) >= SAM_ONLY | {"requestContext.requestId", "requestContext.timeEpoch"}
    assert "headers.cookie" not in from_local
    assert from_local["cookies"] == from_sam["cookies"] == ["a=b"]
    assert from_local["requestContext.http.userAgent"] == "events"

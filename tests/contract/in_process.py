"""The real handlers in this process, behind a gateway that builds HTTP API events, wired as template.yaml says."""

from __future__ import annotations

import base64
import importlib
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from tests.contract.playing import Answer
from tests.contract.tables import Tables

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
TABLES = {
    "devices": "DevicesTable",
    "subscribers": "SubscribersTable",
    "places": "PlacesTable",
    "directory": "DirectoryTable",
}
# API Gateway hands these to a function as text, everything else as base64 (AWS docs, HTTP API payload format).
TEXTUAL = ("text/", "application/json", "application/javascript", "application/xml")


class _Loader(yaml.SafeLoader):
    """Reads `!Ref X` as X, and other short forms as their argument."""


def _argument(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _argument)


@cache
def load_template() -> dict[str, Any]:
    """Return template.yaml, its short-form functions replaced by their arguments."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)
    return template


def create_tables(client: Any) -> Tables:
    """Create the template's tables under their logical ids."""
    for name in TABLES.values():
        properties = load_template()["Resources"][name]["Properties"]
        client.create_table(
            TableName=name,
            **{key: properties[key] for key in ("AttributeDefinitions", "KeySchema", "BillingMode")},
        )
    return Tables(client, TABLES)


class Gateway:
    """Answers requests with handlers of its own; `environment` is laid over what the template sets.

    `options` are those of `pushreg.http.Handler`; without any, nobody waits and nothing is printed.
    """

    def __init__(self, client: Any, environment: Mapping[str, str] | None = None, **options: Any) -> None:
        template = load_template()
        parameters = {name: str(each.get("Default", "")) for name, each in template["Parameters"].items()}
        common = template["Globals"]["Function"]["Environment"]["Variables"]
        self._routes: list[tuple[list[str], str, Callable[..., dict[str, Any]]]] = []
        for resource in template["Resources"].values():
            if resource["Type"] != "AWS::Serverless::Function":
                continue
            properties = resource["Properties"]
            variables = {**common, **properties.get("Environment", {}).get("Variables", {})}
            environ = {name: parameters.get(str(value), str(value)) for name, value in variables.items()}
            module = importlib.import_module(properties["Handler"].rpartition(".")[0])
            quiet = {"sleep": lambda _: None, "emit": lambda _: None}
            handler = module.create_handler({**environ, **(environment or {})}, client, **{**quiet, **options})
            for event in properties["Events"].values():
                path = event["Properties"]["Path"]
                self._routes.append((path.split("/"), f"{event['Properties']['Method']} {path}", handler))

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Answer as API Gateway does: by the function whose route fits, or with its own 404."""
        raw_path, _, query = path.partition("?")
        # HTTP API decodes the path before it looks for a route, so an encoded slash parts segments.
        decoded = unquote(raw_path)
        for pattern, key, handler in self._routes:
            parameters = _match(pattern, decoded.split("/"))
            if parameters is not None:
                event = _event(method, decoded, query, key, parameters, headers, body)
                return _answer(handler(event, None))
        return 404, {"content-type": "application/json"}, b'{"message":"Not Found"}'


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parameters = {}
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted.startswith("{") and segment:
            parameters[wanted.strip("{}")] = segment
        elif wanted != segment:
            return None
    return parameters


def _event(
    method: str,
    path: str,
    query: str,
    route_key: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes | None,
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers) or None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "contract",
            "domainName": "contract.execute-api.eu-west-1.amazonaws.com",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": uuid.uuid4().hex,
            "routeKey": route_key,
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if parameters:
        event["pathParameters"] = dict(parameters)
    if body is not None:
        encoded = not _is_text(headers, body)
        event["body"] = base64.b64encode(body).decode() if encoded else body.decode()
        event["isBase64Encoded"] = encoded
    return event


def _is_text(headers: Mapping[str, str], body: bytes) -> bool:
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "text/plain")
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return kind.lower().startswith(TEXTUAL)


def _answer(result: dict[str, Any]) -> Answer:
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return result["statusCode"], result.get("headers") or {}, content

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pushreg.errors import ConfigurationError, MalformedError, MethodError, StoreError, TooLargeError
from pushreg.http import MAX_BODY, MAX_CALLS, Context, Handler, Request, Response, look_up
from tests.support.clients import ScriptedClient
from tests.support.time import Time

ENVIRON = {"FAMILY": "test", "TABLE": "table", "DIRECTORY_TABLE": "directory"}
MOMENT = datetime(2024, 2, 29, 12, 30, 59, 999_999, tzinfo=UTC)


RESOURCE = "/things/{id}"
ROUTE = {"routeKey": f"ANY {RESOURCE}", "pathParameters": {"id": "a"}}
Act = Callable[[Request, Context], Response]


def found(request: Request, context: Context) -> Response:
    return Response(200, b"{}", "application/json", "found")


class Echo:
    """A dialect with one resource, which knows PUT, and DELETE where a test gives it no action."""

    def __init__(self, act: Act = found) -> None:
        self.routes = {RESOURCE: {"PUT": act, "DELETE": found}}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        return Response(500, type(error).__name__.encode(), "text/plain", "fault")


class LambdaContext:
    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def send(**members: Any) -> dict[str, Any]:
    """Return an event that leads to the action of a test."""
    return {**ROUTE, "requestContext": {"http": {"method": "PUT"}}, **members}


def call(act: Act, event: dict[str, Any], context: Any = None, **options: Any) -> dict[str, Any]:
    return Handler(Echo(act), ENVIRON, ScriptedClient({}).client, emit=lambda _: None, **options)(event, context)


def read(event: dict[str, Any]) -> bytes:
    return Request.from_event(event).read_body()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/things//a/", {"thing": "a"}),
        ("/things/a//", {"thing": "a"}),
        ("/things/list/", {}),
        ("/things/", None),
        ("/things/a/b", None),
        ("/other/a/", None),
    ],
)
def test_handler_superfluous_slashes_of_greedy_route_are_ignored(path: str, found: dict[str, str] | None) -> None:
    seen: list[Request] = []

    def note(request: Request, context: Context) -> Response:
        seen.append(request)
        return Response(204, b"", None, "found")

    class Things(Echo):
        def __init__(self) -> None:
            self.routes = {"/things/{thing}": {"PUT": note}, "/things/list": {"PUT": note}}

    handler = Handler(Things(), ENVIRON, ScriptedClient({}).client, emit=lambda _: None)
    event = {"routeKey": "ANY /things/{proxy+}", "rawPath": path, "pathParameters": {"proxy": "x"}}
    answer = handler(send(**event), None)
    if found is None:
        assert (answer["statusCode"], answer["body"]) == (404, '{"message":"Not Found"}')
        return
    assert [request.parameters for request in seen] == [found]
    assert seen[0].path == f"/things/{found.get('thing', 'list')}"


def test_request_holds_what_event_says() -> None:
    request = Request.from_event(
        {
            "routeKey": "ANY /a/{id}",
            "rawPath": "/a/b",
            "pathParameters": {"id": "b"},
            "headers": {"X-Mixed-Case": "Value", "x-null": None},
            "requestContext": {"http": {"method": "put"}, "requestId": "id-1", "apiId": "api"},
        }
    )
    assert (request.method, request.resource, request.path) == ("PUT", "/a/{id}", "/a/b")
    assert (request.parameters, request.headers) == ({"id": "b"}, {"x-mixed-case": "Value"})
    assert (request.request_id, request.api_id) == ("id-1", "api")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"requestContext": {}},
        {"requestContext": {"http": {}}},
        {"headers": None, "pathParameters": None, "body": None, "rawPath": None, "isBase64Encoded": None},
        {"routeKey": None, "requestContext": None},
    ],
)
def test_request_event_without_members_is_empty(event: dict[str, Any]) -> None:
    request = Request.from_event(event)
    assert (request.method, request.resource, request.path) == ("", "", "/")
    assert (request.parameters, request.headers) == ({}, {})
    assert request.read_body() == b""
    assert len(request.request_id) == 32


def test_request_lone_surrogates_are_replaced() -> None:
    half = "a\ud800b"
    request = Request.from_event({"rawPath": half, "pathParameters": {"id": half}, "headers": {"x-auth-token": half}})
    assert request.path == request.parameters["id"] == request.headers["x-auth-token"] == "a?b"


def test_request_repr_hides_headers_and_body() -> None:
    request = Request.from_event({"headers": {"x-auth-token": "hush"}, "body": "hush"})
    assert "hush" not in repr(request)


def test_handler_context_has_one_reading_of_clock() -> None:
    seen: list[Context] = []

    def act(request: Request, context: Context) -> Response:
        seen.append(context)
        return found(request, context)

    call(act, send(), clock=lambda: MOMENT)
    (context,) = seen
    assert (context.moment, context.epoch, context.operation) == ("2024-02-29T12:30:59Z", 1709209859, "put")
    assert (context.settings.family, context.settings.table) == ("test", "table")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"requestContext": {"http": {"method": "GET"}}}, "MethodError"),
        ({"requestContext": {"http": {"method": "BREW"}}}, "MethodError"),
        ({"requestContext": {}}, "MethodError"),
        ({"routeKey": "ANY /others/{id}"}, "RouteError"),
        ({"routeKey": None}, "RouteError"),
        ({"pathParameters": None}, "RouteError"),
    ],
)
def test_handler_unknown_route_or_method_is_refused(changes: dict[str, Any], error: str) -> None:
    assert call(found, send(**changes))["body"] == error


def test_handler_path_that_begins_with_two_slashes_finds_own_resource() -> None:
    answer = call(found, send(routeKey="$default", rawPath="//things//a", pathParameters=None))
    assert answer["statusCode"] == 200


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("//others/a", None, "/others/a"),
        ("//others//a b/", {"x": " &"}, "/others/a%20b/?x=+%26"),
        # Neither another host nor another header.
        ("//evil.example/a", None, "/evil.example/a"),
        ("//\\\\evil.example/\r\nset-cookie: a", None, "/%5C%5Cevil.example/%0D%0Aset-cookie:%20a"),
    ],
)
def test_handler_unknown_path_that_begins_with_two_slashes_is_redirected(
    path: str, query: dict[str, str] | None, location: str
) -> None:
    event = {"routeKey": "$default", "rawPath": path, "queryStringParameters": query, "pathParameters": None}
    answer = call(found, send(**event))
    assert (answer["statusCode"], answer["headers"]["location"], answer["body"]) == (308, location, "")


@pytest.mark.parametrize("path", ["/", "/others", "/things", "/things/a/b", "/things//"])
def test_handler_unknown_path_of_default_route_is_404(path: str) -> None:
    answer = call(found, send(routeKey="$default", rawPath=path, pathParameters=None))
    assert (answer["statusCode"], answer["body"]) == (404, '{"message":"Not Found"}')


def test_handler_method_error_lists_methods_of_resource() -> None:
    errors: list[Exception] = []

    class Keep(Echo):
        def fail(self, error: Exception, request: Request, context: Context) -> Response:
            errors.append(error)
            return super().fail(error, request, context)

    handler = Handler(Keep(), ENVIRON, ScriptedClient({}).client, emit=lambda _: None)
    handler(send(requestContext={"http": {"method": "PATCH"}}), None)
    (error,) = errors
    assert isinstance(error, MethodError)
    assert error.allowed == ("PUT", "DELETE")


@pytest.mark.parametrize(("method", "operation"), [("PUT", "put"), ("PATCH", "patch"), ("BREW", "other")])
def test_handler_operation_is_method_unless_unknown(method: str, operation: str) -> None:
    lines: list[str] = []
    handler = Handler(Echo(), ENVIRON, ScriptedClient({}).client, emit=lines.append)
    handler(send(requestContext={"http": {"method": method}}), None)
    assert json.loads(lines[0])["operation"] == operation


@pytest.mark.parametrize(
    ("error", "name"),
    [(KeyError(), "lookup"), (LookupError(), "lookup"), (FileNotFoundError(), "os"), (ValueError(), "any")],
)
def test_look_up_finds_nearest_base_class(error: Exception, name: str) -> None:
    assert look_up({Exception: "any", LookupError: "lookup", OSError: "os"}, error) == name


@pytest.mark.parametrize("body", [b"", b"plain", "höchst".encode(), bytes(range(256))])
def test_read_body_base64_is_decoded(body: bytes) -> None:
    assert read({"body": base64.b64encode(body).decode(), "isBase64Encoded": True}) == body


def test_read_body_plain_is_utf8() -> None:
    assert read({"body": "höchst"}) == "höchst".encode()


@pytest.mark.parametrize("body", ["%%%", "a", "YQ", "YQ==\n", "YQ==YQ==!", "ä"])
def test_read_body_invalid_base64_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        read({"body": body, "isBase64Encoded": True})


@pytest.mark.parametrize("encoded", [False, True])
def test_read_body_over_limit_is_too_large(encoded: bool) -> None:
    def event(size: int) -> dict[str, Any]:
        text = "x" * size
        body = base64.b64encode(text.encode()).decode() if encoded else text
        return {"body": body, "isBase64Encoded": encoded}

    assert len(read(event(MAX_BODY))) == MAX_BODY == 65536
    with pytest.raises(TooLargeError):
        read(event(MAX_BODY + 1))


def test_read_body_limit_counts_bytes() -> None:
    with pytest.raises(TooLargeError):
        read({"body": "ä" * (MAX_BODY // 2 + 1)})


def test_handler_response_becomes_lambda_response() -> None:
    response = Response(201, "höchst".encode(), "text/plain", "created", {"location": "/a"})
    assert call(lambda *_: response, send()) == {
        "statusCode": 201,
        "headers": {"cache-control": "private, no-store", "location": "/a", "content-type": "text/plain"},
        "body": "höchst",
        "isBase64Encoded": False,
    }


def test_handler_response_without_body_has_no_content_type() -> None:
    headers = call(lambda *_: Response(304, b"", None, "unchanged"), send())["headers"]
    assert headers == {"cache-control": "private, no-store"}


@pytest.mark.parametrize("error", [RuntimeError("why"), KeyError("why"), RecursionError(), StoreError("code")])
def test_handler_exception_is_rendered_by_family(error: Exception) -> None:
    def act(request: Request, context: Context) -> Response:
        raise error

    assert call(act, send())["body"] == type(error).__name__


@pytest.mark.parametrize(
    ("milliseconds", "limit"), [(60_000, 2.0), (4_000, 2.0), (3_999, 1.999), (3_000, 1.0), (2_000, 0.0), (100, -1.9)]
)
def test_handler_database_deadline_leaves_time_to_answer(milliseconds: int, limit: float) -> None:
    time = Time()

    def act(request: Request, context: Context) -> Response:
        if limit > 0:
            time.passed = limit - 0.001
            context.session.get("table", {"record": "x"})
        time.passed = max(limit, 0.0)
        with pytest.raises(StoreError, match="DeadlineExceeded"):
            context.session.get("table", {"record": "x"})
        return found(request, context)

    assert call(act, send(), LambdaContext(milliseconds), timer=lambda: time.passed)["statusCode"] == 200


def test_handler_database_calls_are_limited() -> None:
    def act(request: Request, context: Context) -> Response:
        for _ in range(MAX_CALLS):
            context.session.get("table", {"record": "x"})
        with pytest.raises(StoreError, match="TooManyCalls"):
            context.session.get("table", {"record": "x"})
        return found(request, context)

    assert call(act, send(), timer=lambda: 0.0)["statusCode"] == 200


@pytest.mark.parametrize("excess", [1, 10 * MAX_BODY])
def test_read_body_over_limit_is_not_decoded(excess: int) -> None:
    # What is no base64 would be malformed.
    with pytest.raises(TooLargeError):
        read({"body": "%" * (87_384 + excess), "isBase64Encoded": True})


def test_handler_context_without_deadline_uses_default_limit() -> None:
    time = Time()

    def act(request: Request, context: Context) -> Response:
        time.passed = 1.9
        context.session.get("table", {"record": "x"})
        time.passed = 2.0
        with pytest.raises(StoreError):
            context.session.get("table", {"record": "x"})
        return Response(200, b"", None, "found")

    assert call(act, send(), object(), timer=lambda: time.passed)["statusCode"] == 200


def test_handler_with_missing_variable_raises_when_called() -> None:
    handler = Handler(Echo(), {"FAMILY": "test"}, emit=lambda _: None)
    with pytest.raises(ConfigurationError, match="TABLE"):
        handler({}, None)


def test_handler_prepare_is_idempotent() -> None:
    handler = Handler(Echo(), ENVIRON, emit=lambda _: None)
    assert handler.prepare() is handler.prepare()


def test_handler_request_emits_one_log_line() -> None:
    lines: list[str] = []

    def act(request: Request, context: Context) -> Response:
        context.session.get("table", {"record": "x"})
        context.operation = "refined"
        return Response(404, b"", None, "missing")

    time = Time()
    handler = Handler(Echo(act), ENVIRON, ScriptedClient({}).client, emit=lines.append, timer=lambda: time.passed)
    handler(send(requestContext={"http": {"method": "PUT"}, "requestId": "id-1"}), None)
    handler(send(), None)
    first, second = map(json.loads, lines)
    assert (first["operation"], first["outcome"], first["status"]) == ("refined", "missing", 404)
    assert (first["calls"], first["request_id"], first["Latency"]) == (1, "id-1", 0)
    assert (first["ColdStart"], second["ColdStart"]) == (1, 0)

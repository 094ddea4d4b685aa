from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pushreg.errors import ConfigurationError, MalformedError, StoreError, TooLargeError
from pushreg.http import MAX_BODY, Context, Handler, Request, Response
from tests.support.clients import ScriptedClient
from tests.support.time import Time

ENVIRON = {"FAMILY": "test", "TABLE": "table", "DIRECTORY_TABLE": "directory"}
MOMENT = datetime(2024, 2, 29, 12, 30, 59, 999_999, tzinfo=UTC)


class Echo:
    """A family that does as the test says, and keeps the request."""

    def __init__(self, act: Callable[[Request], Response] | None = None) -> None:
        self._act = act
        self.seen: list[Request] = []

    def answer(self, request: Request, context: Context) -> Response:
        self.seen.append(request)
        return self._act(request) if self._act is not None else Response(200, b"{}", "application/json", "found")

    def fail(self, request: Request, context: Context, error: Exception) -> Response:
        return Response(500, type(error).__name__.encode(), "text/plain", "fault")


class LambdaContext:
    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def call(family: Echo, event: dict[str, Any], context: Any = None, **options: Any) -> dict[str, Any]:
    handler = Handler(family, ENVIRON, ScriptedClient({}).client, emit=lambda _: None, **options)
    return handler(event, context)


def see(event: dict[str, Any], **options: Any) -> Request:
    family = Echo()
    call(family, event, **options)
    (request,) = family.seen
    return request


def read(event: dict[str, Any]) -> bytes:
    return see(event).read_body()


def test_handler_event_becomes_request() -> None:
    request = see(
        {
            "rawPath": "/a/b",
            "pathParameters": {"id": "b"},
            "headers": {"X-Mixed-Case": "Value", "x-null": None},
            "requestContext": {"http": {"method": "put"}, "requestId": "id-1"},
        },
        clock=lambda: MOMENT,
    )
    assert (request.method, request.path, request.operation) == ("PUT", "/a/b", "put")
    assert (request.parameters, request.headers) == ({"id": "b"}, {"x-mixed-case": "Value"})
    assert (request.moment, request.epoch, request.request_id) == ("2024-02-29T12:30:59Z", 1709209859, "id-1")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"requestContext": {}},
        {"requestContext": {"http": {}}},
        {"headers": None, "pathParameters": None, "body": None, "rawPath": None, "isBase64Encoded": None},
    ],
)
def test_handler_event_without_members_becomes_empty_request(event: dict[str, Any]) -> None:
    request = see(event)
    assert (request.method, request.path, request.operation) == ("", "/", "other")
    assert (request.parameters, request.headers) == ({}, {})
    assert request.read_body() == b""
    assert len(request.request_id) == 32


def test_handler_unknown_method_is_logged_as_other() -> None:
    assert see({"requestContext": {"http": {"method": "BREW"}}}).operation == "other"


def test_handler_lone_surrogates_are_replaced() -> None:
    half = "a\ud800b"
    request = see({"rawPath": half, "pathParameters": {"id": half}, "headers": {"x-auth-token": half}})
    assert request.path == request.parameters["id"] == request.headers["x-auth-token"] == "a?b"


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


def test_request_repr_hides_secret() -> None:
    request = see({})
    request.secret = "hush"
    assert "hush" not in repr(request)


def test_handler_response_becomes_lambda_response() -> None:
    response = Response(201, "höchst".encode(), "text/plain", "created", {"location": "/a"})
    assert call(Echo(lambda _: response), {}) == {
        "statusCode": 201,
        "headers": {"location": "/a", "content-type": "text/plain"},
        "body": "höchst",
        "isBase64Encoded": False,
    }


def test_handler_response_without_body_has_no_content_type() -> None:
    assert call(Echo(lambda _: Response(304, b"", None, "unchanged")), {})["headers"] == {}


@pytest.mark.parametrize("error", [RuntimeError("why"), KeyError("why"), RecursionError(), StoreError("code")])
def test_handler_exception_is_rendered_by_family(error: Exception) -> None:
    def act(request: Request) -> Response:
        raise error

    assert call(Echo(act), {})["body"] == type(error).__name__


@pytest.mark.parametrize(
    ("milliseconds", "limit"), [(60_000, 8.0), (13_000, 8.0), (12_999, 7.999), (6_000, 1.0), (5_000, 0.0), (100, -4.9)]
)
def test_handler_database_deadline_leaves_time_to_answer(milliseconds: int, limit: float) -> None:
    time = Time()
    ends = []

    def act(request: Request) -> Response:
        time.passed = 0.0
        while time.passed < 20:
            try:
                request.session.get("table", {"record": "x"})
            except StoreError:
                break
            time.passed += 0.001
        ends.append(time.passed)
        return Response(200, b"", None, "found")

    call(Echo(act), {}, LambdaContext(milliseconds), timer=lambda: time.passed)
    assert ends[0] == pytest.approx(max(limit, 0), abs=0.002)


def test_handler_context_without_deadline_uses_default_limit() -> None:
    time = Time()

    def act(request: Request) -> Response:
        time.passed = 7.9
        request.session.get("table", {"record": "x"})
        time.passed = 8.0
        with pytest.raises(StoreError):
            request.session.get("table", {"record": "x"})
        return Response(200, b"", None, "found")

    assert call(Echo(act), {}, object(), timer=lambda: time.passed)["statusCode"] == 200


def test_handler_with_missing_variable_raises_when_called() -> None:
    handler = Handler(Echo(), {"FAMILY": "test"}, emit=lambda _: None)
    with pytest.raises(ConfigurationError, match="TABLE"):
        handler({}, None)


def test_handler_prepare_is_idempotent() -> None:
    handler = Handler(Echo(), ENVIRON, emit=lambda _: None)
    context, client, request_log = handler.prepare()
    assert handler.prepare() == (context, client, request_log)


def test_handler_request_emits_one_log_line() -> None:
    lines: list[str] = []

    def act(request: Request) -> Response:
        request.session.get("table", {"record": "x"})
        request.operation = "refined"
        return Response(404, b"", None, "missing")

    time = Time()
    handler = Handler(Echo(act), ENVIRON, ScriptedClient({}).client, emit=lines.append, timer=lambda: time.passed)
    handler({"requestContext": {"requestId": "id-1"}}, None)
    handler({}, None)
    first, second = map(json.loads, lines)
    assert (first["operation"], first["outcome"], first["status"]) == ("refined", "missing", 404)
    assert (first["calls"], first["request_id"], first["Latency"]) == (1, "id-1", 0)
    assert (first["ColdStart"], second["ColdStart"]) == (1, 0)

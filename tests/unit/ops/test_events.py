import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from pushreg_local.events import HttpRequest, InvalidLambdaResponseError, build_event, render_response
from pushreg_local.template import Route

ROUTE = Route("ANY", "/things/{id}", "Worker")
MOMENT = datetime(2024, 3, 9, 7, 5, 1, 250_000, tzinfo=UTC)


def event_of(*headers: tuple[str, str], query: str = "", body: bytes = b"") -> dict[str, Any]:
    request = HttpRequest("PUT", "/things/ä b", query, headers, body, "127.0.0.9")
    return build_event(request, ROUTE, {"id": "ä b"}, 3000, MOMENT)


def test_event_of_plain_request_has_all_format_2_0_members() -> None:
    event = event_of(("host", "127.0.0.1:3000"), ("user-agent", "curl/8"))
    context = event.pop("requestContext")
    request_id = context.pop("requestId")
    assert event == {
        "version": "2.0",
        "routeKey": "ANY /things/{id}",
        "rawPath": "/things/ä b",
        "rawQueryString": "",
        "headers": {
            "host": "127.0.0.1:3000",
            "user-agent": "curl/8",
            "content-length": "0",
            "x-amzn-trace-id": f"Root=1-65ec0a1d-{request_id.replace('-', '')[:24]}",
            "x-forwarded-for": "127.0.0.9",
            "x-forwarded-port": "3000",
            "x-forwarded-proto": "http",
        },
        "pathParameters": {"id": "ä b"},
        "isBase64Encoded": False,
    }
    assert context == {
        "accountId": "123456789012",
        "apiId": "1234567890",
        "domainName": "localhost",
        "domainPrefix": "localhost",
        "http": {
            "method": "PUT",
            "path": "/things/ä b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.9",
            "userAgent": "curl/8",
        },
        "routeKey": "ANY /things/{id}",
        "stage": "$default",
        "time": "09/Mar/2024:07:05:01 +0000",
        "timeEpoch": 1709967901250,
    }


def test_event_request_id_is_unique() -> None:
    assert event_of()["requestContext"]["requestId"] != event_of()["requestContext"]["requestId"]


def test_event_repeated_headers_and_query_keys_are_joined() -> None:
    event = event_of(("accept", "a"), ("accept", "b"), query="x=1&y=%2C%20&x=2&z")
    assert event["headers"]["accept"] == "a,b"
    assert event["rawQueryString"] == "x=1&y=%2C%20&x=2&z"
    assert event["queryStringParameters"] == {"x": "1,2", "y": ", ", "z": ""}


def test_event_cookies_are_moved_out_of_headers() -> None:
    event = event_of(("cookie", "a=1; b=2"), ("cookie", "c=3"))
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON;charset=UTF-8", "text/xml", "text/plain", "application/xml"]
)
def test_event_text_body_is_not_encoded(media_type: str) -> None:
    event = event_of(("content-type", media_type), body='{"ä": 1}'.encode())
    assert (event["body"], event["isBase64Encoded"]) == ('{"ä": 1}', False)


@pytest.mark.parametrize(
    "media_type", ["application/octet-stream", "application/x-www-form-urlencoded", "image/png", ""]
)
def test_event_binary_body_is_base64(media_type: str) -> None:
    event = event_of(*([("content-type", media_type)] if media_type else []), body=b'{"a": 1}')
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b'{"a": 1}', True)


def test_event_invalid_utf8_body_is_base64() -> None:
    event = event_of(("content-type", "text/xml"), body=b"\xff\xfe<")
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\xff\xfe<", True)


def test_response_headers_are_lower_case_with_cookies() -> None:
    response = render_response(
        {"statusCode": 201, "headers": {"Content-Type": "text/xml", "X-A": "1"}, "cookies": ["a=1", "b=2"], "body": "ä"}
    )
    assert (response.status, response.body) == (201, "ä".encode())
    assert response.headers == (
        ("content-type", "text/xml"),
        ("x-a", "1"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    )


def test_response_base64_is_decoded_with_default_type() -> None:
    response = render_response({"statusCode": 200, "body": "/w==", "isBase64Encoded": True})
    assert (response.body, response.headers) == (b"\xff", (("content-type", "text/plain; charset=utf-8"),))


def test_response_without_body_has_no_content_type() -> None:
    response = render_response({"statusCode": 304, "headers": None, "body": None})
    assert (response.status, response.body, response.headers) == (304, b"", ())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        {},
        {"statusCode": "200"},
        {"statusCode": 99},
        {"statusCode": 200, "body": b"bytes"},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
        {"statusCode": 200, "body": "\ud800"},
    ],
)
def test_response_invalid_for_api_gateway_raises(answer: object) -> None:
    with pytest.raises(InvalidLambdaResponseError):
        render_response(answer)

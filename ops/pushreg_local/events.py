"""HTTP to Lambda payload format 2.0 and back, like API Gateway's HTTP API.

Sources: AWS docs, "Create AWS Lambda proxy integrations for HTTP APIs"; where they are silent, the behaviour of the
deployed service as recorded by users (text media types: ministackorg/ministack#766; decoded paths and the default
content type: aws/aws-lambda-dotnet's test tool), then that of `sam local`.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from pushreg_local.intrinsics import ACCOUNT_ID
from pushreg_local.template import Route

_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})
# Cookie headers are joined with semicolons (RFC 9113, 8.2.3); the event lists the cookies separately.
_COOKIE_SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; header names are in lower case, the path is decoded, the query is not."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; a header may occur more than once."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())


class InvalidLambdaResponseError(ValueError):
    """The function returned something that API Gateway answers with 500."""


def build_event(
    request: HttpRequest, route: Route, parameters: Mapping[str, str], port: int, moment: datetime
) -> dict[str, Any]:
    """Return the function's event; like API Gateway it omits empty members."""
    cookies = [value for name, value in request.headers if name == "cookie"]
    headers = _join(pair for pair in request.headers if pair[0] != "cookie")
    headers.setdefault("content-length", str(len(request.body)))
    request_id = str(uuid.uuid4())
    headers |= {
        "x-amzn-trace-id": f"Root=1-{int(moment.timestamp()):08x}-{request_id.replace('-', '')[:24]}",
        "x-forwarded-for": request.source_ip,
        "x-forwarded-port": str(port),
        "x-forwarded-proto": "http",
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": "1234567890",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": route.key,
            "stage": "$default",
            "time": f"{moment:%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(moment.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = _COOKIE_SEPARATOR.join(cookies).split(_COOKIE_SEPARATOR)
    if request.query:
        event["queryStringParameters"] = _join(parse_qsl(request.query, keep_blank_values=True))
    if parameters:
        event["pathParameters"] = dict(parameters)
    if request.body:
        event["body"], event["isBase64Encoded"] = _encode(request.body, headers.get("content-type", ""))
    return event


def render_response(answer: object) -> HttpResponse:
    """Return a function's result as an HTTP response.

    Raises InvalidLambdaResponseError where API Gateway would answer 500.
    """
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise InvalidLambdaResponseError("no statusCode")
    status = answer["statusCode"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidLambdaResponseError(f"statusCode {status!r}")
    text = answer.get("body") or ""
    if not isinstance(text, str):
        raise InvalidLambdaResponseError("the body is not a string")
    try:
        body = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidLambdaResponseError(f"the body cannot be sent: {error}") from error
    headers = [(str(name).lower(), str(value)) for name, value in (answer.get("headers") or {}).items()]
    headers += [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or []]
    if body and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain; charset=utf-8"))
    return HttpResponse(status, body, tuple(headers))


def _join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _encode(body: bytes, content_type: str) -> tuple[str, bool]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in _TEXT_TYPES:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            # Not UTF-8: pass the bytes on in base64, as they cannot be a JSON string.
            pass
    return base64.b64encode(body).decode("ascii"), True

"""From an HTTP API event to a response: the request, its route, the time limit, and the last line of error handling."""

from __future__ import annotations

import base64
import binascii
import gc
import math
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, urlencode

from aws_lambda_powertools.utilities.typing import LambdaContext

from pushreg.clock import Clock, now, to_iso
from pushreg.config import Settings, read_trace_id
from pushreg.dynamodb import Client, Session, connect
from pushreg.errors import MalformedError, MethodError, RouteError, TooLargeError
from pushreg.metrics import RequestLog
from pushreg.stores.directory import Directory
from pushreg.tokens import TokenVerifier

MAX_BODY = 64 * 1024
_MAX_BASE64 = 4 * math.ceil(MAX_BODY / 3)
# Calls of DynamoDB per request, and the seconds within which they start: a stalled call takes one more. The reserve of
# the function's time is enough for such a call and the response.
MAX_CALLS = 10
TIME_LIMIT = 2.0
TIME_RESERVE = 2.0
# What a caller who gets ContendedError is told to wait: longer than the others take.
RETRY_AFTER = {"retry-after": "1"}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
# The route of a request whose path no other route matches.
DEFAULT_ROUTE = "$default"
# Characters that a path may hold unescaped (RFC 3986, pchar); the event's path is decoded.
SAFE_IN_PATH = "/~!$&'()*+,;=:@"
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"})

Rendered = TypeVar("Rendered")


class Request(NamedTuple):
    """What a caller sent. `resource` is the path template of the route that matched, header names are in lower case.

    Its text names the route alone: everything else may hold a token or a secret.
    """

    method: str
    resource: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    request_id: str
    api_id: str | None
    source_ip: str | None
    body: str
    is_base64: bool

    def __repr__(self) -> str:
        return f"Request({self.method} {self.resource})"

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """Return the request of an event of payload format 2.0; every member of the event may be absent."""
        context = event.get("requestContext") or {}
        parameters = event.get("pathParameters") or {}
        query = event.get("queryStringParameters") or {}
        headers = event.get("headers") or {}
        return cls(
            method=str((context.get("http") or {}).get("method") or "").upper(),
            resource=str(event.get("routeKey") or "").rpartition(" ")[2],
            path=_clean(event.get("rawPath") or "/"),
            parameters={name: _clean(value) for name, value in parameters.items()},
            query={name: _clean(value) for name, value in query.items()},
            # API Gateway sends header names in lower case, `sam local` as the caller wrote them.
            headers={name.lower(): _clean(value) for name, value in headers.items() if value is not None},
            request_id=context.get("requestId") or uuid.uuid4().hex,
            api_id=context.get("apiId"),
            source_ip=(context.get("http") or {}).get("sourceIp"),
            body=event.get("body") or "",
            is_base64=bool(event.get("isBase64Encoded")),
        )

    def read_body(self) -> bytes:
        """Return the body's bytes; TooLargeError over 64 KiB, MalformedError if it is not the base64 it claims to be.

        API Gateway encodes bodies of media types that it takes for binary (AWS docs, payload format 2.0).
        """
        # The length tells before the body is decoded or encoded.
        if len(self.body) > (_MAX_BASE64 if self.is_base64 else MAX_BODY):
            raise TooLargeError
        if self.is_base64:
            try:
                body = base64.b64decode(self.body, validate=True)
            except (binascii.Error, ValueError) as error:
                raise MalformedError("invalid base64") from error
        else:
            body = self.body.encode("utf-8", "surrogatepass")
        if len(body) > MAX_BODY:
            raise TooLargeError
        return body


@dataclass(slots=True)
class Context:
    """What one request may use; `moment` (ISO 8601) and `epoch` (seconds) are its one reading of the clock.

    The others are for the log line. `operation` is the method until an operation knows a better name; `key_id` (of the
    credential) and `tenant` (the account, place or application) are set when they are known.
    """

    settings: Settings
    directory: Directory
    tokens: TokenVerifier
    session: Session
    moment: str
    epoch: int
    operation: str
    key_id: str | None = None
    tenant: str | None = None


class Response(NamedTuple):
    """What the caller gets; `outcome` is its name in the log line and the metrics."""

    status: int
    body: bytes
    content_type: str | None
    outcome: str
    headers: Mapping[str, str] = NO_HEADERS

    def to_event(self) -> dict[str, Any]:
        """Return the response in payload format 2.0; no cache may keep it."""
        headers = {"cache-control": "private, no-store", **self.headers}
        if self.content_type is not None:
            headers["content-type"] = self.content_type
        return {
            "statusCode": self.status,
            "headers": headers,
            "body": self.body.decode("utf-8"),
            "isBase64Encoded": False,
        }


Operation = Callable[[Request, Context], Response]
# Operations by method, by the path template of the resource.
Routes = Mapping[str, Mapping[str, Operation]]


class Dialect(Protocol):
    """What a family of functions adds: its routes and the form of its errors."""

    @property
    def routes(self) -> Routes:
        """The family's resources; an operation raises what `fail` can render."""

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return the family's form of any error: a 500 without details for an error it does not know."""


class Handler:
    """A Lambda handler; it reads the environment and connects on first use, not on import."""

    def __init__(
        self,
        dialect: Dialect,
        environ: Mapping[str, str] | None = None,
        client: Client | None = None,
        clock: Clock = now,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        emit: Callable[[str], None] = print,
    ) -> None:
        self._dialect = dialect
        self._environ = environ
        self._client = client
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._emit = emit
        self._prepared: tuple[Settings, Directory, TokenVerifier, Client, RequestLog] | None = None

    def prepare(self) -> tuple[Settings, Directory, TokenVerifier, Client, RequestLog]:
        """Return what all requests share, created once; ConfigurationError names a bad setting."""
        if self._prepared is None:
            settings = Settings.from_environ(self._environ)
            client = self._client or connect(settings)
            directory = Directory(settings.directory_table, self._timer)
            request_log = RequestLog(settings, self._emit)
            self._prepared = settings, directory, TokenVerifier(directory), client, request_log
            # Each family's lambda_entry.py turns the collector off for its imports. Everything allocated so far lives
            # as long as the process: no collection needs to look at it (docs/performance.md).
            gc.freeze()
            gc.enable()
        return self._prepared

    def __call__(self, event: Mapping[str, Any], lambda_context: LambdaContext | None) -> dict[str, Any]:
        """Answer one event of payload format 2.0; every failure has the family's own form."""
        started = self._timer()
        settings, directory, tokens, client, request_log = self.prepare()
        request = _find_resource(self._dialect.routes, Request.from_event(event))
        moment = self._clock()
        context = Context(
            settings=settings,
            directory=directory,
            tokens=tokens,
            session=Session(client, _limit(lambda_context), self._timer, self._sleep, MAX_CALLS),
            moment=to_iso(moment),
            epoch=int(moment.timestamp()),
            operation=request.method.lower() if request.method in _METHODS else "other",
        )
        failure: Exception | None = None
        try:
            response = _find_operation(self._dialect.routes, request)(request, context)
        except Exception as error:  # noqa: BLE001 The caller gets the family's own form of every error.
            failure = error
            response = self._dialect.fail(error, request, context)
        request_log.record(
            context.operation,
            response.outcome,
            response.status,
            (self._timer() - started) * 1000,
            context.session.calls,
            request.request_id,
            failure,
            context.key_id,
            context.tenant,
            read_trace_id(self._environ),
        )
        # Drop the reference: pydantic's ValidationError keeps the frames alive where the garbage collector cannot see
        # them, which leaked up to 100 kB per refused request.
        failure = None
        return response.to_event()


def look_up(table: Mapping[type[Exception], Rendered], error: Exception) -> Rendered:
    """Return the entry of the error's class or of its nearest base class; a complete table has one for Exception."""
    return next(table[each] for each in type(error).__mro__ if each in table)


def _find_resource(routes: Routes, request: Request) -> Request:
    """Return the request of a greedy route as one for the resource that its path names but for superfluous slashes.

    API Gateway takes no route with a slash at its end, so the template has a greedy one for each first segment.
    """
    if request.resource in routes:
        return request
    segments = [segment for segment in request.path.split("/") if segment]
    # A literal segment takes precedence over a variable, as in API Gateway.
    for resource in sorted(routes, key=lambda each: each.count("{")):
        names = resource.split("/")[1:]
        pairs = list(zip(names, segments, strict=False))
        if len(names) == len(segments) and all(name[0] == "{" or name == segment for name, segment in pairs):
            parameters = {name[1:-1]: segment for name, segment in pairs if name[0] == "{"}
            return request._replace(resource=resource, path=f"/{'/'.join(segments)}", parameters=parameters)
    return request


def _answer_unknown_path(request: Request, context: Context) -> Response:
    """Redirect a path that begins with two slashes, else answer as API Gateway does if no route matches.

    Only the default route matches such a path, and the resource may be another function's. 308 keeps method and body
    (RFC 9110 section 15.4.9).
    """
    if request.path.startswith("//"):
        location = quote(re.sub("/+", "/", request.path), safe=SAFE_IN_PATH)
        if request.query:
            location += f"?{urlencode(request.query)}"
        return Response(308, b"", None, "redirected", {"location": location})
    return Response(404, b'{"message":"Not Found"}', "application/json", "missing")


def _find_operation(routes: Routes, request: Request) -> Operation:
    if request.resource == DEFAULT_ROUTE or request.resource.endswith("+}"):
        return _answer_unknown_path
    methods = routes.get(request.resource)
    # API Gateway sends a value for each parameter; an event made by hand may lack some.
    if methods is None or len(request.parameters) != request.resource.count("{"):
        raise RouteError
    if request.method not in methods:
        raise MethodError(tuple(methods))
    return methods[request.method]


def _limit(lambda_context: LambdaContext | None) -> float:
    remaining: Callable[[], int] | None = getattr(lambda_context, "get_remaining_time_in_millis", None)
    return TIME_LIMIT if remaining is None else min(TIME_LIMIT, remaining() / 1000 - TIME_RESERVE)


def _clean(text: str) -> str:
    # A percent-encoded byte that is not UTF-8 can arrive as a lone surrogate, which no response and no key may hold.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")

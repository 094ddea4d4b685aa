"""From an HTTP API event to an answer: the request, the time limit, the one place where errors become responses."""

from __future__ import annotations

import base64
import binascii
import gc
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pushreg.clock import Clock, now, to_iso
from pushreg.config import Settings
from pushreg.dynamodb import Client, Session, connect
from pushreg.errors import MalformedError, TooLargeError
from pushreg.metrics import RequestLog
from pushreg.stores.directory import Directory

MAX_BODY = 64 * 1024
# What remains of the function's time when the database is given up: enough for one stalled call and the answer.
TIME_RESERVE = 5.0
TIME_LIMIT = 8.0


@dataclass(slots=True)
class Request:
    """One call; `operation` starts as the method and may be refined by the family for the log line.

    `secret` is what the caller presented as its token, kept because Kazoo echoes it; it is never logged.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    event: Mapping[str, Any]
    session: Session
    moment: str
    epoch: int
    request_id: str
    operation: str
    secret: str | None = field(default=None, repr=False)

    def read_body(self) -> bytes:
        """Return the body's bytes; TooLargeError over 64 KiB, MalformedError if its base64 is none."""
        text = self.event.get("body") or ""
        # API Gateway encodes media types that it takes for binary (AWS docs, payload format 2.0).
        if self.event.get("isBase64Encoded"):
            try:
                body = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise MalformedError("invalid base64") from error
        else:
            body = text.encode("utf-8", "surrogatepass")
        if len(body) > MAX_BODY:
            raise TooLargeError
        return body


@dataclass(frozen=True, slots=True)
class Response:
    """What the caller gets; `outcome` is the word that the log line and the metrics use for it."""

    status: int
    body: bytes
    content_type: str | None
    outcome: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_event(self) -> dict[str, Any]:
        """Return the answer in payload format 2.0."""
        headers = dict(self.headers)
        if self.content_type is not None:
            headers["content-type"] = self.content_type
        return {
            "statusCode": self.status,
            "headers": headers,
            "body": self.body.decode("utf-8"),
            "isBase64Encoded": False,
        }


@dataclass(frozen=True, slots=True)
class Context:
    """What a function holds between requests."""

    settings: Settings
    directory: Directory


class Dialect(Protocol):
    """What a function adds: the meaning of a request and the form of an error."""

    def answer(self, request: Request, context: Context) -> Response:
        """Return the answer, or raise what `fail` can render."""

    def fail(self, request: Request, context: Context, error: Exception) -> Response:
        """Return the family's form of any error, a bland 500 for one it does not know."""


class Handler:
    """A Lambda handler; reads the environment and connects on first use, not on import."""

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
        self._context: Context | None = None
        self._request_log: RequestLog | None = None

    def prepare(self) -> tuple[Context, Client, RequestLog]:
        """Return the settings, client and request_log, made once; ConfigurationError names a bad setting."""
        if self._context is None or self._client is None or self._request_log is None:
            settings = Settings.from_environ(self._environ)
            self._client = self._client or connect(settings)
            self._request_log = RequestLog(settings, self._emit)
            # The packages of the functions turn it off while they are imported.
            # Everything allocated so far lives as long as the process: no collection need look at it
            # (docs/decisions/gc-freeze.md).
            gc.freeze()
            gc.enable()
            self._context = Context(settings, Directory(settings.directory_table, self._timer))
        return self._context, self._client, self._request_log

    def __call__(self, event: Mapping[str, Any], lambda_context: Any) -> dict[str, Any]:
        """Answer one event of payload format 2.0; every failure has the family's own form."""
        started = self._timer()
        context, client, request_log = self.prepare()
        session = Session(client, _limit(lambda_context), self._timer, self._sleep)
        request = _request(event, session, self._clock)
        failure: Exception | None = None
        try:
            response = self._dialect.answer(request, context)
        except Exception as error:  # noqa: BLE001 The edge: whatever it is, the caller gets the family's own form.
            failure = error
            response = self._dialect.fail(request, context, error)
        request_log.record(
            request.operation,
            response.outcome,
            response.status,
            (self._timer() - started) * 1000,
            session.calls,
            request.request_id,
            failure,
        )
        # Pydantic's error holds the frames that it passed through, this one too, and no garbage collector sees into it:
        # were it held in turn, it would stay for ever, with the whole request.
        failure = None
        return response.to_event()


def _limit(context: Any) -> float:
    remaining: Callable[[], int] | None = getattr(context, "get_remaining_time_in_millis", None)
    return TIME_LIMIT if remaining is None else min(TIME_LIMIT, remaining() / 1000 - TIME_RESERVE)


def _request(event: Mapping[str, Any], session: Session, clock: Clock) -> Request:
    http = event.get("requestContext", {}).get("http", {})
    method = str(http.get("method") or "").upper()
    moment = clock()
    parameters = event.get("pathParameters") or {}
    return Request(
        method=method,
        path=_clean(event.get("rawPath") or "/"),
        parameters={name: _clean(value) for name, value in parameters.items()},
        # HTTP API lowers header names, `sam local` keeps them.
        headers={
            name.lower(): _clean(value) for name, value in (event.get("headers") or {}).items() if value is not None
        },
        event=event,
        session=session,
        moment=to_iso(moment),
        epoch=int(moment.timestamp()),
        request_id=event.get("requestContext", {}).get("requestId") or uuid.uuid4().hex,
        operation=method.lower() if method in _METHODS else "other",
    )


def _clean(text: str) -> str:
    # A percent-encoded byte that is no UTF-8 can arrive as half a character, which no answer and no key may hold.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"})

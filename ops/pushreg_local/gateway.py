"""The local HTTP API: converts requests to events and runs the handlers in threads."""

from __future__ import annotations

import importlib
import json
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from pushreg.clock import Clock, now
from pushreg_local.errors import TemplateError
from pushreg_local.events import HttpRequest, HttpResponse, InvalidLambdaResponseError, build_event, render_response
from pushreg_local.intrinsics import ACCOUNT_ID, REGION
from pushreg_local.routing import Router
from pushreg_local.template import Cors, Function, Template

# API Gateway's own limit (AWS docs, "Quotas for configuring and running an HTTP API").
MAX_BODY = 10 * 1024 * 1024
# Matches the connection pool of the functions' DynamoDB client.
MAX_THREADS = 64


class Handler(Protocol):
    """The result of a function's create_handler."""

    def __call__(self, event: dict[str, Any], context: Any) -> object:
        """Handle one event."""

    def prepare(self) -> object:
        """Do the initialization that the first event would otherwise wait for."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context object that Lambda passes to a handler."""

    function_name: str
    memory_limit_in_mb: int
    aws_request_id: str
    invoked_function_arn: str
    deadline: float
    function_version: str = "$LATEST"

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time before the function's timeout."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


def load_handlers(template: Template, emit: Callable[[str], None] = print) -> dict[str, Handler]:
    """Return the handlers by function name, each created with its own environment."""
    handlers: dict[str, Handler] = {}
    for function in template.functions:
        try:
            create: Callable[..., Handler] = importlib.import_module(function.module).create_handler
        except (ImportError, AttributeError) as error:
            raise TemplateError(f"the handler of {function.name} cannot be loaded: {error}") from error
        handlers[function.name] = create(environ=function.environment, emit=emit)
    return handlers


class Gateway:
    """An ASGI application that stands in for API Gateway and Lambda.

    `answer_browser` may answer requests without a route in place of API Gateway.
    """

    def __init__(
        self,
        template: Template,
        handlers: Mapping[str, Handler],
        port: int,
        clock: Clock = now,
        answer_browser: Callable[[Request], HttpResponse | None] = lambda _: None,
    ) -> None:
        self._router = Router(template.all_routes)
        self._functions = {function.name: function for function in template.functions}
        self._handlers = handlers
        self._port = port
        self._clock = clock
        self._answer_browser = answer_browser
        self._threads = CapacityLimiter(MAX_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        rendered = Response(response.body, response.status)
        rendered.raw_headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        await rendered(scope, receive, send)

    async def _answer(self, request: Request) -> HttpResponse:
        match = self._router.match(request.method, request.scope["path"])
        if (match is None or match[0].path == "$default") and (page := self._answer_browser(request)) is not None:
            return page
        if match is None:
            return _message(404, "Not Found")
        body = await _read(request)
        if body is None:
            return _message(413, "Request Entity Too Large")
        route, parameters = match
        incoming = HttpRequest(
            method=request.method,
            path=request.scope["path"],
            query=request.scope["query_string"].decode("latin-1"),
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw),
            body=body,
            source_ip=request.client.host if request.client else "127.0.0.1",
            protocol=f"HTTP/{request.scope['http_version']}",
        )
        event = build_event(incoming, route, parameters, self._port, self._clock())
        function = self._functions[route.function]
        return await to_thread.run_sync(self._invoke, function, event, limiter=self._threads)

    def _invoke(self, function: Function, event: dict[str, Any]) -> HttpResponse:
        context = LambdaContext(
            function_name=function.name,
            memory_limit_in_mb=function.memory,
            aws_request_id=str(uuid.uuid4()),
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function.name}",
            deadline=time.monotonic() + function.timeout,
        )
        try:
            return render_response(self._handlers[function.name](event, context))
        except InvalidLambdaResponseError as error:
            print(f"{function.name} returned an invalid response: {error}")  # noqa: T201
        except Exception:  # noqa: BLE001 Lambda survives whatever a handler raises, and so must this.
            traceback.print_exc()
        return _message(500, "Internal Server Error")


def create_app(gateway: Gateway, cors: Cors | None = None, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application of the local stack: the given routes, and the gateway with CORS for all others."""
    app = Starlette(routes=routes)
    # Not a Mount, whose pattern does not match paths that contain a line break.
    app.router.default = gateway
    if cors is not None:
        app.router.default = CORSMiddleware(
            gateway,
            allow_origins=cors.origins,
            allow_methods=cors.methods,
            allow_headers=cors.headers,
            expose_headers=cors.exposed,
            max_age=cors.max_age,
        )
    return app


async def _read(request: Request) -> bytes | None:
    """Return the body, or None if it exceeds API Gateway's limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _message(status: int, text: str) -> HttpResponse:
    body = json.dumps({"message": text}, separators=(",", ":")).encode()
    return HttpResponse(status, body, (("content-type", "application/json"),))

"""The real handlers in process, wired as in template.yaml, behind the behaviour of API Gateway."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pushreg.clock import now
from pushreg_local.events import HttpRequest, build_event, render_response
from pushreg_local.routing import Router
from pushreg_local.template import Template, find_template, load_template
from tests.support.calls import Answer
from tests.support.roles import Restricted


@cache
def read_template() -> Template:
    """Return the project's template with the defaults of its parameters."""
    return load_template(find_template(Path(__file__)).read_text("utf-8"))


class Gateway:
    """Answers requests with handlers of its own; `environment` is laid over what the template sets.

    With `encode` every body comes to the functions as base64, as API Gateway sends what it takes for binary. `options`
    are those of `pushreg.http.Handler`; without any, nobody waits and nothing is printed.
    """

    def __init__(
        self, client: Any, environment: Mapping[str, str] | None = None, encode: bool = False, **options: Any
    ) -> None:
        template = read_template()
        self._router = Router(template.all_routes)
        self._encode = encode
        self._handlers = {}
        # The functions can do no more than their roles allow, as in the cloud.
        self.clients = {each.name: Restricted(client, each.name) for each in template.functions if client is not None}
        quiet = {"sleep": lambda _: None, "emit": lambda _: None}
        for function in template.functions:
            create = importlib.import_module(function.module).create_handler
            environ = {**function.environment, **(environment or {})}
            self._handlers[function.name] = create(environ, self.clients.get(function.name), **{**quiet, **options})

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Answer by the function whose route fits, else with the gateway's own 404."""
        found = self.find_event(method, path, headers, body)
        if found is None:
            return 404, {"content-type": "application/json"}, b'{"message":"Not Found"}'
        function, event = found
        answer = render_response(self._handlers[function](event, None))
        return answer.status, dict(answer.headers), answer.body

    def find_event(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, dict[str, Any]] | None:
        """Return the function whose route fits and the event for it, or None if no route does."""
        path, _, query = path.partition("?")
        decoded = unquote(path)
        match = self._router.match(method, decoded)
        if match is None:
            return None
        route, parameters = match
        lowered = tuple((name.lower(), value) for name, value in headers.items())
        request = HttpRequest(method, decoded, query, lowered, body or b"", "192.0.2.1")
        event = build_event(request, route, parameters, 443, now())
        # `sam local` keeps the names as they were sent, and a caller without headers is worth a try too.
        event["headers"] = dict(headers) or None
        if self._encode and not event["isBase64Encoded"] and "body" in event:
            event |= {"body": base64.b64encode(body or b"").decode(), "isBase64Encoded": True}
        return route.function, event

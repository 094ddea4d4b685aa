"""The routes of the console and who may reach them."""

from __future__ import annotations

import secrets
from importlib import metadata
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from pushreg.clock import Clock, now
from pushreg_local.docs_page.routes import SHARED, serve_file
from pushreg_local.errors import OperatorError
from pushreg_ops.console.pages import HEADERS, Pages
from pushreg_ops.registry import Registry

PATH = "/console"
TOKEN_BYTES = 24
# A registry of at most this size is counted without being asked for: a scan of it costs less than a cent.
COUNTED_ITEMS = 20_000


def create_console(
    registry: Registry, target: str, clock: Clock = now, counted_items: int = COUNTED_ITEMS
) -> tuple[str, list[BaseRoute]]:
    """Return the console's path, which contains a random token, and its routes.

    `target` are the options that select the registry, for the commands that the pages show. A registry with more than
    `counted_items` items is counted only on request.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    pages = Pages(registry, target, clock, counted_items)
    htmx = metadata.distribution("django-htmx").locate_file("django_htmx/static/django_htmx/htmx-2.min.js")
    files = {**SHARED, "console.css": Path(__file__).with_name("console.css"), "htmx.js": Path(str(htmx))}
    routes = [
        Route("/", pages.show_overview),
        Route("/counts", pages.count),
        Route("/search", pages.show_search_form, methods=["GET"]),
        Route("/search", pages.search, methods=["POST"]),
        Route("/changes", pages.show_changes),
        Route("/keys", pages.show_keys),
        *(Route(f"/{name}", serve_file(file, headers=HEADERS)) for name, file in files.items()),
    ]
    app = Starlette(
        routes=routes,
        # A page of another site whose host name resolves to this machine sends that name as Host.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)],
        exception_handlers={OperatorError: pages.show_problem},
    )

    async def check_token(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 unless the path contains the token."""
        given = str(scope["path_params"]["token"]).encode("utf-8", "replace")
        known = secrets.compare_digest(given, token.encode())
        await (app if known else Response(status_code=404))(scope, receive, send)

    return f"{PATH}/{token}/", [Mount(f"{PATH}/{{token}}", check_token)]

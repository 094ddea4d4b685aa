"""The routes of the documentation page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from pushreg_local.events import HttpResponse
from pushreg_local.intrinsics import SAFE_LOADER

PAGE_PATH = "/docs"
DOCUMENT = "/openapi.json"
_OWN = Path(__file__).parent
# Among the documents beside the OpenAPI document; browsers show Markdown as text.
_GUIDES = (
    "migrate-kazoo.md",
    "migrate-engagement.md",
    "migrate-places.md",
    "sending.md",
    "operations.md",
    "compatibility.md",
)
# The files of the console too.
SHARED = {name: _OWN / name for name in ("style.css", "copy.js", "icon.svg")}
# Own resources only and no inline code, so that a page can never send a request to another host.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; "
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY + "img-src 'self' data:; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_routes(
    document_file: Path, commands: Sequence[tuple[str, str]], credentials: Mapping[str, str]
) -> list[BaseRoute]:
    """Return the routes of the page and of the OpenAPI document.

    The page shows `commands` by family, and fills in `credentials` by the name of their security scheme.
    """

    @cache
    def read_document() -> bytes:
        document = yaml.load(document_file.read_text("utf-8"), SAFE_LOADER)  # noqa: S506 Safe, whichever it is.
        # Without servers, Swagger UI calls the host that served the page.
        del document["servers"]
        return _to_json(document)

    settings = {"document": DOCUMENT, "commands": [list(each) for each in commands], "credentials": dict(credentials)}
    vendor = Path(str(metadata.distribution("flask-swagger-ui").locate_file("flask_swagger_ui/dist")))
    files = {
        "": _OWN / "page.html",
        **{f"/{name}": file for name, file in SHARED.items()},
        "/page.css": _OWN / "page.css",
        "/page.js": _OWN / "page.js",
        "/swagger-ui.css": vendor / "swagger-ui.css",
        "/swagger-ui-bundle.js": vendor / "swagger-ui-bundle.js",
    }
    guides = {f"{PAGE_PATH}/{name}": serve_file(document_file.parent / name, "text/plain") for name in _GUIDES}
    return [
        *(Route(f"{PAGE_PATH}{path}", serve_file(file)) for path, file in files.items()),
        *(Route(path, serve_guide) for path, serve_guide in guides.items()),
        Route(f"{PAGE_PATH}/settings.json", _serve_json(lambda: _to_json(settings))),
        Route(DOCUMENT, _serve_json(read_document)),
    ]


def answer_browser(request: Request) -> HttpResponse | None:
    """Return the answer to a browser's request for an unknown path: the way to this page; None for other clients."""
    if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
        return None
    if request.url.path == "/":
        return HttpResponse(303, b"", (("location", PAGE_PATH),))
    headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8"}
    return HttpResponse(404, (_OWN / "not_found.html").read_bytes(), tuple(headers.items()))


def serve_file(
    file: Path, media_type: str | None = None, headers: Mapping[str, str] = HEADERS
) -> Callable[[Request], Response]:
    """Return an endpoint that answers with the file."""
    return lambda _: FileResponse(file, headers=headers, media_type=media_type)


def _serve_json(read: Callable[[], bytes]) -> Callable[[Request], Response]:
    # Not async, so Starlette runs it in a thread and reading the file does not block the event loop.
    return lambda _: Response(read(), media_type="application/json", headers=HEADERS)


def _to_json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

"""Checks of Pushreg's own that Schemathesis applies to every answer; it loads them by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.support.sizes import is_bounded


def answer_is_bounded(context: Any, response: Any, case: Any) -> None:
    """Nobody gets much more out of the registry than they put in, and no cache keeps it."""
    request = response.request
    sent = len(request.body or b"")
    headers = {str(name): str(value) for name, value in request.headers.items()}
    if not is_bounded(response.status_code, request.method, request.url, headers, sent, len(response.content)):
        raise AssertionError(f"{len(response.content)} bytes, too many for the request")
    if response.headers.get("cache-control") != ["private, no-store"]:
        raise AssertionError("an answer that a cache may keep")


schemathesis.check(answer_is_bounded)

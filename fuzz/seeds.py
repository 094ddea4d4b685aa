"""Where the fuzzer starts: every request of the contract's cases."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.targets import ENCODED, FILLED, OPEN, build_input
from tests.support.contract.cases import TABLES, load_cases
from tests.support.contract.filling import build_body, fill

# One refused write.
REFUSED = 2


def list_seeds(target: str) -> Iterator[bytes]:
    """Yield the inputs for a target: bodies for a codec, whole requests for a family."""
    for case in load_cases():
        bindings = {**case.variables, "unique": "0123456789abcdef", "uuid": "1ee68c4e-7008-4227-a92d-e1b13ac64f30"}
        for step in case.steps:
            request = step.request
            body = build_body(request.data, request.text, request.parts, bindings) or b""
            headers = {name.lower(): fill(value, bindings) for name, value in request.headers.items()}
            content_type = headers.get("content-type", "application/json")
            if target in ("json", "xml"):
                if body.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"<") == (target == "xml"):
                    yield body
            elif case.tables == TABLES[target]:
                for state in (OPEN, OPEN | FILLED, OPEN | FILLED | REFUSED, ENCODED):
                    yield build_input(fill(request.method, bindings), content_type, body, state)
    if target == "kazoo":
        body = b'{"data":{}}'
        for parts in (1, 2, 3, 6, 10, 14, 18, 22, 26):
            yield build_input(
                "GET", None, b"c0ffee00c0ffee00c0ffee00c0ffee00/app/device\n*\n" + body, OPEN | FILLED, parts
            )

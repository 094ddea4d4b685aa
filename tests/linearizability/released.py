"""The last release beside this version: its code from the history, its handlers in processes of their own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pushreg.clock import now
from pushreg_local.events import HttpRequest, build_event, render_response
from pushreg_local.routing import Router
from tests.support.calls import Answer, Send
from tests.support.gateway import read_template

PROJECT = Path(__file__).parents[2]
HANDLERS = Path(__file__).with_name("released_handlers.py")


def find_release() -> tuple[str, str]:
    """Return the newest release of CHANGELOG.md and its commit."""
    text = (PROJECT / "CHANGELOG.md").read_text("utf-8")
    match = re.search(r"^## \[(\d+\.\d+\.\d+)\].*?Release commit: `([0-9a-f]+)`", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1], match[2]


def unpack_release(folder: Path) -> Path:
    """Write the deployed code of the last release into the folder; the history of a clone has to be there."""
    command = ["git", "archive", find_release()[1], "layers/common/pushreg", "functions"]
    archive = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


@contextmanager
def run_released(folder: Path, endpoint: str, environment: Mapping[str, str]) -> Iterator[Send]:
    """Run one execution environment of each released function, and give what sends requests to them."""
    template = read_template()
    router = Router(template.all_routes)
    families = {each.name: each.environment["FAMILY"] for each in template.functions}
    local = {
        "DYNAMODB_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        **environment,
    }
    environments = {families[each.name]: {**each.environment, **local} for each in template.functions}
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", str(HANDLERS), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **local},
            )
        )
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        stdin.write(json.dumps(environments) + "\n")

        def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
            decoded = unquote(path)
            match = router.match(method, decoded)
            assert match is not None
            route, parameters = match
            lowered = tuple((name.lower(), value) for name, value in headers.items())
            request = HttpRequest(method, decoded, "", lowered, body or b"", "192.0.2.1")
            event = build_event(request, route, parameters, 443, now())
            stdin.write(json.dumps({"family": families[route.function], "event": event}) + "\n")
            stdin.flush()
            response: dict[str, Any] = json.loads(stdout.readline())
            answer = render_response(response)
            return answer.status, dict(answer.headers), answer.body

        try:
            yield send
        finally:
            stdin.close()

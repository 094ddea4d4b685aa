"""`pushreg tail` beside the local stack: a line for each change, none for a refresh, and no token in any."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pushreg.clock import now, to_iso
from tests.support.calls import Engagement, Kazoo, Modern, Places, Senders, answered
from tests.support.stack import PATIENCE, Stack, clean_environ, run_pushreg

pytestmark = pytest.mark.slow
DYNAMODB_LOCAL = pytest.param("dynamodb-local", marks=pytest.mark.engine)


@contextmanager
def follow(stack: Stack, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command until the block ends; it follows from when the block begins."""
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": stack.endpoint, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", "from pushreg_ops.cli import main; main()", "tail", "--json"]
    with (
        output.open("wb") as lines,
        subprocess.Popen(
            command,
            stdout=lines,
            stderr=subprocess.PIPE,
            env=environ,
            # What a shell runs in the background ignores SIGINT, and passes that down.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        ) as run,
    ):
        try:
            assert run.stderr is not None
            assert json.loads(run.stderr.readline()) == {"status": "following"}
            yield run
        finally:
            run.send_signal(signal.SIGINT)
            try:
                rest = run.communicate(timeout=PATIENCE)[1]
            except subprocess.TimeoutExpired:
                run.kill()
                raise
        assert rest == b""


def await_events(output: Path, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = output.read_text("utf-8").splitlines()
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        time.sleep(0.2)
    raise AssertionError(output.read_text("utf-8"))


@pytest.mark.parametrize("engine", [DYNAMODB_LOCAL], indirect=True)
def test_tail_prints_changes_of_all_families(stack: Stack, tmp_path: Path) -> None:
    name = f"tail-{time.time_ns()}"
    output = tmp_path / "events"
    with follow(stack, output):
        places, engagement, kazoo = Places(stack.send), Engagement(stack.send), Kazoo(stack.send)
        places.put(name)
        places.put(name)
        places.delete(name)
        ksid = answered(engagement.subscribe(name, name))[1]
        engagement.subscribe(name, f"{name}-new")
        kazoo.put(f"{name}-desk", name)
        kazoo.put(f"{name}-den", name)
        dead, inactive = (answered(engagement.subscribe(f"{name}-{each}", f"{name}-{each}"))[1] for each in "di")
        Modern(stack.send).set_active(inactive, False)
        # A verdict is on messages sent in a later second than that of the registration.
        time.sleep(1.1)
        report = {"ksid": dead, "sid": f"{name}-d", "provider": "apns", "code": "Unregistered"}
        assert Senders(stack.send).report({**report, "at": to_iso(now())}).json["results"] == [{"status": "removed"}]
        events = await_events(output, 12)
    found: dict[str, list[tuple[str, str | None]]] = {}
    for event in events:
        detail = event["detail"]
        owner = detail["key"].get("ksid", detail["family"])
        found.setdefault(owner, []).append((event["detail-type"].removeprefix("registration."), detail["reason"]))
    assert found.pop("places") == [("created", "app"), ("removed", None)]
    assert sorted(found.pop("kazoo"), key=str) == [
        ("created", "app"),
        ("created", "app"),
        ("moved", "takeover"),
        ("removed", None),
    ]
    assert found == {
        ksid: [("created", "app"), ("changed", "app")],
        inactive: [("created", "app"), ("removed", "operator")],
        dead: [("created", "app"), ("removed", "feedback")],
    }
    text = output.read_text("utf-8")
    assert name not in text.replace(f"{name}-desk", "").replace(f"{name}-den", "")


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
def test_tail_of_memory_store_says_what_it_needs(stack: Stack, tmp_path: Path) -> None:
    done = run_pushreg("tail", cwd=tmp_path, PUSHREG_ENDPOINT=stack.endpoint)
    assert done.returncode == 1
    assert "has no stream" in done.stderr

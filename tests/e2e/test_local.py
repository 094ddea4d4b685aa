"""`pushreg local`: output, routes, signals, restarts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, PLACE_ID, PLACES_KEY, list_commands, list_entries
from tests.e2e.conftest import NEEDS_JAVA
from tests.support.calls import Kazoo, Places
from tests.support.stack import (
    DYNAMODB_LOCAL,
    MEMORY,
    PATIENCE,
    PUSHREG,
    Stack,
    await_end_of,
    clean_environ,
    is_running,
    list_children,
    run_pushreg,
    run_stack,
)


def test_local_stack_printed_commands_succeed_twice(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('write-out = "\\n%{http_code}"\n')
    commands = [line for line in stack.output.splitlines() if line.startswith("curl ")]
    assert len(commands) == len(list_commands(stack.url))
    for command in commands * 2:
        second = int(time.time())
        run = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "CURL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        body, status = run.stdout.rsplit("\n", 1)
        assert status.startswith("2"), f"{command}\n{body}"
        # The device's name has the second in it.
        while "date +%s" in command and int(time.time()) == second:
            time.sleep(0.01)


def test_local_stack_output_names_store_routes_and_credentials(stack: Stack) -> None:
    for text in (stack.endpoint, "/kpns/subscription", ACCOUNT_ID, ACCOUNT_TOKEN, PLACE_ID, PLACES_KEY, "demo-app"):
        assert text in stack.output
    assert ("for trying out" in stack.output) == (stack.engine == "memory")
    assert "\x1b[" not in stack.output


def test_local_stack_ready_file_is_written_and_removed(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    ready_file.write_text("left by a killed stack", encoding="utf-8")
    with run_stack(tmp_path, engine=MEMORY, ready_file=ready_file) as stack:
        assert json.loads(ready_file.read_text("utf-8")) == {
            "address": stack.url,
            "port": httpx.URL(stack.url).port,
            "dynamodb_endpoint": stack.endpoint,
            "dynamodb_port": httpx.URL(stack.endpoint).port,
            "pid": stack.process.pid,
        }
        stack.stop()
        assert not list(tmp_path.glob("*ready*"))


def test_local_stack_ready_file_in_missing_folder_is_refused(tmp_path: Path) -> None:
    run = run_pushreg(
        "local", "--port=0", "--dynamodb-port=0", "--store=memory", "--ready-file=nowhere/ready.json", cwd=tmp_path
    )
    assert run.returncode == 1
    assert "the ready file nowhere/ready.json cannot be written: nowhere is not a folder" in run.stderr


def test_local_stack_path_without_route_returns_404(stack: Stack) -> None:
    response = httpx.get(f"{stack.url}/nowhere", timeout=PATIENCE)
    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})


def test_local_stack_wrong_method_returns_405(stack: Stack) -> None:
    response = httpx.patch(f"{stack.url}/dts/places/{PLACE_ID}/subscriptions", timeout=PATIENCE)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, PUT, DELETE")


def test_local_stack_binds_only_loopback(stack: Stack) -> None:
    if sys.platform == "linux":
        other = "127.0.0.2"
    else:
        other = socket.gethostbyname(socket.gethostname())
    for url in (stack.url, stack.endpoint):
        with socket.socket() as neighbour:
            # Whoever listens on all addresses has this one too, and the bind is refused.
            neighbour.bind((other, int(url.rsplit(":", 1)[1])))


@NEEDS_JAVA
def test_local_stack_restart_keeps_data(tmp_path: Path) -> None:
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL) as stack:
        assert Kazoo(stack.send).put("kept", "phone-kept").status == 201
        before = connect_endpoint(stack.endpoint).scan(TableName="DirectoryTable")["Items"]
        assert stack.stop() == 0
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL) as stack:
        assert Kazoo(stack.send).get("kept").json["data"]["mobile_device_id"] == "phone-kept"
        after = connect_endpoint(stack.endpoint).scan(TableName="DirectoryTable")["Items"]
    assert len(before) >= len(list_entries())
    assert sorted(map(repr, after)) == sorted(map(repr, before))


@NEEDS_JAVA
def test_local_stack_killed_engine_keeps_acknowledged_write(tmp_path: Path) -> None:
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL) as stack:
        assert Kazoo(stack.send).put("acknowledged", "phone-acknowledged").status == 201
        # The engine answers before its file has the write: docs/reliability.md#limits
        time.sleep(2.0)
        (java,) = list_children(stack.process.pid)
        os.kill(java, signal.SIGKILL)
        stack.stop(signal.SIGKILL)
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL) as stack:
        assert Kazoo(stack.send).get("acknowledged").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_local_stack_signal_stops_all_processes(engine: str, number: signal.Signals, tmp_path: Path) -> None:
    with run_stack(tmp_path, engine=engine) as stack:
        children = list_children(stack.process.pid)
        assert len(children) == (engine == DYNAMODB_LOCAL)
        assert Places(stack.send).put("token").status == 200
        assert stack.stop(number) == 0
        assert not any(is_running(child) for child in children)
        assert "Traceback" not in stack.output


@NEEDS_JAVA
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_local_stack_signal_during_start_stops_engine(number: signal.Signals, tmp_path: Path) -> None:
    command = [str(PUSHREG), "local", "--port=0", "--dynamodb-port=0", f"--store={DYNAMODB_LOCAL}"]
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=clean_environ(), stdout=output, stderr=output)
    deadline = time.monotonic() + PATIENCE
    # Its log is made just before Java is, which then takes seconds until it answers.
    while not (tmp_path / ".data" / "dynamodb-local.log").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    children = list_children(process.pid)
    process.send_signal(number)
    assert process.wait(PATIENCE) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    # Linux alone ends a child with its parent; elsewhere nobody is left to do it after kill -9.
    if number == signal.SIGTERM or sys.platform == "linux":
        await_end_of(children)
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL):
        pass


def test_local_stack_on_same_database_shares_data(stack: Stack, tmp_path: Path) -> None:
    assert Kazoo(stack.send).put("shared", "phone-shared").status == 201
    with run_stack(tmp_path, engine=stack.endpoint) as second:
        assert Kazoo(second.send).get("shared").status == 200


def test_local_stack_without_demo_data_returns_401(tmp_path: Path) -> None:
    with run_stack(tmp_path, "--no-demo", engine="memory") as stack:
        assert Places(stack.send).put("token").status == 401
        assert connect_endpoint(stack.endpoint).scan(TableName="DirectoryTable")["Items"] == []
        assert "demo-" not in stack.output

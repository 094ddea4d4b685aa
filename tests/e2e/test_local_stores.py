"""`pushreg local`: choice of the store, and errors at the start."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pushreg_local.client import connect_endpoint
from pushreg_local.demo import PLACE_ID
from pushreg_local.engines.memory import MemoryEngine
from tests.e2e.conftest import NEEDS_JAVA
from tests.support.calls import Places
from tests.support.stack import DYNAMODB_LOCAL, PATIENCE, PUSHREG, clean_environ, run_pushreg, run_stack


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--dynamodb-port", "DYNAMODB_PORT")])
def test_local_stack_port_in_use_prints_one_line(option: str, variable: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        others = ["--port=0"] if option != "--port" else []
        run = run_pushreg("local", *others, "--store=memory", cwd=tmp_path, **{variable: str(port)})
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr == f"pushreg: port {port} is in use: choose another with {option} or {variable}\n"


@NEEDS_JAVA
def test_local_stack_data_in_use_is_refused(tmp_path: Path) -> None:
    with run_stack(tmp_path, engine=DYNAMODB_LOCAL) as stack:
        run = run_pushreg("local", "--port=0", "--dynamodb-port=0", f"--store={DYNAMODB_LOCAL}", cwd=tmp_path)
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr.startswith("pushreg: another local stack is using .data")
        assert Places(stack.send).put("token").status == 200


def test_local_stack_existing_endpoint_is_used_and_left_running(tmp_path: Path) -> None:
    someone_elses = MemoryEngine(0)
    someone_elses.start()
    try:
        with run_stack(tmp_path, engine=someone_elses.endpoint) as stack:
            assert stack.endpoint == someone_elses.endpoint
            assert Places(stack.send).put("token").status == 200
            assert stack.stop() == 0
            found = connect_endpoint(stack.endpoint).scan(TableName="PlacesTable")["Items"]
        assert [item["place_id"] for item in found] == [{"S": PLACE_ID}]
    finally:
        someone_elses.stop()


def test_local_stack_unreachable_endpoint_is_refused(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        run = run_pushreg("local", "--port=0", f"--store={address}", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"pushreg: nothing answers at {address}")


def test_local_stack_without_dynamodb_local_uses_memory(tmp_path: Path) -> None:
    log = tmp_path / "output.txt"
    nowhere = tmp_path / "nowhere"
    command = [str(PUSHREG), "local", "--port=0", "--dynamodb-port=0"]
    environ = {**clean_environ(), "DYNAMODB_LOCAL_HOME": str(nowhere)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while "Pushreg answers" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    notice = log.read_text().splitlines()[0]
    assert notice.startswith("DynamoDB Local is not available, using memory instead: ")
    assert str(nowhere) in notice or "Java" in notice


def test_local_stack_requested_dynamodb_local_is_not_replaced(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    arguments = ["local", "--port=0", "--dynamodb-port=0", f"--store={DYNAMODB_LOCAL}"]
    run = run_pushreg(*arguments, cwd=tmp_path, DYNAMODB_LOCAL_HOME=str(nowhere))
    assert (run.returncode, run.stdout) == (1, "")
    assert str(nowhere) in run.stderr or "Java" in run.stderr


def test_local_stack_unknown_store_exits_2(tmp_path: Path) -> None:
    run = run_pushreg("local", cwd=tmp_path, STORE="sqlite")
    assert run.returncode == 2
    assert "sqlite" in run.stderr

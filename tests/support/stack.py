"""`pushreg local` as a child process. Imports the standard library alone, since the bench runs it without ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROJECT = Path(__file__).parents[2]
_BESIDE = Path(sys.executable).with_name("pushreg")
PUSHREG = _BESIDE if _BESIDE.exists() else PROJECT / ".venv" / "bin" / "pushreg"
DYNAMODB_LOCAL, MEMORY = "dynamodb-local", "memory"
# A limit for a command that hangs. Generous, since the engine may have to be downloaded.
PATIENCE = 300
# Where there is such a folder, the engine does not wait for a disk.
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Stack:
    """One running `pushreg local`; `process` is the command that was started, `process_id` the stack itself."""

    engine: str
    process: subprocess.Popen[bytes]
    process_id: int
    log: Path
    url: str
    endpoint: str

    @property
    def output(self) -> str:
        """Everything the stack has printed so far."""
        return self.log.read_text("utf-8")

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request to the API."""
        return send_http(self.url, method, path, headers, body)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def send_http(
    url: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request as it is; no header is added but Host, Content-Length and Accept-Encoding."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {**headers})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@contextmanager
def run_stack(
    folder: Path,
    *arguments: str,
    engine: str = DYNAMODB_LOCAL,
    environ: Mapping[str, str] | None = None,
    ready_file: Path | None = None,
) -> Iterator[Stack]:
    """Run `pushreg local` in the folder on free ports; stop it when the block ends."""
    ready_file = ready_file or folder / f"ready-{time.monotonic_ns()}.json"
    command = [str(PUSHREG), "local", "--port=0", "--dynamodb-port=0", f"--store={engine}"]
    with run_process(
        folder, [*command, f"--ready-file={ready_file}", *arguments], engine, ready_file, environ
    ) as stack:
        yield stack


@contextmanager
def run_temporary_stack() -> Iterator[Stack]:
    """Run the stack over DynamoDB Local in a folder that is deleted afterwards, in memory if possible."""
    parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder, run_stack(Path(folder)) as stack:
        yield stack


@contextmanager
def run_process(
    folder: Path,
    command: Sequence[str],
    engine: str,
    ready_file: Path,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Run a command that starts a stack, wait for its ready file, and stop it when the block ends."""
    log = folder / f"output-{time.monotonic_ns()}.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**clean_environ(), **(environ or {})},
        )
    try:
        ready = _await_ready_file(process, ready_file, log)
        yield Stack(engine, process, ready["pid"], log, ready["address"], ready["dynamodb_endpoint"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def clean_environ() -> dict[str, str]:
    """Return this process's environment without the variables that configure the command or a make around the tests."""
    own = {"PORT", "DYNAMODB_PORT", "STORE", "PUSHREG_ENDPOINT", "PUSHREG_STACK"}
    own |= {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    return {name: value for name, value in os.environ.items() if name not in own}


def run_pushreg(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [PUSHREG, *arguments],
        cwd=cwd,
        env={**clean_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def await_end_of(process_ids: list[int]) -> None:
    """Return when none of the processes is running; fail if one stays."""
    deadline = time.monotonic() + PATIENCE
    while any(is_running(each) for each in process_ids):
        assert time.monotonic() < deadline, f"still running: {process_ids}"
        time.sleep(0.05)


def is_running(process_id: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False)
    return bool(status.stdout.strip()) and not status.stdout.strip().startswith("Z")


def list_children(process_id: int) -> list[int]:
    """Return the ids of the process's children."""
    found = subprocess.run(["pgrep", "-P", str(process_id)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _await_ready_file(process: subprocess.Popen[bytes], ready_file: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            found: dict[str, Any] = json.loads(ready_file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            # Not written yet, or left by a killed stack and not removed yet.
            time.sleep(0.05)
        else:
            return found
    raise RuntimeError(f"the stack is not ready (exit code {process.poll()}):\n{log.read_text('utf-8')}")

"""The real command as a child process, on ports of its own, once for each engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pushreg_local.client import AdminClient, connect_endpoint
from pushreg_local.demo import PLACE_ID, PLACES_KEY

FOLDER = Path(__file__).parent
PUSHREG = Path(sys.executable).with_name("pushreg")
DYNAMODB_LOCAL, MEMORY = "dynamodb-local", "memory"
NEEDS_JAVA = pytest.mark.engine
CHOSEN = os.environ.get("STORE")
ENGINES = [CHOSEN] if CHOSEN else [DYNAMODB_LOCAL, MEMORY]
PARAMETERS = [pytest.param(each, marks=[NEEDS_JAVA] if each == DYNAMODB_LOCAL else []) for each in ENGINES]
# Only for a command that hangs: generous, since the jar may have to be fetched.
PATIENCE = 300
_READY = re.compile(r"Pushreg answers at (http://\S+)")
_ENDPOINT = re.compile(r"^Store: .*?(http://127\.0\.0\.1:\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Stack:
    """One running `pushreg local`."""

    engine: str
    process: subprocess.Popen[bytes]
    log: Path
    url: str
    endpoint: str

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return self.log.read_text("utf-8")

    def connect(self) -> AdminClient:
        """Return a client of its database; the tables have their logical ids for names."""
        return connect_endpoint(self.endpoint)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def run_stack(folder: Path, *arguments: str, engine: str, environ: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run `pushreg local` in the folder, on free ports, until it is ready; stop it afterwards."""
    command = [str(PUSHREG), "local", "--port=0", "--dynamodb-port=0", f"--store={engine}", *arguments]
    with run_process(folder, command, engine, environ) as stack:
        yield stack


@contextmanager
def run_process(
    folder: Path, command: Sequence[str], engine: str, environ: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Run a command that serves a stack until it is ready; stop it afterwards."""
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
        url, endpoint = _await_readiness(process, log)
        yield Stack(engine, process, log, url, endpoint)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def clean_environ() -> dict[str, str]:
    """Return this process's environment without what would change the command's mind."""
    own = {"PORT", "DYNAMODB_PORT", "STORE", "PUSHREG_ENDPOINT"}
    # What a make around the tests hands down to the make in them.
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
    """Return when none of the processes is left; fail if one stays."""
    deadline = time.monotonic() + PATIENCE
    while any(is_running(each) for each in process_ids):
        assert time.monotonic() < deadline, f"still running: {process_ids}"
        time.sleep(0.05)


def is_running(process_id: int) -> bool:
    """Tell whether there is such a process, dead ones that nobody has waited for aside."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False)
    return bool(status.stdout.strip()) and not status.stdout.strip().startswith("Z")


def list_children(process_id: int) -> list[int]:
    """Return the ids of the process's children."""
    found = subprocess.run(["pgrep", "-P", str(process_id)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def register(url: str, token: str, key: str = PLACES_KEY) -> httpx.Response:
    """Register the token at the demo's place."""
    path = f"/dts/places/{PLACE_ID}/subscriptions"
    headers = {"authorization": f"Bearer {key}"}
    return httpx.put(url + path, headers=headers, json={"device_token": token}, timeout=PATIENCE)


def _await_readiness(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """Return the addresses of the API and of its database once the API answers, and so all has been printed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        text = log.read_text("utf-8")
        ready, endpoint = _READY.search(text), _ENDPOINT.search(text)
        if process.poll() is not None:
            pytest.fail(f"pushreg local ended with {process.returncode}:\n{text}")
        if ready and endpoint:
            try:
                httpx.get(ready[1], timeout=PATIENCE)
            except httpx.TransportError:
                continue
            return ready[1], endpoint[1]
        time.sleep(0.05)
    pytest.fail(f"pushreg local is not ready after {PATIENCE} s:\n{log.read_text('utf-8')}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another engine chosen by STORE, leave out the tests that need DynamoDB Local."""
    if CHOSEN in (None, DYNAMODB_LOCAL):
        return
    left_out = [item for item in items if FOLDER in item.path.parents and item.get_closest_marker("engine")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", params=PARAMETERS)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine under test; STORE picks one of them."""
    return str(request.param)


@pytest.fixture(scope="session")
def stack(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the demo data, shared by all tests that only add to it."""
    with run_stack(tmp_path_factory.mktemp(engine), engine=engine) as running:
        yield running

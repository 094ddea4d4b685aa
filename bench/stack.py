"""A `pushreg local` of its own on DynamoDB Local, in a folder that goes with it."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.interpreter import ROOT

PATIENCE = 300
# In memory where there is such a folder: measured are programs, not how long a disk takes to be sure of each write.
MEMORY = Path("/dev/shm")
_ADDRESS = re.compile(r"Pushreg answers at (http://\S+)")
_ENDPOINT = re.compile(r"^Store: .*?(http://127\.0\.0\.1:\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Stack:
    """What runs, and where it answers."""

    process_id: int
    url: str
    endpoint: str


@contextmanager
def serve() -> Iterator[Stack]:
    """Run the stack on free ports until the block ends."""
    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder, (Path(folder) / "output").open("wb") as output:
        command = [str(ROOT / ".venv" / "bin" / "pushreg"), "local"]
        options = ["--port=0", "--dynamodb-port=0", "--store=dynamodb-local"]
        process = subprocess.Popen([*command, *options], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield _await(process, Path(output.name))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _await(process: subprocess.Popen[bytes], log: Path) -> Stack:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text("utf-8")
        address, endpoint = _ADDRESS.search(text), _ENDPOINT.search(text)
        if address and endpoint:
            return Stack(process.pid, address[1], endpoint[1])
        time.sleep(0.1)
    raise RuntimeError(f"the stack did not come up:\n{log.read_text('utf-8')}")

"""`python -m bench.release`: requests per second of the local stack, beside the last release's on the same database."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import median_ratio, shuffle_rounds, table
from bench.load import measure_load
from tests.linearizability.released import find_release
from tests.support.engine import find_port
from tests.support.stack import PROJECT, clean_environ, run_temporary_stack

CALLERS = 16
SOURCES = ("ops", "layers/common", "functions")
PATIENCE = 60
_INSTALL = ("pip", "--disable-pip-version-check", "install", "-qq", "--no-deps", "--require-hashes")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    options = parser.parse_args()
    version, commit = find_release()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_temporary_stack() as stack,
        run_release(Path(folder), commit, stack.endpoint) as released,
    ):
        measures = {
            (kind, name): partial(_measure, url, kind == "refresh", options.seconds)
            for kind in ("refresh", "new")
            for name, url in (("released", released), ("now", stack.url))
        }
        # The engine's first seconds are slower.
        shuffle_rounds(measures, 1)
        figures = shuffle_rounds(measures, options.rounds)
    rows = []
    for kind in ("refresh", "new"):
        now, before = figures[kind, "now"], figures[kind, "released"]
        figure = f"{median_ratio(now, before):.2f}"
        rows.append((kind, f"{statistics.median(before):.0f}", f"{statistics.median(now):.0f}", figure))
    print(table((f"places PUT, {CALLERS} callers, requests/s", version, "now", "ratio"), rows))


@contextmanager
def run_release(folder: Path, commit: str, endpoint: str) -> Iterator[str]:
    """Run the local stack of a commit with the packages of its lock over a running database, and yield its address."""
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "x"], cwd=folder, input=archive.stdout, check=True)
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    python = str(folder / ".venv" / "bin" / "python")
    subprocess.run([python, "-m", *_INSTALL, "-r", "requirements/run.txt"], cwd=folder, check=True)
    port = find_port()
    command = [python, "-c", "from pushreg_ops.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "local", f"--port={port}", f"--store={endpoint}"],
        cwd=folder,
        env={**clean_environ(), "PYTHONPATH": os.pathsep.join(str(folder / each) for each in SOURCES)},
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _await(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            HTTPConnection(urlsplit(url).netloc).connect()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _measure(url: str, known: bool, seconds: float) -> float:
    return measure_load(url, known, CALLERS, seconds)["rps"]


if __name__ == "__main__":
    main()

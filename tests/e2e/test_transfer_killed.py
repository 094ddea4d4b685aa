"""A long import, killed again and again where chance will have it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushreg_ops.aws import connect_endpoint
from tests.e2e.conftest import PATIENCE, PUSHREG, clean_environ, run_pushreg
from tests.integration.conftest import endpoint
from tests.support.stored import Stored

__all__ = ["endpoint"]
pytestmark = pytest.mark.engine

# 100000 takes a minute or two; fewer leave the import as many chances to go wrong, but less between them.
ROWS = int(os.environ.get("PUSHREG_TEST_ROWS", "20000"))
KILLS = 5
CHECKPOINT = "tokens.csv.checkpoint.json"
PLACE_IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(40)]


def rows() -> Iterator[tuple[str, str, str, str]]:
    for number in range(ROWS):
        day = f"{number % 28 + 1:02}"
        yield PLACE_IDS[number % 40], f"token-{number:07}", f"2025-01-{day}T00:00:00Z", f"2026-01-{day}T00:00:00Z"


def count_done(checkpoint: Path) -> int:
    try:
        return int(json.loads(checkpoint.read_text())["rows"])
    except FileNotFoundError:
        return 0


def kill(command: list[str], folder: Path, environ: dict[str, str], target: int, delay: float) -> bool:
    """Run the command, kill it a while after it has said to be so far, and tell whether it was not done before."""
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        # The checkpoint, since to count what is stored would take the database's time.
        while count_done(folder / CHECKPOINT) < target and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
    return process.wait(PATIENCE) == -signal.SIGKILL


def test_a_long_import_killed_at_random_points_comes_to_exactly_the_rows_of_the_file(
    endpoint: str, tmp_path: Path
) -> None:
    Stored.create(connect_endpoint(endpoint))
    wanted = sorted(rows())
    lines = "".join(f"{','.join(row)}\n" for row in rows())
    (tmp_path / "tokens.csv").write_text(f"place_id,device_token,created_at,updated_at\n{lines}")
    arguments = ["import", "tokens.csv", "--from", "places", "--add-missing", "--json"]
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": endpoint}
    # The first as it starts, or at its first rows.
    shares = [0.0, *sorted(random.uniform(0, 0.75) for _ in range(KILLS - 1))]
    resumed = 0
    for number, share in enumerate(shares):
        delay = random.uniform(0, 0.5 if number else 3)
        if not kill([str(PUSHREG), *arguments], tmp_path, environ, int(ROWS * share), delay):
            break
        resumed += (tmp_path / CHECKPOINT).exists()
    assert resumed >= 2, "the import is too quick for so few rows"

    final = run_pushreg(*arguments, cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert final.returncode == 0, final.stderr
    report = json.loads(final.stdout)
    assert (report["rows"], report["created"] + report["unchanged"]) == (ROWS, ROWS)

    assert run_pushreg("verify", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint).returncode == 0
    exported = run_pushreg("export", "out.jsonl", "--family", "places", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert exported.returncode == 0, exported.stderr
    with (tmp_path / "out.jsonl").open() as file:
        kept = [json.loads(line) for line in file]
    names = ("place_id", "device_token", "created_at", "updated_at")
    assert sorted(tuple(row[name] for name in names) for row in kept) == wanted
    # A resumed run gives its rows the end that the first attempt gave them.
    assert len({row["expires_at"] for row in kept}) <= 1 + KILLS - resumed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "tokens.csv"]

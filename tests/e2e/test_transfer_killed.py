"""Imports killed by SIGKILL at any moment resume to exactly the rows of the file."""

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

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.client import connect_endpoint
from tests.e2e.exports import find_difference, read_lines, slow_wire, write_rows
from tests.support.engine import endpoint
from tests.support.stack import PATIENCE, PUSHREG, clean_environ, run_pushreg
from tests.support.stored import Stored

__all__ = ["endpoint"]
pytestmark = pytest.mark.engine

# 100000 takes a minute or two; fewer leave the import as many chances to go wrong, but less between them.
ROWS = int(os.environ.get("PUSHREG_TEST_ROWS", "20000"))
ROWS_OF_ALL = 3600
KILLS = 5
PLACE_IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(40)]


@pytest.fixture
def stored(endpoint: str) -> Iterator[Stored]:
    """A registry with the demo's directory, which goes with the test."""
    stored = Stored.create(connect_endpoint(endpoint))
    yield stored
    for name in stored.client.list_tables()["TableNames"]:
        stored.client.delete_table(TableName=name)


def rows() -> Iterator[tuple[str, str, str, str]]:
    for number in range(ROWS):
        day = f"{number % 28 + 1:02}"
        yield PLACE_IDS[number % 40], f"token-{number:07}", f"2025-01-{day}T00:00:00Z", f"2026-01-{day}T00:00:00Z"


def count_done(checkpoint: Path) -> int:
    try:
        return int(json.loads(checkpoint.read_text())["rows"])
    except FileNotFoundError:
        return 0


def kill(arguments: list[str], folder: Path, address: str, target: int, delay: float) -> bool:
    """Import, kill it a while after it has said to be so far, and tell whether it was not done before."""
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": address}
    process = subprocess.Popen([PUSHREG, "import", *arguments], cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    # The checkpoint, since to count what is stored would take the database's time.
    checkpoint = folder / f"{arguments[0]}.checkpoint.json"
    try:
        deadline = time.monotonic() + PATIENCE
        while count_done(checkpoint) < target and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
    return process.wait(PATIENCE) == -signal.SIGKILL


def finish(arguments: list[str], folder: Path, address: str, count: int) -> None:
    """Import what is left, and hold the registry to its invariants."""
    final = run_pushreg("import", *arguments, cwd=folder, PUSHREG_ENDPOINT=address)
    assert final.returncode == 0, final.stderr
    report = json.loads(final.stdout)
    assert (report["rows"], report["created"] + report["unchanged"]) == (count, count)
    assert run_pushreg("verify", cwd=folder, PUSHREG_ENDPOINT=address).returncode == 0


def test_import_killed_at_random_points_resumes_to_exact_rows(endpoint: str, stored: Stored, tmp_path: Path) -> None:
    wanted = sorted(rows())
    lines = "".join(f"{','.join(row)}\n" for row in rows())
    (tmp_path / "tokens.csv").write_text(f"place_id,device_token,created_at,updated_at\n{lines}")
    # With two workers, so few rows keep a slow wire busy for eight seconds: a checkpoint is written every second.
    arguments = ["tokens.csv", "--from", "places", "--add-missing", "--workers=2", "--json"]
    # The first as it starts, or at its first rows.
    shares = [0.0, *sorted(random.uniform(0, 0.75) for _ in range(KILLS - 1))]
    resumed = 0
    with slow_wire(endpoint) as (wire, address):
        for number, share in enumerate(shares):
            if not kill(arguments, tmp_path, address, int(ROWS * share), random.uniform(0, 0.5 if number else 3)):
                break
            resumed += (tmp_path / "tokens.csv.checkpoint.json").exists()
        assert resumed >= 2
        wire.rate = 0.0
        finish(arguments, tmp_path, address, ROWS)
        exported = run_pushreg("export", "out.jsonl", "--family", "places", cwd=tmp_path, PUSHREG_ENDPOINT=address)
    assert exported.returncode == 0, exported.stderr
    with (tmp_path / "out.jsonl").open() as file:
        kept = [json.loads(line) for line in file]
    names = ("place_id", "device_token", "created_at", "updated_at")
    assert sorted(tuple(row[name] for name in names) for row in kept) == wanted
    # A resumed run gives its rows the end that the first attempt gave them.
    assert len({row["expires_at"] for row in kept}) <= 1 + KILLS - resumed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "tokens.csv"]


def test_import_killed_after_checkpoint_resumes_there(endpoint: str, stored: Stored, tmp_path: Path) -> None:
    wanted = write_rows(tmp_path / "rows.jsonl", ROWS_OF_ALL)
    arguments = ["rows.jsonl", "--workers=1", "--json"]
    checkpoint = tmp_path / "rows.jsonl.checkpoint.json"
    with slow_wire(endpoint) as (wire, address):
        done = 0
        for _ in range(2):
            assert kill(arguments, tmp_path, address, done + 1, 0.0)
            assert done < count_done(checkpoint) < ROWS_OF_ALL
            done = count_done(checkpoint)
            for table in (DEVICES, SUBSCRIBERS, PLACES):
                stored.settled(table)
        wire.rate = 0.0
        finish(arguments, tmp_path, address, ROWS_OF_ALL)
        assert run_pushreg("export", "out.jsonl", cwd=tmp_path, PUSHREG_ENDPOINT=address).returncode == 0
    found = read_lines(tmp_path / "out.jsonl")
    assert (len(found), find_difference(found, wanted)) == (len(wanted), ([], []))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]

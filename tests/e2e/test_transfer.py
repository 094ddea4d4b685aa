"""`pushreg import` and `pushreg export` as an operator runs them, and kills them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pushreg_ops.aws import AdminClient, connect_endpoint
from pushreg_ops.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.tables import create_missing
from tests.contract.in_process import read_template
from tests.e2e.conftest import PATIENCE, PUSHREG, clean_environ, run_pushreg
from tests.integration.conftest import endpoint
from tests.support.calls import APP, subscription
from tests.support.stored import DEVICES, PLACES, SUBSCRIBERS, Stored

__all__ = ["endpoint"]
pytestmark = pytest.mark.engine

ROWS = 1200
MOMENT = "2026-01-02T03:04:05Z"
TIMES = {"created_at": "2025-01-02T03:04:05Z", "updated_at": MOMENT}


@pytest.fixture(scope="module")
def stored(endpoint: str) -> Stored:
    """A registry with the demo's directory."""
    return Stored.create(connect_endpoint(endpoint))


@pytest.fixture(autouse=True)
def _empty(stored: Stored) -> None:
    # Quicker than item by item.
    for name in (DEVICES, SUBSCRIBERS, PLACES):
        stored.client.delete_table(TableName=name)
    create_missing(stored.client, read_template().tables)


def rows(count: int) -> Iterator[dict[str, Any]]:
    """As many registrations, of all families by turns."""
    for number in range(count):
        match number % 3:
            case 0:
                data = {**subscription(f"m{number}"), "app_name": APP}
                device = {"account_id": ACCOUNT_ID, "device_id": f"d{number}", "writes": number % 7 + 1}
                yield {"family": "kazoo", **device, **TIMES, "data": data}
            case 1:
                form = {"appId": "demo-app", "deviceId": f"d{number}", "sid": f"s{number}", "osType": "iphone"}
                ends = {"active": number % 2 == 0, "expires_at": 4_000_000_000}
                yield {"family": "engagement", "ksid": str(10**18 + number), **form, **ends, **TIMES}
            case _:
                row = {"place_id": PLACE_ID, "device_token": f"t{number}", "expires_at": 4_000_000_000}
                yield {"family": "places", **row, **TIMES}


def write_rows(path: Path, count: int) -> list[str]:
    lines = [json.dumps(row, sort_keys=True) for row in rows(count)]
    path.write_text("\n".join(lines) + "\n")
    return sorted(lines)


def read_lines(path: Path) -> list[str]:
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in path.read_text().splitlines())


def count_items(client: AdminClient) -> int:
    found: int = sum(
        client.describe_table(TableName=name)["Table"]["ItemCount"] for name in (DEVICES, SUBSCRIBERS, PLACES)
    )
    return found


def test_killed_again_and_again_an_import_comes_to_exactly_the_rows_of_the_file(
    endpoint: str, stored: Stored, tmp_path: Path
) -> None:
    wanted = write_rows(tmp_path / "rows.jsonl", ROWS)
    command = [str(PUSHREG), "import", "rows.jsonl", "--json"]
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": endpoint}
    resumed = 0
    for share in (0.1, 0.3, 0.5, 0.7):
        # Two items for each row on average.
        target = int(ROWS * 2 * share)
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while count_items(stored.client) < target and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
        if process.wait(PATIENCE) != -signal.SIGKILL:
            break
        resumed += (tmp_path / "rows.jsonl.checkpoint.json").exists()
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        stored.settled(table)
    final = run_pushreg("import", "rows.jsonl", "--json", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert final.returncode == 0, final.stderr
    report = json.loads(final.stdout)
    assert report["rows"] == ROWS
    assert report["created"] + report["unchanged"] == ROWS
    assert resumed > 0
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        stored.settled(table)
    assert run_pushreg("export", "out.jsonl", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint).returncode == 0
    assert read_lines(tmp_path / "out.jsonl") == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_ctrl_c_ends_an_import_in_order_and_says_how_to_go_on(endpoint: str, stored: Stored, tmp_path: Path) -> None:
    # Seconds of work, so that the signal comes long before the end.
    wanted = write_rows(tmp_path / "rows.jsonl", 4000)
    process = subprocess.Popen(
        [PUSHREG, "import", "rows.jsonl", "--workers=1"],
        cwd=tmp_path,
        env={**clean_environ(), "PUSHREG_ENDPOINT": endpoint},
        stderr=subprocess.PIPE,
        text=True,
        # What a shell runs in the background ignores SIGINT, and hands that down.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not stored.client.scan(TableName=PLACES, Limit=1)["Items"] and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, problem = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the same command goes on there" in problem
    assert run_pushreg("import", "rows.jsonl", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint).returncode == 0
    exported = run_pushreg("export", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert sorted(json.dumps(json.loads(line), sort_keys=True) for line in exported.stdout.splitlines()) == wanted


def test_rows_that_are_refused_show_in_the_exit_code_and_the_reject_file(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "tokens.csv").write_text(f"place_id,device_token\n{PLACE_ID},t1\nnowhere,t2\n")
    ran = run_pushreg("import", "tokens.csv", "--from", "places", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert ran.returncode == 1
    assert ran.stdout == "2 rows: 1 created, 1 refused\n"
    assert "1 row not taken: the reasons are in tokens.csv.rejected.jsonl" in ran.stderr
    (line,) = (tmp_path / "tokens.csv.rejected.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "reason": "place_id: not a UUID",
        "row": 2,
        "record": {"place_id": "nowhere", "device_token": "t2"},
    }


@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (["import"], 2, "Missing argument"),
        (["import", "missing.jsonl"], 1, "missing.jsonl cannot be read: No such file"),
        (["import", "https://example.com/api/v1/subscribers"], 2, "--from engagement"),
        (["import", "x.csv", "--from", "fax"], 2, "--from"),
        (["import", "x.csv", "--time-zone", "EST"], 2, "EST=-05:00"),
        (["import", "x.csv", "--header", "secret"], 2, "NAME: VALUE"),
        (["import", "x.csv", "--header", "@missing"], 2, "missing cannot be read"),
        (["export", "--json"], 2, "name a FILE"),
        (["export", "nowhere/out.jsonl"], 1, "cannot be written"),
    ],
)
def test_a_command_that_cannot_be_names_the_reason(
    endpoint: str, tmp_path: Path, arguments: list[str], code: int, wanted: str
) -> None:
    ran = run_pushreg(*arguments, cwd=tmp_path, PUSHREG_ENDPOINT=endpoint, COLUMNS="200")
    assert (ran.returncode, ran.stdout) == (code, "")
    assert wanted in ran.stderr
    assert "secret" not in ran.stderr
    assert not list(tmp_path.iterdir())

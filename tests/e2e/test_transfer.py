"""`pushreg import` and `pushreg export` as child processes, interrupted and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.client import connect_endpoint
from pushreg_local.demo import PLACE_ID
from pushreg_local.tables import create_missing
from tests.e2e.exports import find_difference, read_lines, slow_wire, write_rows
from tests.support.engine import endpoint
from tests.support.gateway import read_template
from tests.support.stack import PATIENCE, PUSHREG, clean_environ, run_pushreg
from tests.support.stored import Stored

__all__ = ["endpoint"]
pytestmark = pytest.mark.engine


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


def test_import_interrupted_by_ctrl_c_resumes(endpoint: str, stored: Stored, tmp_path: Path) -> None:
    wanted = write_rows(tmp_path / "rows.jsonl", 1200)
    with slow_wire(endpoint) as (wire, address):
        process = subprocess.Popen(
            [PUSHREG, "import", "rows.jsonl", "--workers=1"],
            cwd=tmp_path,
            env={**clean_environ(), "PUSHREG_ENDPOINT": address},
            stderr=subprocess.PIPE,
            text=True,
            # What a shell runs in the background ignores SIGINT, and passes that down.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        while not stored.client.scan(TableName=PLACES, Limit=1)["Items"] and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, problem = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert "run the same command again to resume" in problem
        wire.rate = 0.0
        assert run_pushreg("import", "rows.jsonl", cwd=tmp_path, PUSHREG_ENDPOINT=address).returncode == 0
    assert run_pushreg("export", "out.jsonl", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint).returncode == 0
    found = read_lines(tmp_path / "out.jsonl")
    assert (len(found), find_difference(found, wanted)) == (len(wanted), ([], []))


def test_import_with_rejected_rows_exits_1_and_writes_reject_file(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "tokens.csv").write_text(f"place_id,device_token\n{PLACE_ID},t1\nnowhere,t2\n")
    ran = run_pushreg("import", "tokens.csv", "--from", "places", cwd=tmp_path, PUSHREG_ENDPOINT=endpoint)
    assert ran.returncode == 1
    assert ran.stdout == "2 rows: 1 created, 1 refused\n"
    assert "1 row rejected: the reasons are in tokens.csv.rejected.jsonl" in ran.stderr
    (line,) = (tmp_path / "tokens.csv.rejected.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "reason": "place_id: not a UUID",
        "row": 2,
        "line": 3,
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
        (["import", "x.csv", "--header", "Name: secret\nNext: line"], 2, "NAME: VALUE"),
        (["import", "x.csv", "--header", "Na me: secret"], 2, "NAME: VALUE"),
        (["import", "x.csv", "--header", "Name: secret☃"], 2, "NAME: VALUE"),
        (["import", "x.csv", "--header", "@missing"], 2, "missing cannot be read"),
        (["export", "--json"], 2, "name a FILE"),
        (["export", "nowhere/out.jsonl"], 1, "cannot be written"),
    ],
)
def test_import_and_export_wrong_usage_names_reason(
    endpoint: str, tmp_path: Path, arguments: list[str], code: int, wanted: str
) -> None:
    ran = run_pushreg(*arguments, cwd=tmp_path, PUSHREG_ENDPOINT=endpoint, COLUMNS="200")
    assert (ran.returncode, ran.stdout) == (code, "")
    assert wanted in ran.stderr
    assert "secret" not in ran.stderr
    assert not list(tmp_path.iterdir())

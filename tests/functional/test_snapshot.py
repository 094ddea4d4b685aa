"""SnapStart restores one initialized process many times: nothing unique may be part of the snapshot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("snapshot_probe.py")


@pytest.fixture(scope="module")
def printed() -> list[dict[str, object]]:
    """What the probe saw while it was initialised, and what each of its two copies made."""
    path = os.pathsep.join(each for each in sys.path if each)
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, str(PROBE)], env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_snapshot_initialization_opens_no_connection(printed: list[dict[str, object]]) -> None:
    assert printed[0] == {"opened": []}


@pytest.mark.parametrize("name", ["ksid", "request_id", "tokens"])
def test_snapshot_restored_copies_share_no_identifier(name: str, printed: list[dict[str, object]]) -> None:
    first, second = printed[1][name], printed[2][name]
    assert first
    assert first != second
    assert not set(first if isinstance(first, list) else [first]) & set(
        second if isinstance(second, list) else [second]
    )


def test_snapshot_restored_copies_continue_from_snapshot(printed: list[dict[str, object]]) -> None:
    assert [each["lines"] for each in printed[1:]] == [2, 2]

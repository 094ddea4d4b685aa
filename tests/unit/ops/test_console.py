import json
from typing import Any

import pytest

from pushreg_local.errors import OperatorError
from pushreg_local.log import format_request
from pushreg_ops.terminal import Terminal, complain

RECORDS: list[dict[str, Any]] = [{"id": "a", "n": 1, "many": ["x", "y"]}, {"id": "[b]", "many": []}]


def test_terminal_list_to_pipe_prints_tab_separated_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().list(["id", "n", "many"], RECORDS)
    assert capsys.readouterr().out == "a\t1\tx, y\n[b]\t-\t\n"


def test_terminal_json_prints_only_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    terminal.say("for people")
    terminal.list(["id"], RECORDS)
    assert json.loads(capsys.readouterr().out) == RECORDS


def test_terminal_json_notes_nothing_and_complains_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    terminal.note("for people")
    terminal.complain("3 rows rejected")
    printed = capsys.readouterr()
    assert (printed.out, json.loads(printed.err)) == ("", {"error": "3 rows rejected"})


def test_terminal_json_asks_nothing_and_names_option() -> None:
    with pytest.raises(OperatorError, match="add --scan"):
        Terminal(as_json=True).confirm("Scan?", "--scan")


def test_terminal_long_line_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("curl " + "x" * 500)
    assert capsys.readouterr().out.count("\n") == 1


def test_terminal_complaint_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no [such] thing")
    assert capsys.readouterr() == ("", "pushreg: no [such] thing\n")


def test_format_request_success_is_one_line() -> None:
    line = json.dumps(
        {
            "service": "places",
            "operation": "put",
            "status": 200,
            "outcome": "created",
            "Latency": 4.26,
            "calls": 2,
        }
    )
    assert format_request(line) == "places put 200 created  4.3 ms, database calls: 2"


def test_format_request_fault_shows_error_and_frames() -> None:
    record = {
        "service": "kazoo",
        "operation": "get",
        "status": 503,
        "outcome": "fault",
        "Latency": 1,
        "calls": 1,
        "error": "StoreError",
        "store_code": "ThrottlingException",
    }
    lines = format_request(json.dumps(record)).splitlines()
    assert lines[1:] == ["  StoreError ThrottlingException"]
    record = {"level": "ERROR", "error": "KeyError", "frames": ["a.py:1 f", "b.py:2 g"]}
    assert format_request(json.dumps(record)).splitlines() == ["  KeyError", "  a.py:1 f", "  b.py:2 g"]


def test_format_request_non_json_is_unchanged() -> None:
    assert format_request("plain") == "plain"

"""How results, notes and problems are printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushreg_local.errors import OperatorError
from pushreg_ops.terminal import Terminal, complain

RECORDS: list[dict[str, Any]] = [{"id": "a", "n": 1, "many": ["x", "y"]}, {"id": "[b]", "many": []}]


def test_terminal_list_to_pipe_prints_tab_separated_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().list(["id", "n", "many"], RECORDS)
    assert capsys.readouterr().out == "a\t1\tx, y\n[b]\t-\t\n"


def test_terminal_list_as_json_prints_only_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    terminal.say("for people")
    terminal.list(["id"], RECORDS)
    assert json.loads(capsys.readouterr().out) == RECORDS


def test_terminal_as_json_notes_nothing_and_complains_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    terminal.note("for people")
    terminal.complain("3 rows rejected")
    printed = capsys.readouterr()
    assert (printed.out, json.loads(printed.err)) == ("", {"error": "3 rows rejected"})


def test_terminal_as_json_asks_nothing_and_names_option() -> None:
    with pytest.raises(OperatorError, match="add --scan"):
        Terminal(as_json=True).confirm("Scan?", "--scan")


def test_terminal_long_line_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("curl " + "x" * 500)
    assert capsys.readouterr().out.count("\n") == 1


def test_terminal_complaint_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no [such] thing")
    assert capsys.readouterr() == ("", "pushreg: no [such] thing\n")

"""How results, notes and problems are printed."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from pushreg_local.errors import OperatorError
from pushreg_ops.terminal import Terminal, complain, quote

RECORDS: list[dict[str, Any]] = [{"id": "a", "n": 1, "many": ["x", "y"]}, {"id": "[b]", "many": []}]


def test_terminal_list_to_pipe_prints_tab_separated_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().list(["id", "n", "many"], RECORDS)
    assert capsys.readouterr().out == "a\t1\tx, y\n[b]\t-\t-\n"


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give the terminal a width."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return lambda number: monkeypatch.setenv("COLUMNS", str(number))


def test_terminal_list_that_fits_is_table(columns: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    columns(14)
    Terminal().list(["id", "n", "many"], RECORDS)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert [line.rstrip() for line in plain.splitlines()] == [
        "id   n  many",
        "a    1  x, y",
        "[b]  -  -",
    ]


@pytest.mark.parametrize("width", [13, 5, 1])
def test_terminal_list_that_is_too_wide_is_stacked_without_breaks(
    columns: Callable[[int], None], capsys: pytest.CaptureFixture[str], width: int
) -> None:
    columns(width)
    Terminal().list(["id", "name"], [{"id": "0123456789abcdef", "name": "日本"}, {"id": "fedcba9876543210"}])
    assert capsys.readouterr().out == "id    0123456789abcdef\nname  日本\n\nid    fedcba9876543210\nname  -\n"


def test_terminal_empty_list_prints_names_of_columns(
    columns: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    columns(80)
    Terminal().list(["id", "name"], [])
    assert re.findall(r"\b(?:id|name)\b", re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)) == ["id", "name"]


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


def test_terminal_control_characters_are_printed_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2J\x07\x9b31m\u202eb\u2028\U000e0001"
    escaped = r"a\x1b[2J\x07\u009b31m\u202eb\u2028\U000e0001"
    terminal = Terminal()
    terminal.say(f"1 {hostile}\n2")
    terminal.show({}, hostile)
    terminal.list(["id", "names"], [{"id": f"{hostile}\t\n", "names": [hostile]}])
    terminal.note(hostile)
    terminal.complain(hostile)
    printed = capsys.readouterr()
    assert printed.out == f"1 {escaped}\n2\n{escaped}\n{escaped}" + r"\x09\x0a" + f"\t{escaped}\n"
    assert printed.err == f"{escaped}\npushreg: {escaped}\n"


@pytest.mark.parametrize(
    "text",
    ["plain", "it's", "\x03rm -rf ~\n", "\x1b[201~\nid\n", "a'b\\c\t", "me\u202e\u00a0é\U000e0001", "\\n", "$(id)"],
)
def test_quote_in_bash_is_the_text_without_control_characters(text: str) -> None:
    quoted = quote(text)
    assert quoted.isprintable()
    command = ["bash", "-c", f"printf %s {quoted}"]
    assert subprocess.run(command, capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True).stdout == text.encode()


def test_terminal_end_of_input_at_question_names_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(OperatorError, match="add --yes"):
        Terminal().confirm("Remove?")
    assert capsys.readouterr().err == "Remove? [y/N]: \n"

"""Output: tables and colour on a terminal, plain lines in a pipe, JSON with --json."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pushreg_local.errors import OperatorError


class Terminal:
    """Writes results to standard output."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        # Soft wrap, so that commands can be copied as one line.
        self._out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def say(self, text: str, style: str = "") -> None:
        """Print a line, unless the output is JSON."""
        if not self._as_json:
            self._out.print(Text(_escape_lines(text), style=style))

    def show(self, record: Mapping[str, Any], text: str) -> None:
        """Print one result: the record as JSON, or the text."""
        if self._as_json:
            typer.echo(json.dumps(record))
        else:
            self._out.print(Text(_escape_lines(text)))

    def complain(self, problem: str) -> None:
        """Print the problem to standard error; see the function of the same name."""
        complain(problem, as_json=self._as_json)

    def note(self, text: str) -> None:
        """Print the text to standard error, where it cannot be mixed into results, unless the output is JSON."""
        if not self._as_json:
            console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
            console.print(_escape_lines(text))

    def confirm(self, question: str, option: str = "--yes") -> None:
        """Ask on standard error and raise typer.Exit(1) unless the answer is yes.

        OperatorError names the option that makes the question unnecessary if the output is JSON or nobody answers.
        """
        if self._as_json:
            raise OperatorError(f"{question} With --json nothing is asked: add {option}")
        typer.echo(f"{_escape_lines(question)} [y/N]: ", nl=False, err=True)
        # Not typer.confirm(), which makes Ctrl-C and the end of the input alike.
        answer = sys.stdin.readline()
        if not answer:
            typer.echo(err=True)
            raise OperatorError(f"nobody answered the question: add {option}")
        if answer.strip().lower() not in ("y", "yes"):
            raise typer.Exit(1)

    def list(self, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
        """Print results: as a JSON array, on a terminal as a table, or as tab-separated lines.

        In place of a table that is wider than the terminal each record is printed as lines: an id in two parts cannot
        be copied.
        """
        if self._as_json:
            typer.echo(json.dumps(list(records)))
            return
        rows = [[_cell(record.get(column)) for column in columns] for record in records]
        if not self._out.is_terminal:
            for row in rows:
                typer.echo("\t".join(row))
            return
        widths = (max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True))
        if sum(widths) + 2 * (len(columns) - 1) <= self._out.width:
            table = Table(*columns, box=None, pad_edge=False)
            for row in rows:
                table.add_row(*map(Text, row))
            self._out.print(table)
        else:
            self._out.print(Text("\n\n".join("\n".join(align(zip(columns, row, strict=True))) for row in rows)))


def align(values: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each label and value, the values below one another."""
    pairs = list(values)
    width = max(len(label) for label, _ in pairs)
    for label, value in pairs:
        yield f"{label:{width}}  {value}"


def count(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural unless the number is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def escape(text: str) -> str:
    """Return the text with escapes such as `\\x1b` in place of what a terminal would act on or not show.

    Stored ids come from strangers: control characters in them could rewrite what the operator sees.
    """
    return "".join(each if each.isprintable() else _to_escape(ord(each)) for each in text)


def quote(text: str) -> str:
    """Return the text as one word of a command line that can be pasted into a shell.

    To a shell a pasted control character is a key, even between quotes, so it is escaped as bash and zsh read it.
    """
    if text.isprintable():
        return shlex.quote(text)
    text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{escape(text)}'"


def complain(problem: str, *, as_json: bool = False) -> None:
    """Print the problem to standard error, as text or as a JSON object with the member `error`."""
    if as_json:
        typer.echo(json.dumps({"error": problem}), err=True)
        return
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(Text.assemble(("pushreg: ", "bold red"), _escape_lines(problem)))


def _cell(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape, text.split("\n")))


def _to_escape(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

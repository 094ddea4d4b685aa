"""What a person reads: tables and colour on a terminal, plain lines into a pipe; JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Terminal:
    """Writes to standard output, problems to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        # Soft wrap: a line that is to be pasted stays one line.
        self._out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def say(self, text: str, style: str = "") -> None:
        """Print a line for people; machines get none."""
        if not self._as_json:
            self._out.print(Text(text, style=style))

    def show(self, record: Mapping[str, Any], text: str) -> None:
        """Print one result: the record for machines, the text for people."""
        if self._as_json:
            typer.echo(json.dumps(record))
        else:
            self._out.print(Text(text))

    def list(self, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
        """Print results: a JSON array for machines, a table on a terminal, tab-separated lines elsewhere."""
        rows = list(records)
        if self._as_json:
            typer.echo(json.dumps(rows))
        elif self._out.is_terminal:
            table = Table(*columns, box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(Text(_cell(row.get(column))) for column in columns))
            self._out.print(table)
        else:
            for row in rows:
                typer.echo("\t".join(_cell(row.get(column)) for column in columns))


def count(number: int, noun: str) -> str:
    """Return the number with the noun, which takes an s for more than one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def complain(problem: str) -> None:
    """Print why the command is refused, to standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(Text.assemble(("pushreg: ", "bold red"), problem))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

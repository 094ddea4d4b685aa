"""`pushreg export`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from pushreg.clock import now
from pushreg.codecs import json as codec
from pushreg_local.errors import OperatorError
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.migrate.exporting import TABLE_OF_FAMILY, Exporter
from pushreg_ops.migrate.files import write_file
from pushreg_ops.progress import meter
from pushreg_ops.records.scanning import estimate
from pushreg_ops.terminal import Terminal, complain


class Family(StrEnum):
    """What a registration is of."""

    KAZOO = "kazoo"
    ENGAGEMENT = "engagement"
    PLACES = "places"


def run(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; without it, to standard output.")
    ] = None,
    family: Annotated[list[Family] | None, typer.Option(help="Only these; may be given more than once.")] = None,
    directory: Annotated[
        bool, typer.Option("--directory", help="Also what exists: accounts, applications and places.")
    ] = False,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Also who may call, as digests; an import brings revoked keys back to life."),
    ] = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Write registrations as JSON Lines, which `pushreg import` reads.

    They hold push tokens: keep them as you keep secrets.

    \b
    Examples:
      pushreg export all.jsonl --directory --stack prod
      pushreg export --family places --local | gzip > tokens.jsonl.gz
    """
    wanted = [str(each) for each in family or list(Family)]
    if directory or keys:
        wanted.append("directory")
    if json and path is None:
        raise typer.BadParameter("the report would mix with the lines: name a FILE", param_hint="--json")
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        total = sum(estimate(registry.client, registry.tables[TABLE_OF_FAMILY[each]]) for each in wanted)
        with meter("Exporting", total) as bar:
            exporter = Exporter(registry, int(now().timestamp()), bar.advance, with_keys=keys)

            def write(file: IO[bytes]) -> None:
                for line in exporter.read(wanted):
                    file.write(codec.encode(line) + b"\n")

            if path is None:
                write(sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                try:
                    write_file(path, write)
                except OSError as error:
                    raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
    counts = {name: exporter.counts[name] for name in (*wanted, "expired", "unreadable")}
    if path is not None:
        said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing there"
        terminal.show(counts, f"{path}: {said}")
    if counts["unreadable"]:
        complain(f"{counts['unreadable']:,} items cannot be read and were left out: run `pushreg verify`")
        raise typer.Exit(1)

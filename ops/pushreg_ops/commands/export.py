"""`pushreg export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pushreg.clock import now
from pushreg.codecs import json as codec
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.migrate.exporting import TABLE_OF_FAMILY, Exporter
from pushreg_ops.migrate.streams import STANDARD, open_output
from pushreg_ops.progress import meter
from pushreg_ops.records.scanning import estimate
from pushreg_ops.terminal import Terminal


class FamilyOption(StrEnum):
    """The families whose registrations can be exported."""

    KAZOO = "kazoo"
    ENGAGEMENT = "engagement"
    PLACES = "places"


def run(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The file to write, compressed if it ends with .gz; - is standard output, the default."
        ),
    ] = None,
    family: Annotated[list[FamilyOption] | None, typer.Option(help="Export this family only; may be repeated.")] = None,
    directory: Annotated[
        bool, typer.Option("--directory", help="Also export accounts, applications and places.")
    ] = False,
    keys: Annotated[
        bool,
        typer.Option(
            "--keys",
            help="Also export API keys, as digests. Importing them restores keys that were revoked in the meantime.",
        ),
    ] = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Export registrations as JSON Lines, for `pushreg import`.

    The output contains push tokens: store it like a secret.

    \b
    Examples:
      pushreg export all.jsonl --directory --stack pushreg
      pushreg export --family places --local | zstd > tokens.jsonl.zst
    """
    wanted = [str(each) for each in family or list(FamilyOption)]
    if directory or keys:
        wanted.append("directory")
    target = path or STANDARD
    if json and target == STANDARD:
        raise typer.BadParameter("the report would be mixed into the exported lines: name a FILE", param_hint="--json")
    terminal = Terminal(as_json=json)
    # The file first: what cannot be written is refused before the registry is read.
    with open_output(target) as file, reach(stack, local) as registry:
        total = sum(estimate(registry.client, registry.tables[TABLE_OF_FAMILY[each]]) for each in wanted)
        with meter("Exporting", total) as bar:
            exporter = Exporter(registry, int(now().timestamp()), bar.advance, with_keys=keys)
            for line in exporter.read(wanted):
                file.write(codec.encode(line) + b"\n")
    counts = {name: exporter.counts[name] for name in (*wanted, "expired", "unreadable")}
    summary = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing to export"
    if target == STANDARD:
        terminal.note(f"exported: {summary}")
    else:
        terminal.show(counts, f"{target}: {summary}")
    if counts["unreadable"]:
        terminal.complain(f"{counts['unreadable']:,} items are unreadable and were skipped: run `pushreg verify`")
        raise typer.Exit(1)

"""`pushreg import`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pushreg_ops.commands.options import Json, Local, Stack, parse_account_id, reach
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.migrate.formats.kazoo import KazooConverter
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.migrate.formats.rows import Converter, ImportRun
from pushreg_ops.migrate.job import ImportJob
from pushreg_ops.migrate.listing import ListingSource
from pushreg_ops.migrate.sources import FileSource, Source
from pushreg_ops.progress import meter
from pushreg_ops.terminal import Terminal, complain, count

_ZONE = re.compile(r"([A-Za-z]{1,8})=([+-][0-9]{2}:?[0-9]{2})", re.ASCII)


class Format(StrEnum):
    """What the source is."""

    PUSHREG = "pushreg"
    KAZOO = "kazoo"
    ENGAGEMENT = "engagement"
    PLACES = "places"


# The member of a JSON document that holds the rows.
MEMBERS = {Format.KAZOO: "rows", Format.ENGAGEMENT: "subscribers"}


def run(
    sources: Annotated[list[str], typer.Argument(metavar="FILE|URL", help="Files, or the address of a listing.")],
    format: Annotated[  # noqa: A002 The option's name.
        Format,
        typer.Option(
            "--from",
            help="pushreg: JSON Lines of `pushreg export`. kazoo: a CouchDB dump (_all_docs?include_docs=true) of an"
            " account. engagement: pages of GET /api/v1/subscribers. places: CSV or JSON Lines of place_id and"
            " device_token.",
        ),
    ] = Format.PUSHREG,
    stack: Stack = None,
    local: Local = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; report what would be done, row by row as things stand.")
    ] = False,
    add_missing: Annotated[
        bool, typer.Option("--add-missing", help="Add accounts, applications and places that the registry lacks.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever an earlier attempt did.")] = False,
    account: Annotated[
        str | None,
        typer.Option(parser=parse_account_id, metavar="ID", help="For device documents that name no account."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'|@FILE", help="Sent when a listing is fetched; @FILE keeps secrets off the screen."
        ),
    ] = None,
    page_size: Annotated[int, typer.Option(min=1, max=10_000, help="Subscribers to fetch at once.")] = 500,
    time_zone: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=+HH:MM", help="What an abbreviation in createdDateStr means."),
    ] = None,
    stale_after_days: Annotated[
        int | None,
        typer.Option(min=0, max=3650, help="Days that rows without an end of their own live; 0 is for ever."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Transactions under way at once.")] = 4,
    state: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="What the names of its files begin with; by default the source."),
    ] = None,
    json: Json = False,
) -> None:
    """Bring in registrations of another server, or of another Pushreg.

    The registry may be in use. What was refreshed last wins: a row never replaces a newer registration, it goes to
    FILE.rejected.jsonl with the reason. Stopped or killed, the same command goes on where it was. Exit code 1: not
    every row was taken.

    \b
    Examples:
      pushreg import tokens.csv --from places --local --dry-run
      pushreg import devices.json --from kazoo --add-missing --stack prod
      pushreg import https://old.example.com/api/v1/subscribers \\
        --from engagement --header @login.txt --stack prod
      pushreg import all.jsonl --stack prod
    """
    terminal = Terminal(as_json=json)
    zones = dict(_parse_zone(each) for each in time_zone or [])
    headers = dict(_parse_header(line) for each in header or [] for line in _read_lines(each))
    source = _open(sources, format, headers, page_size)
    converters: dict[Format, Callable[[ImportRun], Converter]] = {
        Format.PUSHREG: PushregConverter,
        Format.KAZOO: lambda each: KazooConverter(each, account),
        Format.ENGAGEMENT: lambda each: EngagementConverter(each, zones),
        Format.PLACES: PlacesConverter,
    }
    with reach(stack, local) as registry:
        job = ImportJob(
            registry,
            source,
            converters[format],
            {"from": format, "account": account, "zones": zones},
            state or _default_state(sources),
            registry.stale_after_days if stale_after_days is None else stale_after_days,
            add_missing,
            dry_run,
            workers,
        )
        checkpoint = job.open_checkpoint(restart=restart)
        if checkpoint.rows:
            terminal.say(f"Going on after row {checkpoint.rows:,}.")
        with meter("Looking" if dry_run else "Importing", source.size) as bar:
            counts = job.run(checkpoint, bar.move)
    _report(terminal, job, counts, checkpoint.rows)


def _report(terminal: Terminal, job: ImportJob, counts: Mapping[str, int], rows: int) -> None:
    words = ("created", "updated", "unchanged", "skipped", "refused", "displaced")
    record: dict[str, Any] = {"rows": rows, "dry_run": job.dry_run} | {word: counts.get(word, 0) for word in words}
    said = ", ".join(f"{record[word]:,} {word}" for word in words if record[word])
    terminal.show(record, f"{count(rows, 'row')}{' looked at, nothing written' if job.dry_run else ''}: {said}")
    if record["refused"]:
        complain(f"{count(record['refused'], 'row')} not taken: the reasons are in {job.rejects_path}")
    if record["displaced"]:
        verb = "to be removed" if job.dry_run else f"removed: kept in {job.displaced_path}"
        complain(f"{count(record['displaced'], 'older registration')} of the same devices {verb}")
    if record["refused"] or record["displaced"]:
        raise typer.Exit(1)


def _open(sources: list[str], format: Format, headers: Mapping[str, str], page_size: int) -> Source:  # noqa: A002
    addresses = [each for each in sources if each.startswith(("http://", "https://"))]
    if not addresses:
        return FileSource([Path(each) for each in sources], MEMBERS.get(format))
    if len(sources) > 1 or format is not Format.ENGAGEMENT:
        raise typer.BadParameter("only one address, and only --from engagement, can be fetched")
    return ListingSource(addresses[0], headers, page_size)


def _default_state(sources: list[str]) -> Path:
    host = urlsplit(sources[0]).hostname if "://" in sources[0] else None
    return Path(f"subscribers-{host}" if host else sources[0])


def _parse_zone(text: str) -> tuple[str, str]:
    match = _ZONE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not like EST=-05:00", param_hint="--time-zone")
    return match[1].upper(), match[2]


def _read_lines(header: str) -> list[str]:
    if not header.startswith("@"):
        return [header]
    try:
        return [line for line in Path(header[1:]).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{header[1:]} cannot be read", param_hint="--header") from error


def _parse_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not (name.strip() and colon and value.strip()):
        # The line may be a secret, so it is not repeated.
        raise typer.BadParameter("a header is NAME: VALUE", param_hint="--header")
    return name.strip(), value.strip()

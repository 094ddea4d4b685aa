"""`pushreg import`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pushreg_local.client import split_address
from pushreg_ops.commands.options import Json, Local, Stack, parse_account_id, reach
from pushreg_ops.migrate.files import Checkpoint
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.migrate.formats.kazoo import KazooConverter
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.migrate.formats.rows import Converter, ImportRun
from pushreg_ops.migrate.job import ImportJob
from pushreg_ops.migrate.listing import ListingSource
from pushreg_ops.migrate.sources import FileSource, Source, recognize
from pushreg_ops.migrate.streams import find_descriptor
from pushreg_ops.progress import meter
from pushreg_ops.registry import STALE_PARAMETERS
from pushreg_ops.terminal import Terminal, count

_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[ -~]+")
_ZONE = re.compile(r"([A-Za-z]{1,8})=([+-][0-9]{2}:?[0-9]{2})", re.ASCII)


class Format(StrEnum):
    """Source formats."""

    PUSHREG = "pushreg"
    KAZOO = "kazoo"
    ENGAGEMENT = "engagement"
    PLACES = "places"


# The array of a JSON document that holds the rows, by format.
MEMBERS = {Format.KAZOO: "rows", Format.ENGAGEMENT: "subscribers"}


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|URL",
            help="Files, compressed with gzip or not; pipes; - for standard input; or the URL of a subscriber listing.",
        ),
    ],
    format: Annotated[  # noqa: A002 The option's name.
        Format,
        typer.Option(
            "--from",
            help="pushreg: JSON Lines written by `pushreg export`. kazoo: a CouchDB dump of an account"
            " (_all_docs?include_docs=true). engagement: pages of GET /api/v1/subscribers. places: CSV or JSON Lines"
            " with place_id and device_token.",
        ),
    ] = Format.PUSHREG,
    stack: Stack = None,
    local: Local = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; report what each row would do now.")
    ] = False,
    add_missing: Annotated[
        bool, typer.Option("--add-missing", help="Add missing accounts, applications and places.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Ignore the checkpoint of an earlier attempt.")] = False,
    account: Annotated[
        str | None,
        typer.Option(parser=parse_account_id, metavar="ID", help="The account of device documents that name none."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'|@FILE",
            help="A request header for fetching a listing; @FILE keeps secrets off the command line.",
        ),
    ] = None,
    page_size: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="NUMBER", help="Subscribers per page of a listing.")
    ] = 500,
    time_zone: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=+HH:MM", help="The offset of a time zone abbreviation in createdDateStr."),
    ] = None,
    stale_after_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=3650,
            metavar="DAYS",
            help="Days after its last refresh at which a row expires; 0 for never. Default: the stack's parameters.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, metavar="NUMBER", help="Concurrent transactions.")] = 4,
    state: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of the checkpoint and report files; by default the current one."),
    ] = Path(),
    json: Json = False,
) -> None:
    """Import registrations from another server or another Pushreg.

    The registry may be in use. The most recently refreshed registration wins: a row never replaces a newer one but
    goes to FILE.rejected.jsonl with the reason. If interrupted, run the same command again to resume. Exit code 1:
    some rows were rejected, or older registrations were removed.

    \b
    Examples:
      pushreg import tokens.csv --from places --local --dry-run
      pushreg import devices.json --from kazoo --add-missing --stack pushreg
      pushreg import https://old.example.com/api/v1/subscribers \\
        --from engagement --header @login.txt --stack pushreg
      pushreg import all.jsonl --stack pushreg
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
    state.mkdir(parents=True, exist_ok=True)
    with reach(stack, local) as registry:
        job = ImportJob(
            registry,
            source,
            converters[format],
            {"from": format, "account": account, "zones": zones},
            state / _name_state(sources),
            registry.stale_after_days
            if stale_after_days is None
            else dict.fromkeys(STALE_PARAMETERS, stale_after_days),
            add_missing,
            dry_run,
            workers,
        )
        checkpoint = job.open_checkpoint(restart=restart)
        if checkpoint.rows:
            terminal.say(f"Resuming after row {checkpoint.rows:,}.")
        with meter("Checking" if dry_run else "Importing", source.size) as bar:
            counts = job.run(checkpoint, bar.move)
    _report(terminal, job, counts, checkpoint)


# Reasons to print.
MAX_REASONS = 10
_UNKNOWN = ("unknown account", "unknown application", "unknown place")


def _report(terminal: Terminal, job: ImportJob, counts: Mapping[str, int], checkpoint: Checkpoint) -> None:
    rows = checkpoint.rows
    words = ("created", "updated", "unchanged", "skipped", "refused", "displaced")
    record: dict[str, Any] = {"rows": rows, "dry_run": job.dry_run} | {word: counts.get(word, 0) for word in words}
    summary = ", ".join(f"{record[word]:,} {word}" for word in words if record[word])
    record["reasons"] = checkpoint.reasons
    terminal.show(record, f"{count(rows, 'row')}{' checked, nothing written' if job.dry_run else ''}: {summary}")
    if record["refused"]:
        terminal.complain(f"{count(record['refused'], 'row')} rejected: the reasons are in {job.rejects_path}")
        for reason, number in [*checkpoint.reasons.items()][:MAX_REASONS]:
            hint = ": add them with --add-missing" if reason in _UNKNOWN else ""
            terminal.note(f"  {number:,} {reason}{hint}")
        if len(checkpoint.reasons) > MAX_REASONS:
            terminal.note(f"  and {len(checkpoint.reasons) - MAX_REASONS} other reasons, which --json lists")
    if record["displaced"]:
        verb = "would be removed" if job.dry_run else f"removed: saved in {job.superseded_path}"
        terminal.complain(f"{count(record['displaced'], 'older registration')} of the same devices {verb}")
    if record["refused"] or record["displaced"]:
        raise typer.Exit(1)


def _open(sources: list[str], format: Format, headers: Mapping[str, str], page_size: int) -> Source:  # noqa: A002
    addresses = [each for each in sources if each.startswith(("http://", "https://"))]
    if not addresses:
        source = FileSource([Path(each) for each in sources], MEMBERS.get(format))
        found = recognize(source.head)
        if format is Format.PUSHREG and found is not None:
            raise typer.BadParameter(f"{source.name} was not written by `pushreg export`: add --from {found}")
        return source
    if len(sources) > 1 or format is not Format.ENGAGEMENT:
        raise typer.BadParameter("only one URL, and only with --from engagement, can be fetched")
    return ListingSource(addresses[0], headers, page_size)


def _name_state(sources: list[str]) -> str:
    """Return the first part of the names of the checkpoint and report files."""
    parts = split_address(sources[0])
    if parts is not None:
        return f"subscribers-{parts.hostname}"
    path = Path(sources[0])
    return path.name if find_descriptor(path) is None and path.is_file() else "stdin"


def _parse_zone(text: str) -> tuple[str, str]:
    match = _ZONE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} does not look like EST=-05:00", param_hint="--time-zone")
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
    if not (colon and _HEADER_NAME.fullmatch(name.strip()) and _HEADER_VALUE.fullmatch(value.strip())):
        # The line may hold a secret, so the message does not repeat it.
        raise typer.BadParameter("a header is NAME: VALUE, in printable ASCII", param_hint="--header")
    return name.strip(), value.strip()

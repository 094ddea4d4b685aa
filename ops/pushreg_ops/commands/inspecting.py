"""`pushreg show` and `pushreg stats`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pushreg.clock import now
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.console import Terminal
from pushreg_ops.errors import OperatorError
from pushreg_ops.inspection import MAX_SHOWN, Inspector
from pushreg_ops.progress import meter
from pushreg_ops.scanning import estimate
from pushreg_ops.statistics import Census
from pushreg_ops.targets import DEVICES, PLACES, SUBSCRIBERS

BAR = 40


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DEVICE|KSID|TOKEN|PLACE",
            help="A device's id or a mobile device's, a KSID, a push token or sid, a place, an account; - reads it from"
            " standard input, which keeps a token out of the shell's history.",
        ),
    ],
    deep: Annotated[
        bool, typer.Option("--scan/--no-scan", help="Look through all items for what no key leads to.")
    ] = True,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Show the registrations that something leads to, with their claims and validity, tokens cut.

    Examples:

      pushreg show 4927562634448402412 --stack prod

      pushreg show 1ee68c4e-7008-4227-a92d-e1b13ac64f30 --local
    """
    text = sys.stdin.readline().strip() if what == "-" else what
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        inspector = Inspector(registry, int(now().timestamp()))
        heads = inspector.find(text)
        if not heads and deep:
            tables = (DEVICES, SUBSCRIBERS, PLACES)
            with meter(
                "Looking through all", sum(estimate(registry.client, registry.tables[each]) for each in tables)
            ) as bar:
                heads = list(inspector.search(text, bar.advance))
        records = [inspector.describe(head) for head in heads]
    if not records:
        raise OperatorError("nothing is registered by that" + ("" if deep else ": try without --no-scan"))
    if json:
        terminal.list([], records)
        return
    for index, record in enumerate(records):
        if index:
            terminal.say("")
        _print(terminal, record)
    if len(records) == MAX_SHOWN:
        terminal.say(f"\nThese are the first {MAX_SHOWN}.")


def stats(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Count registrations by family, platform, application and place, and by the age of their last refresh.

    Examples:

      pushreg stats --stack prod

      pushreg stats --local --json | jq .engagement.applications
    """
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        total = sum(estimate(registry.client, registry.tables[table]) for table in (DEVICES, SUBSCRIBERS, PLACES))
        with meter("Counting", total) as bar:
            tallies = Census(registry, int(now().timestamp()), bar.advance).take()
    records = {family: tally.to_record() for family, tally in tallies.items()}
    terminal.show(records, "\n\n".join(_format(family, record) for family, record in records.items()))


def _print(terminal: Terminal, record: Mapping[str, Any]) -> None:
    width = max(map(len, record))
    for name, value in record.items():
        for index, line in enumerate(value if isinstance(value, list) else [value]):
            terminal.say(f"{name if not index else '':{width}}  {'-' if line is None else line}")


def _format(family: str, record: Mapping[str, Any]) -> str:
    owners = {"kazoo": "accounts", "places": "places"}.get(family)
    lines = [f"{family}: {record['registrations']:,} registrations"]
    lines[0] += "".join(f", {record[name]:,} {name}" for name in ("inactive", "expired", "unreadable") if record[name])
    if owners and record["owners"]:
        lines[0] += f", {record['owners']:,} {owners}"
    for title, counts in (("platform", record["platforms"]), ("application", record["applications"])):
        lines += [f"  {title} {name}: {count:,}" for name, count in counts.items()]
    lines += [f"  {(owners or '')[:-1]} {name}: {count:,}" for name, count in record["largest_owners"].items()]
    if record["registrations"]:
        lines.append("  last refresh")
        most = max(record["last_refresh"].values())
        lines += [
            f"    {age:>17} {'█' * round(BAR * count / most):{BAR}} {count:,}"
            for age, count in record["last_refresh"].items()
        ]
    return "\n".join(lines)

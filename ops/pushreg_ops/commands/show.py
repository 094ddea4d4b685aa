"""`pushreg show` and `pushreg stats`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pushreg.clock import now
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.errors import OperatorError
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.progress import meter
from pushreg_ops.records.inspection import MAX_SHOWN, Inspector
from pushreg_ops.records.scanning import estimate
from pushreg_ops.records.statistics import Census
from pushreg_ops.terminal import Terminal, count

# Widths that leave room for counts in 80 columns; a place's id has 36 characters.
BAR = 36
NAME = 53
# Of platforms and applications.
MAX_LINES = 10


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
    """Find registrations by anything you have in hand.

    Shows each with its claims and for how long it counts; of tokens only the ends.

    \b
    Examples:
      pushreg show 4927562634448402412 --stack prod
      pushreg show 1ee68c4e-7008-4227-a92d-e1b13ac64f30 --local
      pushreg show - --local < token.txt
    """
    text = sys.stdin.readline().strip() if what == "-" else what
    if not text:
        raise typer.BadParameter("there is nothing to look for", param_hint="DEVICE|KSID|TOKEN|PLACE")
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
        hint = "give ids and tokens whole; `pushreg stats` tells what there is" if deep else "try without --no-scan"
        raise OperatorError(f"nothing is registered by that: {hint}")
    if json:
        terminal.list([], records)
        return
    for index, record in enumerate(records):
        if index:
            terminal.say("")
        _print(terminal, record)
    if len(records) == MAX_SHOWN:
        terminal.say(f"\nThere may be more than these {MAX_SHOWN}: `pushreg export` writes all.")


def stats(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Count registrations, and tell how fresh they are.

    By family, platform, application, account and place, and by the time since their last refresh.

    \b
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
        for index, line in enumerate(value or [None] if isinstance(value, list) else [value]):
            terminal.say(f"{name if not index else '':{width}}  {_say(line)}")


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _format(family: str, record: Mapping[str, Any]) -> str:
    owner = {"kazoo": "account", "places": "place"}.get(family)
    head = f"{family}: {count(record['registrations'], 'registration')}"
    if owner and record["owners"]:
        head += f" in {count(record['owners'], owner)}"
    head += "".join(f", {record[name]:,} {name}" for name in ("inactive", "expired", "unreadable") if record[name])
    if not record["registrations"]:
        return head
    groups = {
        "platform": _format_counts(record["platforms"]),
        "application": _format_counts(record["applications"]),
        owner or "": _format_counts(record["largest_owners"]),
        "refreshed": _format_histogram(record["last_refresh"]),
    }
    lines = (
        f"  {'' if index else title:11}  {line}" for title, group in groups.items() for index, line in enumerate(group)
    )
    return "\n".join([head, *lines])


def _format_counts(counts: Mapping[str, int]) -> list[str]:
    lines = [f"{name:{NAME}} {number:,}" for name, number in [*counts.items()][:MAX_LINES]]
    return lines + ([f"and {len(counts) - MAX_LINES:,} more, which --json lists"] if len(counts) > MAX_LINES else [])


def _format_histogram(counts: Mapping[str, int]) -> list[str]:
    most = max(counts.values())
    oldest = max(index for index, number in enumerate(counts.values()) if number)
    return [
        f"{age:16} {'█' * math.ceil(BAR * number / most):{BAR}} {number:,}"
        for age, number in [*counts.items()][: oldest + 1]
    ]

"""`pushreg stats`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pushreg.clock import now
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.progress import meter
from pushreg_ops.records.scanning import estimate
from pushreg_ops.records.statistics import Statistics
from pushreg_ops.records.wording import OWNERS, describe_counts
from pushreg_ops.terminal import Terminal, escape

# These widths leave room for the counts in 80 columns; a place's id has 36 characters.
BAR = 36
NAME = 53
# Lines per group.
MAX_LINES = 10


def run(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Count registrations by family, application and age.

    Also by platform and, for the largest ones, by account and place. The age is the time since the last refresh.

    \b
    Examples:
      pushreg stats --stack pushreg
      pushreg stats --local --json | jq .engagement.applications
    """
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        total = sum(estimate(registry.client, registry.tables[table]) for table in (DEVICES, SUBSCRIBERS, PLACES))
        with meter("Counting", total) as bar:
            counts = Statistics(registry, int(now().timestamp()), bar.advance).collect()
    records = {family: counted.to_record() for family, counted in counts.items()}
    terminal.show(records, "\n\n".join(_format(family, record) for family, record in records.items()))


def _format(family: str, record: Mapping[str, Any]) -> str:
    head = f"{family}: {describe_counts(family, record)}"
    if not record["registrations"]:
        return head
    groups = {
        "platform": _format_counts(record["platforms"]),
        "application": _format_counts(record["applications"]),
        OWNERS.get(family, ""): _format_counts(record["largest_owners"]),
        "refreshed": _format_histogram(record["last_refresh"]),
    }
    lines = (
        f"  {'' if index else title:11}  {line}" for title, group in groups.items() for index, line in enumerate(group)
    )
    return "\n".join([head, *lines])


def _format_counts(counts: Mapping[str, int]) -> list[str]:
    lines = [f"{escape(name):{NAME}} {number:,}" for name, number in [*counts.items()][:MAX_LINES]]
    return lines + ([f"and {len(counts) - MAX_LINES:,} more, which --json lists"] if len(counts) > MAX_LINES else [])


def _format_histogram(counts: Mapping[str, int]) -> list[str]:
    most = max(counts.values())
    oldest = max(index for index, number in enumerate(counts.values()) if number)
    return [
        f"{age:16} {'█' * math.ceil(BAR * number / most):{BAR}} {number:,}"
        for age, number in [*counts.items()][: oldest + 1]
    ]

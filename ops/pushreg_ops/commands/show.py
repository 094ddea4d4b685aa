"""`pushreg show`."""

from __future__ import annotations

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
from pushreg_ops.terminal import Terminal


def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DEVICE|KSID|TOKEN|PLACE",
            help="The id of a device or mobile device, a KSID, a push token or sid, a place or an account. With - it is"
            " read from standard input, which keeps a token out of the shell's history.",
        ),
    ],
    deep: Annotated[bool, typer.Option("--scan/--no-scan", help="Scan all items if no key matches.")] = True,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Look up registrations by any id or token you have.

    Shows each registration with its claims and expiry; tokens are redacted.

    \b
    Examples:
      pushreg show 4927562634448402412 --stack prod
      pushreg show 1ee68c4e-7008-4227-a92d-e1b13ac64f30 --local
      pushreg show - --local < token.txt
    """
    text = sys.stdin.readline().strip() if what == "-" else what
    if not text:
        raise typer.BadParameter("nothing to look up", param_hint="DEVICE|KSID|TOKEN|PLACE")
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        inspector = Inspector(registry, int(now().timestamp()))
        registrations = inspector.find(text)
        if not registrations and deep:
            tables = (DEVICES, SUBSCRIBERS, PLACES)
            with meter("Scanning", sum(estimate(registry.client, registry.tables[each]) for each in tables)) as bar:
                registrations = list(inspector.search(text, bar.advance))
        records = [inspector.describe(registration) for registration in registrations]
    if not records:
        hint = "give the whole id or token; `pushreg stats` shows what is stored" if deep else "try without --no-scan"
        raise OperatorError(f"no registration found: {hint}")
    if json:
        terminal.list([], records)
        return
    for index, record in enumerate(records):
        if index:
            terminal.say("")
        _print(terminal, record)
    if len(records) == MAX_SHOWN:
        terminal.say(f"\nOnly the first {MAX_SHOWN} are shown; `pushreg export` writes all.")


def _print(terminal: Terminal, record: Mapping[str, Any]) -> None:
    width = max(map(len, record))
    for name, value in record.items():
        for index, line in enumerate(value or [None] if isinstance(value, list) else [value]):
            terminal.say(f"{name if not index else '':{width}}  {_format(line)}")


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)

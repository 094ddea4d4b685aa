"""`pushreg doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.doctor.checks import CheckResult, check_directory, check_tables
from pushreg_ops.doctor.smoke_test import SmokeTest
from pushreg_ops.progress import meter
from pushreg_ops.terminal import Terminal, complain, count

_MARKS = {"good": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "bold red")}


def run(
    api: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the API answers, if not where the stack's output or PORT says."),
    ] = None,
    calls: Annotated[bool, typer.Option("--calls/--no-calls", help="Call the API with data made for it.")] = True,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Tell whether a registry works, from its tables to its answers.

    Looks at tables, recovery, expiry and keys, then makes a signed-in round trip per family with data of its own,
    which it takes away again. Run one at a time. Exit code 1: something has to be mended.

    \b
    Examples:
      pushreg doctor --stack prod
      pushreg doctor --local --json
    """
    terminal = Terminal(as_json=json)
    findings: list[CheckResult] = []
    with reach(stack, local) as registry, meter("Looking"):
        findings += check_tables(registry)
        if not any(each.verdict == "bad" for each in findings):
            findings += check_directory(registry)
            if calls:
                findings += SmokeTest(registry, api or registry.address).examine()
    if json:
        terminal.list([], map(asdict, findings))
    for each in findings:
        mark, style = _MARKS[each.verdict]
        terminal.say(f"{mark} {each.subject}: {each.detail}", style)
        if each.fix is not None:
            terminal.say(f"  {each.fix}")
    bad = sum(each.verdict == "bad" for each in findings)
    if bad:
        complain(f"{bad} of {count(len(findings), 'thing')} looked at to be mended")
        raise typer.Exit(1)
    terminal.say(f"Healthy: {count(len(findings), 'thing')} looked at.", "bold green")

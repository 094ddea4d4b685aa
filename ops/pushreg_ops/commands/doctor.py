"""`pushreg doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.doctor.checks import CheckResult, check_directory, check_revoked, check_tables
from pushreg_ops.doctor.smoke_test import SmokeTest
from pushreg_ops.progress import meter
from pushreg_ops.terminal import Terminal, count

_MARKS = {"good": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "bold red")}


def run(
    api: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The API's address; by default the stack's ApiUrl output, or PORT for --local."
        ),
    ] = None,
    calls: Annotated[bool, typer.Option("--calls/--no-calls", help="Call the API with test data.")] = True,
    revoked_since: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="After a restore: the Directory table that was in use, to list what was revoked since.",
        ),
    ] = None,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Run a health check, from the tables to the API's responses.

    Checks tables, point-in-time recovery, TTL and keys, then makes an authenticated round trip per family with test
    data that it removes again. Run one at a time. Exit code 1: a problem was found.

    \b
    Examples:
      pushreg doctor --stack pushreg
      pushreg doctor --local --json
      pushreg doctor --stack restored --no-calls \\
        --revoked-since pushreg-DirectoryTable-1A2B3C
    """
    terminal = Terminal(as_json=json)
    results: list[CheckResult] = []
    with reach(stack, local) as registry, meter("Checking"):
        results += check_tables(registry)
        if not any(each.verdict == "bad" for each in results):
            results += check_directory(registry)
            if revoked_since is not None:
                results += check_revoked(registry, revoked_since)
            if calls:
                results += SmokeTest(registry, api or registry.address).run()
        else:
            detail = "not checked, and the API not called: a table is not as it should be"
            results.append(CheckResult("note", "directory", detail, "repair the tables first"))
    if json:
        terminal.list([], map(asdict, results))
    for each in results:
        mark, style = _MARKS[each.verdict]
        terminal.say(f"{mark} {each.subject}: {each.detail}", style)
        if each.fix is not None:
            terminal.say(f"  {each.fix}")
    bad = sum(each.verdict == "bad" for each in results)
    if bad:
        terminal.complain(f"{bad} of {count(len(results), 'check')} failed")
        raise typer.Exit(1)
    terminal.say(f"Healthy: {count(len(results), 'check')} made.", "bold green")

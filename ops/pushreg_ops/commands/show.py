"""`pushreg show`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg.clock import now
from pushreg_ops.commands.finding import print_registration, read_argument, search
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.records.inspection import MAX_SHOWN, Inspector
from pushreg_ops.terminal import Terminal

NAME = "ID|TOKEN"


def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar=NAME,
            help="A push token or sid, a KSID, a ufid, the id of a device or mobile device, or of an account,"
            " application or place. With - it is read from standard input, which keeps a token out of the shell's"
            " history.",
        ),
    ],
    scan: Annotated[bool, typer.Option("--scan", help="If no key matches, scan all items without asking.")] = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Look up registrations by any id or token you have.

    Shows each registration with its claims and expiry; tokens are redacted.

    \b
    Examples:
      pushreg show 4927562634448402412 --stack pushreg
      pushreg show 1ee68c4e-7008-4227-a92d-e1b13ac64f30 --local
      pushreg show - --local < token.txt
    """
    text = read_argument(what, NAME)
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        inspector = Inspector(registry, int(now().timestamp()))
        registrations = inspector.find(text) or search(registry, inspector, text, scan, terminal)
        records = [inspector.describe(registration) for registration in registrations]
    if json:
        terminal.list([], records)
        return
    for index, record in enumerate(records):
        if index:
            terminal.say("")
        print_registration(terminal, record)
    if len(records) >= MAX_SHOWN:
        terminal.say(
            f"\nOf an account, application, place or user only {MAX_SHOWN} are shown; `pushreg export` writes all."
        )

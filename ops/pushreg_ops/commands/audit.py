"""`pushreg audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg_ops.auditing import read_audit
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.terminal import Terminal


def run(
    entry: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Only changes of this key, issuer, account, application or place."),
    ] = None,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Show who changed keys and other entries, and when.

    The others are issuers, accounts, applications and places. The oldest change comes first.

    \b
    Examples:
      pushreg audit --stack pushreg
      pushreg audit 1535470240879176 --local --json
    """
    with reach(stack, local) as registry:
        records = read_audit(registry, entry)
    columns = ["created_at", "who", "machine_user", "action", "kind", "entry", "detail"]
    Terminal(as_json=json).list(columns, records)

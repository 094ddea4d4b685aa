"""`pushreg accounts`: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg_ops.commands import entries
from pushreg_ops.commands.options import Json, Local, Stack, parse_account_id, provision
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Add, list and remove Kazoo accounts.", no_args_is_help=True)


@app.command()
def add(
    ids: Annotated[list[str], typer.Argument(parser=parse_account_id, metavar="ID", help="Account id, 32 characters.")],
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Add accounts. Existing accounts are left unchanged."""
    terminal = Terminal(as_json=json)
    with provision(stack, local) as provisioner:
        for each in ids:
            entries.show_added(terminal, "account", each, provisioner.add_account(each))


entries.add_list_and_remove(app, "account", "account", parse_account_id, "Account id, 32 characters.")

"""`pushreg accounts`: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg_ops.commands import entries
from pushreg_ops.commands.options import Json, Local, Stack, WithRegistrations, Yes, parse_account_id, provision
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Add, list and remove Kazoo accounts.", no_args_is_help=True)


@app.command()
def add(
    ids: Annotated[
        list[str], typer.Argument(parser=parse_account_id, metavar="ID...", help="Account id, 32 characters.")
    ],
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Add accounts. Existing accounts are left unchanged."""
    terminal = Terminal(as_json=json)
    with provision(stack, local) as provisioner:
        for each in ids:
            entries.show_added(terminal, "account", each, provisioner.add_account(each))


@app.command("list")
def list_accounts(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """List the accounts, oldest first."""
    entries.list_entries("account", stack, local, Terminal(as_json=json))


@app.command()
def remove(
    id: Annotated[str, typer.Argument(parser=parse_account_id, metavar="ID", help="Account id, 32 characters.")],  # noqa: A002
    with_registrations: WithRegistrations = False,
    yes: Yes = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Remove an account. Its registrations stay stored, out of reach, unless --with-registrations is given."""
    terminal = Terminal(as_json=json)
    if with_registrations:
        entries.remove_with_registrations("account", id, "account", yes, stack, local, terminal)
    else:
        entries.remove("account", id, "account", stack, local, terminal)

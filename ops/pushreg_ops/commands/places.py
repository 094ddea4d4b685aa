"""`pushreg places`: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg_ops.commands import entries
from pushreg_ops.commands.options import Json, Local, Stack, WithRegistrations, Yes, parse_place_id, provision
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Add, list and remove places.", no_args_is_help=True)


@app.command()
def add(
    ids: Annotated[list[str], typer.Argument(parser=parse_place_id, metavar="ID...", help="Place id, a UUID.")],
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Add places. Existing places are left unchanged."""
    terminal = Terminal(as_json=json)
    with provision(stack, local) as provisioner:
        for each in ids:
            entries.show_added(terminal, "place", each, provisioner.add_place(each))


@app.command("list")
def list_places(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """List the places, oldest first."""
    entries.list_entries("place", stack, local, Terminal(as_json=json))


@app.command()
def remove(
    id: Annotated[str, typer.Argument(parser=parse_place_id, metavar="ID", help="Place id, a UUID.")],  # noqa: A002
    with_registrations: WithRegistrations = False,
    yes: Yes = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Remove a place. Its registrations stay stored, out of reach, unless --with-registrations is given."""
    terminal = Terminal(as_json=json)
    if with_registrations:
        entries.remove_with_registrations("place", id, "place", yes, stack, local, terminal)
    else:
        entries.remove("place", id, "place", stack, local, terminal)

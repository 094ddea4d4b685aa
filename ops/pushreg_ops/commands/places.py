"""`pushreg places`: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg_ops.commands import entries
from pushreg_ops.commands.options import Json, Local, Stack, parse_place_id, provision
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Add, list and remove places.", no_args_is_help=True)


@app.command()
def add(
    ids: Annotated[list[str], typer.Argument(parser=parse_place_id, metavar="ID", help="Place id, a UUID.")],
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Add places. Existing places are left unchanged."""
    terminal = Terminal(as_json=json)
    with provision(stack, local) as provisioner:
        for each in ids:
            entries.show_added(terminal, "place", each, provisioner.add_place(each))


entries.add_list_and_remove(app, "place", "place", parse_place_id, "Place id, a UUID.")

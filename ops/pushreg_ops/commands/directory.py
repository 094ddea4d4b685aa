"""`pushreg accounts`, `pushreg places`, `pushreg apps`: add, list, remove."""

# No postponed annotations: Typer reads them, and those inside a function could not be found again.
from typing import Annotated, Any, Literal

import typer

from pushreg.models.directory import Account, Application, Entry, Place
from pushreg_ops.commands.options import (
    Json,
    Local,
    Stack,
    parse_account_id,
    parse_application_id,
    parse_place_id,
    provision,
)
from pushreg_ops.terminal import Terminal

_PARSERS = {"account": parse_account_id, "place": parse_place_id}
_HINTS = {"account": "32 characters", "place": "a UUID"}


def create_group(kind: Literal["account", "place"]) -> typer.Typer:
    """Return the commands of accounts or of places."""
    group = typer.Typer(help=f"Add, list and remove the {kind}s that the registry knows.", no_args_is_help=True)
    Id = Annotated[str, typer.Argument(parser=_PARSERS[kind], metavar="ID", help=_HINTS[kind])]  # noqa: N806 A type.
    Ids = Annotated[list[str], typer.Argument(parser=_PARSERS[kind], metavar="ID...", help=_HINTS[kind])]  # noqa: N806

    @group.command(help=f"Add {kind}s; those already there stay as they are.")
    def add(ids: Ids, stack: Stack = None, local: Local = False, json: Json = False) -> None:
        terminal = Terminal(as_json=json)
        with provision(stack, local) as provisioner:
            for each in ids:
                is_new = provisioner.add_account(each) if kind == "account" else provisioner.add_place(each)
                _show(terminal, kind, each, is_new)

    _add_listing(group, kind, kind)

    @group.command(help=f"Remove one of the {kind}s. What was registered under it stays stored.")
    def remove(id: Id, stack: Stack = None, local: Local = False, json: Json = False) -> None:  # noqa: A002
        with provision(stack, local) as provisioner:
            provisioner.remove(kind, id, kind)
        _show_removal(Terminal(as_json=json), kind, id)

    return group


def create_application_group() -> typer.Typer:
    """Return the commands of applications."""
    group = typer.Typer(help="Add, list and remove engagement applications.", no_args_is_help=True)

    @group.command()
    def add(
        ids: Annotated[
            list[str], typer.Argument(parser=parse_application_id, metavar="ID...", help="As the apps send it.")
        ],
        auth_token: Annotated[
            str | None,
            typer.Option(metavar="VALUE", help="The authToken that subscribers must send; replaces the one there was."),
        ] = None,
        stack: Stack = None,
        local: Local = False,
        json: Json = False,
    ) -> None:
        """Add applications, open to all or with an authToken; without one those already there stay as they are."""
        if auth_token == "":
            raise typer.BadParameter("an empty token protects nothing", param_hint="--auth-token")
        terminal = Terminal(as_json=json)
        with provision(stack, local) as provisioner:
            for each in ids:
                _show(terminal, "application", each, provisioner.add_application(each, auth_token))

    _add_listing(group, "application", "application")

    @group.command()
    def remove(
        id: Annotated[str, typer.Argument(parser=parse_application_id, metavar="ID")],  # noqa: A002
        stack: Stack = None,
        local: Local = False,
        json: Json = False,
    ) -> None:
        """Remove an application. Its subscribers stay stored."""
        with provision(stack, local) as provisioner:
            provisioner.remove("application", id, "app")
        _show_removal(Terminal(as_json=json), "application", id)

    return group


def _add_listing(group: typer.Typer, kind: Literal["account", "place", "application"], noun: str) -> None:
    @group.command("list", help=f"List the {noun}s, oldest first.")
    def list_entries(stack: Stack = None, local: Local = False, json: Json = False) -> None:
        with provision(stack, local) as provisioner:
            records = [_describe(entry) for entry in provisioner.list_entries(kind)]
        columns = ["id", "auth_token", "created_at"] if kind == "application" else ["id", "created_at"]
        Terminal(as_json=json).list(columns, records)


def _show(terminal: Terminal, noun: str, key: str, is_new: bool) -> None:
    text = "added" if is_new else "already there, unchanged"
    terminal.show({"id": key, "added": is_new}, f"{noun} {key} {text}")


def _show_removal(terminal: Terminal, noun: str, key: str) -> None:
    terminal.show({"id": key, "removed": True}, f"{noun} {key} removed")


def _describe(entry: Entry) -> dict[str, Any]:
    match entry:
        case Account():
            return {"id": entry.account_id, "created_at": entry.created_at}
        case Place():
            return {"id": entry.place_id, "created_at": entry.created_at}
        case Application():
            needed = "required" if entry.auth_token_digest else "not required"
            return {"id": entry.application_id, "auth_token": needed, "created_at": entry.created_at}
    raise TypeError(entry)

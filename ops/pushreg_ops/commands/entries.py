"""What `pushreg accounts`, `pushreg places` and `pushreg apps` share."""

# Annotations are evaluated at once here: Typer cannot evaluate later those that use a function's parameters.

from collections.abc import Callable
from typing import Annotated, Any

import typer

from pushreg.models.directory import Account, Application, Place
from pushreg.schema import EntryKind
from pushreg_local.errors import OperatorError
from pushreg_ops.commands.options import Json, Local, Stack, WithRegistrations, Yes, provision, reach
from pushreg_ops.progress import meter
from pushreg_ops.provision import AddOutcome, Provisioner
from pushreg_ops.records.inspection import owner_of
from pushreg_ops.records.ownership import MAX_COUNTED, TABLE_OF_OWNER, count_owned, keys_of, read_owned
from pushreg_ops.records.removal import Remover
from pushreg_ops.terminal import Terminal, count


def add_list_and_remove(
    app: typer.Typer, kind: EntryKind, noun: str, parse: Callable[[str], str], id_help: str
) -> None:
    """Add the subcommands that all kinds of entries have; `noun` is the command's word for one."""

    @app.command("list", help=f"List the {kind}s, oldest first.")
    def list_entries(stack: Stack = None, local: Local = False, json: Json = False) -> None:
        with provision(stack, local) as provisioner:
            entries = provisioner.list_entries(kind)
        records = [_describe(entry) for entry in entries if isinstance(entry, Account | Application | Place)]
        columns = ["id", "created_at"]
        if kind == "application":
            columns[1:1] = ["auth_token_required", "duplicate_as_update", "strict"]
        Terminal(as_json=json).list(columns, records)

    @app.command(
        help=f"Remove the {kind} with this id. Its registrations stay stored, out of reach, unless --with-registrations"
        " is given."
    )
    def remove(
        id: Annotated[str, typer.Argument(parser=parse, metavar="ID", help=id_help)],  # noqa: A002
        with_registrations: WithRegistrations = False,
        yes: Yes = False,
        stack: Stack = None,
        local: Local = False,
        json: Json = False,
    ) -> None:
        terminal = Terminal(as_json=json)
        if with_registrations:
            _remove_with_registrations(kind, id, noun, yes, stack, local, terminal)
        else:
            _remove(kind, id, noun, stack, local, terminal)


def show_added(terminal: Terminal, kind: EntryKind, key: str, outcome: AddOutcome) -> None:
    """Report what was done to an entry."""
    terminal.show({"id": key, "added": outcome.is_new, "outcome": outcome.text}, f"{kind} {key} {outcome.text}")


def _remove(kind: EntryKind, key: str, noun: str, stack: str | None, local: bool, terminal: Terminal) -> None:
    """Remove an entry and report it, with what is left of its registrations; `noun` is the command's word for it."""
    with reach(stack, local) as registry:
        provisioner = Provisioner(registry)
        provisioner.remove(kind, key, noun)
        left, keys = count_owned(registry, (kind, key)), len(keys_of((kind, key), provisioner.list_keys()))
    text = f"{kind} {key} removed"
    if left or keys:
        text += f"; {_count_left(left, keys)} left, which nobody can reach: remove with --with-registrations"
    terminal.show({"id": key, "removed": True, "registrations_left": left, "keys_left": keys}, text)


def _remove_with_registrations(
    kind: EntryKind, key: str, noun: str, yes: bool, stack: str | None, local: bool, terminal: Terminal
) -> None:
    """Remove an entry, if it is still there, with its registrations and the keys that reach nothing else."""
    owner = (kind, key)
    with reach(stack, local) as registry:
        provisioner = Provisioner(registry)
        number, keys = count_owned(registry, owner), keys_of(owner, provisioner.list_keys())
        is_known = provisioner.is_known(kind, key)
        if not (is_known or number or keys):
            raise OperatorError(f"there is no {noun} {key}, nor a registration of it: see `pushreg {noun}s list`")
        if not yes:
            terminal.confirm(f"Remove {kind} {key} with {_count_left(number, len(keys))}?")
        # The entry goes first: without it, functions accept no more registrations once their caches have expired.
        if is_known:
            provisioner.remove(kind, key, noun)
        for each in keys:
            provisioner.revoke(each.key_id)
        with meter("Removing", number) as bar:
            pages = read_owned(registry, owner)
            outcomes = Remover(registry).remove_all(
                pages, TABLE_OF_OWNER[kind], lambda each: owner_of(each) == owner, bar.advance
            )
    removed, unreadable = outcomes["removed"], outcomes["unreadable"]
    record = {"id": key, "removed": is_known, "registrations": removed, "keys": len(keys), "unreadable": unreadable}
    head = f"{kind} {key} removed" if is_known else f"{kind} {key} was removed before; now removed"
    text = f"{head} with {count(removed, 'registration')} and {count(len(keys), 'key')}"
    if is_known:
        text += (
            "\nFunctions may accept requests for another 60 seconds, until their caches expire: run the command again"
            " then to remove what they stored."
        )
    terminal.show(record, text)
    if unreadable:
        terminal.complain(f"{count(unreadable, 'item')} unreadable, not removed: run `pushreg verify`")
        raise typer.Exit(1)


def _count_left(registrations: int, keys: int) -> str:
    number = count(registrations, "registration")
    if registrations >= MAX_COUNTED:
        number = f"{MAX_COUNTED:,} or more registrations"
    return f"{number} and {count(keys, 'key')}"


def _describe(entry: Account | Application | Place) -> dict[str, Any]:
    if isinstance(entry, Application):
        return {
            "id": entry.application_id,
            "auth_token_required": entry.auth_token_digest is not None,
            # None: the stack's parameter decides.
            "duplicate_as_update": entry.duplicate_as_update,
            "strict": entry.is_strict,
            "created_at": entry.created_at,
        }
    key = entry.place_id if isinstance(entry, Place) else entry.account_id
    return {"id": key, "created_at": entry.created_at}

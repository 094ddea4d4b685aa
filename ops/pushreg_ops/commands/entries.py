"""What `pushreg accounts`, `pushreg places` and `pushreg apps` share."""

from __future__ import annotations

from typing import Any

from pushreg.models.directory import Account, Application, Credential, Entry
from pushreg.schema import EntryKind
from pushreg_ops.commands.options import provision
from pushreg_ops.terminal import Terminal


def show_added(terminal: Terminal, kind: EntryKind, key: str, is_new: bool) -> None:
    """Report an entry as added, or as already there."""
    outcome = "added" if is_new else "already exists, unchanged"
    terminal.show({"id": key, "added": is_new}, f"{kind} {key} {outcome}")


def remove(kind: EntryKind, key: str, noun: str, stack: str | None, local: bool, terminal: Terminal) -> None:
    """Remove an entry and report it; `noun` is the command's word for it."""
    with provision(stack, local) as provisioner:
        provisioner.remove(kind, key, noun)
    terminal.show({"id": key, "removed": True}, f"{kind} {key} removed")


def list_entries(kind: EntryKind, stack: str | None, local: bool, terminal: Terminal) -> None:
    """List the entries of a kind, oldest first."""
    with provision(stack, local) as provisioner:
        records = [_describe(entry) for entry in provisioner.list_entries(kind)]
    columns = ["id", "created_at"]
    if kind == "application":
        columns[1:1] = ["auth_token", "duplicates", "strict"]
    terminal.list(columns, records)


def _describe(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Application):
        token = "required" if entry.auth_token_digest else "not required"
        duplicates = {True: "200", False: "201", None: "as the stack"}[entry.duplicate_as_update]
        return {
            "id": entry.application_id,
            "auth_token": token,
            "duplicates": duplicates,
            "strict": "yes" if entry.is_strict else "no",
            "created_at": entry.created_at,
        }
    key = entry.account_id if isinstance(entry, Account | Credential) else entry.place_id
    return {"id": key, "created_at": entry.created_at}

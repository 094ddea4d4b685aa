"""What `pushreg show` and `pushreg remove` share: find registrations by what a person has, and print them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import typer

from pushreg_local.errors import OperatorError
from pushreg_ops.progress import meter
from pushreg_ops.records.entities import StoredRegistration
from pushreg_ops.records.inspection import SEARCHED, Inspector
from pushreg_ops.records.scanning import measure
from pushreg_ops.registry import Registry
from pushreg_ops.terminal import Terminal, confirm, count

# Of on-demand tables in us-east-1: a strongly consistent read unit covers 4 KiB.
UNIT_BYTES = 4096
DOLLARS_PER_UNIT = 0.125e-6


def read_argument(text: str, name: str) -> str:
    """Return the argument, or the first line of standard input in place of `-`."""
    text = sys.stdin.readline().strip() if text == "-" else text
    if not text:
        raise typer.BadParameter("nothing to look up", param_hint=name)
    return text


def search(registry: Registry, inspector: Inspector, text: str, scans: bool) -> list[StoredRegistration]:
    """Return the registrations found by a scan, after asking for it unless `scans` is true.

    OperatorError if nothing is found, or if nobody can be asked.
    """
    tables = [registry.tables[each] for each in SEARCHED]
    items, size = measure(registry.client, *tables)
    if not scans:
        question = (
            "No key leads to a registration with this value. Tokens of Kazoo devices and registrations of removed"
            " accounts, applications and places have no key. A scan"
            f" reads about {count(items, 'item')}, {size / 1e6:,.1f} MB"
            f" (${size / UNIT_BYTES * DOLLARS_PER_UNIT:.2f} on demand)"
        )
        if not sys.stdin.isatty():
            raise OperatorError(f"{question}: add --scan")
        confirm(f"{question}. Scan?")
    with meter("Scanning", items) as bar:
        found = list(inspector.search(text, bar.advance))
    if not found:
        raise OperatorError("no registration has this value: give the whole id or token")
    return found


def print_registration(terminal: Terminal, record: Mapping[str, Any]) -> None:
    """Print a registration as `Inspector.describe` returns it, one attribute a line."""
    lines = {_LABELS.get(name, name.replace("_", " ")): value for name, value in _to_words(record).items()}
    width = max(map(len, lines))
    for label, value in lines.items():
        for index, line in enumerate(value or ["-"] if isinstance(value, list) else [value]):
            terminal.say(f"{label if not index else '':{width}}  {_format(line)}")


# Shown last, in words.
_STATE = ("expires_at", "expired", "claims", "problems", "owner_known")
_LABELS = {"created_at": "created", "updated_at": "updated", "ksid": "KSID"}


def _to_words(record: Mapping[str, Any]) -> dict[str, Any]:
    words = {name: value for name, value in record.items() if name not in _STATE}
    if "tokens" in record:
        words["tokens"] = [
            f"{each['token']} {each['service']}: {', '.join(each['notifications'])}" for each in record["tokens"]
        ]
    expiry = record["expires_at"] or "never"
    return words | {
        "expires": f"{expiry}, expired" if record["expired"] else expiry,
        "claims": [f"{each['of']}: {each['state']}" for each in record["claims"]],
        "problems": record["problems"] or "none",
        "reachable": record["owner_known"] or "no: its account, application or place is not known",
    }


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)

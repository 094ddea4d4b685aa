"""Registrations, keys and scans in words, for the terminal and for the console."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pushreg.models.directory import EVERY_PLACE, Credential
from pushreg.schema import DAY
from pushreg.stores.changes import Change
from pushreg_ops.records.inspection import SEARCHED, to_moment
from pushreg_ops.records.scanning import measure
from pushreg_ops.registry import Registry
from pushreg_ops.terminal import count, escape

# Of on-demand tables in us-east-1: a strongly consistent read unit covers 4 KiB.
UNIT_BYTES = 4096
DOLLARS_PER_UNIT = 0.125e-6

# Seconds before a key expires from which it is reported.
EXPIRY_NOTICE = 14 * DAY
# Whose registrations are counted apart.
OWNERS = {"kazoo": "account", "places": "place"}

NO_KEY = (
    "No registration can be looked up by this value. Tokens of Kazoo devices and registrations of removed accounts,"
    " applications and places are found by a scan only."
)

# Shown last, in words.
_STATE = ("expires_at", "expired", "claims", "problems", "owner_known")
_LABELS = {"created_at": "created", "updated_at": "updated", "expires_at": "expires", "ksid": "KSID"}


def describe_scan(registry: Registry) -> tuple[int, str]:
    """Return about how many items a scan of all registrations reads, and a sentence about it and its cost."""
    items, size = measure(registry.client, *(registry.tables[each] for each in SEARCHED))
    # Rounded up: no scan is free.
    megabytes = math.ceil(size / 1e5) / 10
    dollars = math.ceil(size / UNIT_BYTES * DOLLARS_PER_UNIT * 100) / 100
    return items, f"A scan reads about {count(items, 'item')}, {megabytes:,.1f} MB (${dollars:,.2f} on demand)"


def describe_counts(family: str, record: Mapping[str, Any]) -> str:
    """Return a line about the counts of a family as `FamilyCounts.to_record` returns them."""
    text = count(record["registrations"], "registration")
    if record["owners"]:
        text += f" in {count(record['owners'], OWNERS[family])}"
    return text + "".join(
        f", {record[name]:,} {name}" for name in ("inactive", "expired", "unreadable") if record[name]
    )


def to_lines(record: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return labels and values of a registration as `Inspector.describe` returns it; no value is an empty list."""
    words = {name: value for name, value in record.items() if name not in _STATE}
    if "tokens" in record:
        words["tokens"] = [
            f"{each['token']} {each['service']}: {', '.join(each['notifications'])}" for each in record["tokens"]
        ]
    expiry = record["expires_at"] or "never"
    words |= {
        "expires": f"{expiry}, expired" if record["expired"] else expiry,
        "claims": [f"{each['of']}: {each['state']}" for each in record["claims"]],
        "problems": record["problems"] or "none",
        "reachable": record["owner_known"] or "no: its account, application or place is not known",
    }
    return _label(words)


def describe_change(change: Change) -> str:
    """Return a line about a change of a registration, with the first characters of its tokens' digests."""
    detail = change.detail
    key = " ".join(f"{name}={value}" for name, value in detail["key"].items())
    tokens = ",".join(each[:12] for each in detail["token_digests"])
    line = f"{detail['at']} {change.kind:7} {detail['family']:10} {key} {detail['reason'] or '-'} {tokens}"
    return escape(line).rstrip()


def describe_key(key: Credential) -> dict[str, Any]:
    """Return what a key permits as plain data, without its digest."""
    accounts = frozenset[str]() if key.account_id is None else frozenset({key.account_id})
    kinds = {"accounts": accounts, "applications": key.applications, "places": key.places}
    # A sender's key may reach all of one kind and nothing of another; of the other keys the family tells the kind.
    reach = sorted(
        f"all {kind}" if key.family == "senders" and each == EVERY_PLACE else each
        for kind, names in kinds.items()
        for each in names
    )
    return {
        "key_id": key.key_id,
        "name": key.name,
        "family": key.family,
        "reach": reach,
        "scope": key.scope,
        "created_at": key.created_at,
        "issued_by": key.issued_by,
        "expires_at": None if key.expires_at is None else to_moment(key.expires_at),
    }


def to_key_lines(key: Credential) -> list[tuple[str, list[str]]]:
    """Return labels and values of a key without its id; no value is an empty list."""
    words = describe_key(key)
    del words["key_id"]
    return _label({**words, "expires_at": words["expires_at"] or "never"})


def describe_expiry(key: Credential, epoch: int) -> str:
    """Return `expired` or `expires soon`; an empty text for a key that works for longer than EXPIRY_NOTICE."""
    if key.expires_at is None or key.expires_at - epoch >= EXPIRY_NOTICE:
        return ""
    return "expired" if key.expires_at <= epoch else "expires soon"


def _label(words: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (
            _LABELS.get(name, name.replace("_", " ")),
            [_format(each) for each in (value or [None] if isinstance(value, list) else [value])],
        )
        for name, value in words.items()
    ]


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else escape(str(value))

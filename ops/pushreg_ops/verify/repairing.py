"""What is safe to mend, each in one transaction that is pinned on all that it was decided by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pushreg.codecs import json
from pushreg.dynamodb import delete, put, update
from pushreg.models.kazoo import Content
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    PLACES,
    REGISTRATION_PREFIXES,
    SUBSCRIBERS,
    Item,
    Key,
    key_id_of,
    parse_record,
    place_key,
)
from pushreg_ops.records.entities import Claim, Head, claims_of, create, holder_of, key_of, pin, to_item
from pushreg_ops.records.invariants import Rule
from pushreg_ops.records.items import (
    Credential,
    Device,
    Expiring,
    PlaceToken,
    Stored,
    Subscriber,
    UnreadableError,
    read,
)
from pushreg_ops.records.neighbors import KINDS, freeze
from pushreg_ops.records.redaction import shorten
from pushreg_ops.verify.checking import Finding

Items = Mapping[frozenset[tuple[str, str]], Item | None]


@dataclass(frozen=True, slots=True)
class Repair:
    """The writes of one transaction, and the registrations that it removes."""

    description: str
    writes: tuple[dict[str, Any], ...]
    removed: tuple[Head, ...] = ()


def plan(finding: Finding, items: Items, name: str, epoch: int) -> Repair | None:
    """Return how to mend what was found, given the items around it; None if it is mended, or no way is safe.

    `name` is the table's. A claim follows from what it leads to, so it can be made again or taken away. Of two
    subscriptions of one mobile device that stays which the claim names, or else the one written last.
    """
    table, violation = finding.table, finding.violation
    if violation.rule is Rule.READABLE:
        return None
    if violation.rule is Rule.DIGEST:
        item = items.get(freeze(violation.keys[0]))
        return _DIGESTS[table](name, item, items) if item is not None else None
    claims = [key for key in violation.keys if not key["record"].startswith(REGISTRATION_PREFIXES[table])]
    # Without a claim in it, the record says one thing and its document another.
    return _settle(table, name, claims[0], items, epoch) if len(claims) == 1 else None


def _settle(table: str, name: str, key: Key, items: Items, epoch: int) -> Repair | None:
    """Let the claim at the key lead to the registration that holds it, or go if there is none."""
    item = items.get(freeze(key))
    claim: Any = _parse(KINDS[table], item)
    if item is not None and claim is None:
        return None
    records = [_parse(KINDS[table], each) for each in items.values()]
    holders: list[Any] = [
        each for each in records if isinstance(each, Device | Subscriber) and _holds(each, key, epoch)
    ]
    # One write for each item, the later replacing the earlier: whatever is not changed must not have changed.
    writes: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    led = holder_of(claim) if claim is not None else None
    if led is not None:
        standing = items.get(freeze(led))
        head = _parse(KINDS[table], standing)
        if standing is not None and head is None:
            return None
        writes[freeze(led)] = _check_absent(name, led, table) if head is None else _check(name, head)
    if not holders:
        if claim is None:
            return None
        writes[freeze(key)] = _remove(name, claim)
        return Repair(f"remove the claim {shorten(key)}, which leads astray", tuple(writes.values()))
    named = [each for each in holders if key_of(each) == led]
    if len(holders) > 1 and table == SUBSCRIBERS:
        # A KSID is for ever: which of two subscribers has to go is not for a program to say.
        return None
    winner = named[0] if named else max(holders, key=lambda each: each.updated_at)
    losers = [each for each in holders if each is not winner]
    (wanted,) = (each for each in claims_of(winner) if key_of(each) == key)
    writes[freeze(key_of(winner))] = _check(name, winner)
    writes[freeze(key)] = create(name, wanted) if claim is None else _replace(name, claim, wanted)
    writes |= {freeze(key_of(each)): _remove(name, each) for each in losers}
    text = f"let the claim {shorten(key)} lead to {shorten(key_of(winner))}"
    text += "".join(f", and remove {shorten(key_of(each))}, which holds the same" for each in losers)
    return Repair(text, tuple(writes.values()), tuple(losers)) if claim != wanted or losers else None


def _renew_digest(name: str, item: Item, items: Items) -> Repair | None:
    device = _parse(KINDS[DEVICES], item)
    if not isinstance(device, Device):
        return None
    # What is no document is not of this rule.
    content = Content.from_data(json.decode(device.document.encode()), device.app_name)
    if content.digest == device.digest:
        return None
    condition, values = pin(device)
    write = update(name, key_of(device), "SET digest = :digest", condition, digest=content.digest, **values)
    return Repair(f"compute the digest of {shorten(key_of(device))} again", (write,))


def _move_token(name: str, item: Item, items: Items) -> Repair | None:
    row = PlaceToken.from_item(item)
    moved = row.model_copy(update=place_key(row.place_id, row.device_token))
    if moved == row:
        return None
    writes = [_remove(name, row)]
    if items.get(freeze(key_of(moved))) is None:
        return Repair(f"move {shorten(key_of(row))} to where its token is looked up", (*writes, create(name, moved)))
    return Repair(f"remove {shorten(key_of(row))}, whose token has its own row", tuple(writes), (row,))


def _rename_key(name: str, item: Item, items: Items) -> Repair | None:
    key = Credential.from_item(item)
    key_id = key_id_of(parse_record(key.record)[1])
    if key_id == key.key_id:
        return None
    change = update(name, {"record": key.record}, "SET key_id = :new", "key_id = :old", new=key_id, old=key.key_id)
    return Repair(f"name the key {key.key_id} by its {key_id}", (change,))


_DIGESTS: dict[str, Callable[[str, Item, Items], Repair | None]] = {
    DEVICES: _renew_digest,
    PLACES: _move_token,
    DIRECTORY: _rename_key,
}


def _parse(kinds: Mapping[str, type[Stored]], item: Item | None) -> Any:
    if item is None:
        return None
    try:
        return read(item, kinds)
    except UnreadableError:
        return None


def _holds(head: Head, key: Key, epoch: int) -> bool:
    living = not isinstance(head, Expiring) or head.is_alive(epoch)
    return living and key in [key_of(claim) for claim in claims_of(head)]


def _replace(name: str, claim: Claim, wanted: Claim) -> dict[str, Any]:
    condition, values = pin(claim)
    return put(name, to_item(wanted), condition, **values)


def _remove(name: str, record: Head | Claim) -> dict[str, Any]:
    condition, values = pin(record)
    return delete(name, key_of(record), condition, **values)


def _check(name: str, head: Head) -> dict[str, Any]:
    condition, values = pin(head)
    return _to_check(delete(name, key_of(head), condition, **values))


def _check_absent(name: str, key: Key, table: str) -> dict[str, Any]:
    attribute = "device_id" if table == DEVICES else "ksid"
    return _to_check(delete(name, key, f"attribute_not_exists({attribute})"))


def _to_check(write: dict[str, Any]) -> dict[str, Any]:
    # A condition check says the same as a deletion, and deletes nothing.
    return {"ConditionCheck": write["Delete"]}

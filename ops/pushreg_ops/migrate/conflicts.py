"""Conflict resolution: which registration stays, and the transaction that makes it so."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pushreg.dynamodb import put
from pushreg.errors import StaleReadError, WriteConflictError
from pushreg.schema import Item, Key
from pushreg_ops.migrate.formats.candidates import Candidate, is_merged
from pushreg_ops.records.entities import (
    StoredClaim,
    StoredEntity,
    StoredRecord,
    claims_of,
    create,
    is_alive,
    key_of,
    mark,
    refreshed_at,
    remove_unchanged,
    table_of,
    target_key_of,
    unchanged_condition,
)
from pushreg_ops.records.items import StoredDevice, StoredItem, UnreadableError

# Reads a snapshot of items of one table.
Reader = Callable[[str, Sequence[Key]], list[Item | None]]
Record = TypeVar("Record", bound=StoredItem)


@dataclass(frozen=True, slots=True)
class Step:
    """The writes that store a candidate, none if it is stored already, and the registrations that they remove."""

    writes: tuple[dict[str, Any], ...] = ()
    superseded: tuple[StoredEntity, ...] = ()


def plan(candidate: Candidate, read: Reader, tables: Mapping[str, str], epoch: int) -> Step:
    """Return the writes for the candidate, conditioned on what was read; WriteConflictError if it must not be stored.

    The most recently refreshed registration wins, against its own stored version and against those that hold its
    device or sid; at a tie the stored one stays. StaleReadError if the items changed between two reads.
    """
    entity = candidate.entity
    table = tables[table_of(entity)]
    keys = [key_of(record) for record in (entity, *candidate.claims)]
    items = read(table, keys)
    own = _parse(type(entity), items[0])
    held = [_parse(type(claim), item) for claim, item in zip(candidate.claims, items[1:], strict=True)]
    current = own if own is not None and is_alive(own, epoch) else None
    if current is not None:
        if is_merged(candidate, current):
            return Step()
        if not candidate.is_newer(current):
            raise WriteConflictError(
                current, f"superseded: the stored registration was refreshed at {refreshed_at(current)}"
            )
    claims = [claim for claim in held if claim is not None and is_alive(claim, epoch)]
    rival_keys = _without_repeats(key for key in map(target_key_of, claims) if key != keys[0])
    rivals: list[StoredEntity] = []
    if rival_keys:
        both = read(table, [*keys, *rival_keys])
        if both[: len(keys)] != items:
            raise StaleReadError
        rivals = [_find_superseded(candidate, claims, item) for item in both[len(keys) :]]
    records: list[tuple[StoredRecord, StoredRecord | None]] = [(_combine(entity, current), own)]
    records += zip(candidate.claims, held, strict=True)
    writes = [_replace(table, record, found) for record, found in records]
    writes += [remove_unchanged(table, rival) for rival in rivals]
    losers = rivals if current is None else [*rivals, current]
    released = [claim for loser in losers for claim in claims_of(loser) if key_of(claim) not in keys]
    writes += [remove_unchanged(table, claim) for claim in released]
    return Step(tuple(writes), tuple(rivals))


def _find_superseded(candidate: Candidate, claims: Sequence[StoredClaim], item: Item | None) -> StoredEntity:
    """Return the registration that holds the claims and must be removed; WriteConflictError if it must stay."""
    rival = _parse(type(candidate.entity), item)
    if rival is None or not any(claim in claims_of(rival) for claim in claims):
        raise WriteConflictError(rival, "an inconsistent claim is in the way: run `pushreg verify --repair`")
    if not candidate.is_newer(rival):
        raise WriteConflictError(
            rival, f"superseded: {_describe(rival)} holds the same, refreshed at {refreshed_at(rival)}"
        )
    return rival


def _combine(entity: StoredEntity, current: StoredEntity | None) -> StoredEntity:
    """Return the entity with the creation time and write count continued from the one that it replaces."""
    if current is None:
        return entity
    changes: dict[str, Any] = {"created_at": min(entity.created_at, current.created_at)}
    if isinstance(entity, StoredDevice) and isinstance(current, StoredDevice):
        # The revision counts changes of the content and must not decrease.
        changes["writes"] = max(entity.writes, current.writes + (entity.digest != current.digest))
    return entity.model_copy(update=changes)


def _replace(table: str, record: StoredRecord, found: StoredRecord | None) -> dict[str, Any]:
    if found is None:
        return create(table, record)
    condition, values = unchanged_condition(found)
    return put(table, mark(record, uuid.uuid4().hex), condition, **values)


def _parse(kind: type[Record], item: Item | None) -> Record | None:
    if item is None:
        return None
    try:
        return kind.from_item(item)
    except UnreadableError as error:
        raise WriteConflictError(
            item, f"the stored item is unreadable ({error.detail}): run `pushreg verify`"
        ) from error


def _without_repeats(keys: Iterable[Key]) -> list[Key]:
    found: list[Key] = []
    for key in keys:
        if key not in found:
            found.append(key)
    return found


def _describe(entity: StoredEntity) -> str:
    return f"device {entity.device_id}" if isinstance(entity, StoredDevice) else f"KSID {getattr(entity, 'ksid', '?')}"

"""A registration against what stands in its way: who stays, and the one transaction that makes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pushreg.dynamodb import delete, put
from pushreg.errors import StaleReadError, WriteConflictError
from pushreg.schema import Item, Key
from pushreg_ops.records.entities import (
    Candidate,
    StoredClaim,
    StoredEntity,
    StoredRecord,
    claims_of,
    create,
    is_alive,
    is_merged,
    key_of,
    refreshed_at,
    table_of,
    target_key_of,
    to_item,
    unchanged_condition,
)
from pushreg_ops.records.items import StoredDevice, StoredItem, UnreadableError

# Reads items of one table at one moment.
Reader = Callable[[str, Sequence[Key]], list[Item | None]]
Record = TypeVar("Record", bound=StoredItem)


@dataclass(frozen=True, slots=True)
class Step:
    """The writes that bring a candidate in, none if there is nothing to do, and the registrations they remove."""

    writes: tuple[dict[str, Any], ...] = ()
    displaced: tuple[StoredEntity, ...] = ()


def plan(candidate: Candidate, read: Reader, tables: Mapping[str, str], epoch: int) -> Step:
    """Return how the candidate comes in, pinned on what was read; WriteConflictError if it must not.

    The registration refreshed last wins, both against its own earlier self and against those that hold its device or
    its sid. At a tie what stands stays. StaleReadError if the rows changed while they were read.
    """
    head = candidate.head
    table = tables[table_of(head)]
    keys = [key_of(record) for record in (head, *candidate.claims)]
    items = read(table, keys)
    own = _parse(type(head), items[0])
    held = [_parse(type(claim), item) for claim, item in zip(candidate.claims, items[1:], strict=True)]
    living = own if own is not None and is_alive(own, epoch) else None
    if living is not None:
        if is_merged(candidate, living):
            return Step()
        if not candidate.is_newer(living):
            raise WriteConflictError(living, f"superseded: what stands was refreshed at {refreshed_at(living)}")
    claims = [claim for claim in held if claim is not None and is_alive(claim, epoch)]
    rival_keys = _without_repeats(key for key in map(target_key_of, claims) if key != keys[0])
    rivals: list[StoredEntity] = []
    if rival_keys:
        both = read(table, [*keys, *rival_keys])
        if both[: len(keys)] != items:
            raise StaleReadError
        rivals = [_challenge(candidate, claims, item) for item in both[len(keys) :]]
    records: list[tuple[StoredRecord, StoredRecord | None]] = [(_combine(head, living), own)]
    records += zip(candidate.claims, held, strict=True)
    writes = [_replace(table, record, found) for record, found in records]
    writes += [_remove(table, rival) for rival in rivals]
    losers = rivals if living is None else [*rivals, living]
    released = [claim for loser in losers for claim in claims_of(loser) if key_of(claim) not in keys]
    writes += [_remove(table, claim) for claim in released]
    return Step(tuple(writes), tuple(rivals))


def _challenge(candidate: Candidate, claims: Sequence[StoredClaim], item: Item | None) -> StoredEntity:
    """Return the registration that has to go because it holds the claims; WriteConflictError if it is to stay."""
    rival = _parse(type(candidate.head), item)
    if rival is None or not any(claim in claims_of(rival) for claim in claims):
        raise WriteConflictError(rival, "a claim that leads astray is in the way: run `pushreg verify --repair`")
    if not candidate.is_newer(rival):
        raise WriteConflictError(
            rival, f"superseded: {_describe(rival)} holds the same, refreshed at {refreshed_at(rival)}"
        )
    return rival


def _combine(head: StoredEntity, living: StoredEntity | None) -> StoredEntity:
    """Return the head as it continues the one that it replaces."""
    if living is None:
        return head
    changes: dict[str, Any] = {"created_at": min(head.created_at, living.created_at)}
    if isinstance(head, StoredDevice) and isinstance(living, StoredDevice):
        # The revision counts writes and must not go back.
        changes["writes"] = max(head.writes, living.writes + 1)
    return head.model_copy(update=changes)


def _replace(table: str, record: StoredRecord, found: StoredRecord | None) -> dict[str, Any]:
    if found is None:
        return create(table, record)
    condition, values = unchanged_condition(found)
    return put(table, to_item(record), condition, **values)


def _remove(table: str, record: StoredRecord) -> dict[str, Any]:
    condition, values = unchanged_condition(record)
    return delete(table, key_of(record), condition, **values)


def _parse(kind: type[Record], item: Item | None) -> Record | None:
    if item is None:
        return None
    try:
        return kind.from_item(item)
    except UnreadableError as error:
        raise WriteConflictError(
            item, f"what stands in the way cannot be read ({error.detail}): run `pushreg verify`"
        ) from error


def _without_repeats(keys: Iterable[Key]) -> list[Key]:
    found: list[Key] = []
    for key in keys:
        if key not in found:
            found.append(key)
    return found


def _describe(head: StoredEntity) -> str:
    return f"device {head.device_id}" if isinstance(head, StoredDevice) else f"KSID {getattr(head, 'ksid', '?')}"

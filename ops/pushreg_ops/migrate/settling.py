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
    Claim,
    Head,
    claims_of,
    create,
    holder_of,
    is_alive,
    is_merged,
    key_of,
    pin,
    refreshed_at,
    table_of,
    to_item,
)
from pushreg_ops.records.items import Device, Stored, UnreadableError

# Reads items of one table at one moment.
Reader = Callable[[str, Sequence[Key]], list[Item | None]]
Record = TypeVar("Record", bound=Stored)


@dataclass(frozen=True, slots=True)
class Step:
    """The writes that bring a candidate in, none if there is nothing to do, and the registrations they remove."""

    writes: tuple[dict[str, Any], ...] = ()
    displaced: tuple[Head, ...] = ()


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
    rival_keys = _without_repeats(key for key in map(holder_of, claims) if key != keys[0])
    rivals: list[Head] = []
    if rival_keys:
        both = read(table, [*keys, *rival_keys])
        if both[: len(keys)] != items:
            raise StaleReadError
        rivals = [_challenge(candidate, claims, item) for item in both[len(keys) :]]
    records: list[tuple[Head | Claim, Head | Claim | None]] = [(_combine(head, living), own)]
    records += zip(candidate.claims, held, strict=True)
    writes = [_replace(table, record, found) for record, found in records]
    writes += [_remove(table, rival) for rival in rivals]
    losers = rivals if living is None else [*rivals, living]
    released = [claim for loser in losers for claim in claims_of(loser) if key_of(claim) not in keys]
    writes += [_remove(table, claim) for claim in released]
    return Step(tuple(writes), tuple(rivals))


def _challenge(candidate: Candidate, claims: Sequence[Claim], item: Item | None) -> Head:
    """Return the registration that has to go because it holds the claims; WriteConflictError if it is to stay."""
    rival = _parse(type(candidate.head), item)
    if rival is None or not any(claim in claims_of(rival) for claim in claims):
        raise WriteConflictError(rival, "a claim that leads astray is in the way: run `pushreg verify --repair`")
    if not candidate.is_newer(rival):
        raise WriteConflictError(
            rival, f"superseded: {_describe(rival)} holds the same, refreshed at {refreshed_at(rival)}"
        )
    return rival


def _combine(head: Head, living: Head | None) -> Head:
    """Return the head as it continues the one that it replaces."""
    if living is None:
        return head
    changes: dict[str, Any] = {"created_at": min(head.created_at, living.created_at)}
    if isinstance(head, Device) and isinstance(living, Device):
        # The revision counts writes and must not go back.
        changes["writes"] = max(head.writes, living.writes + 1)
    return head.model_copy(update=changes)


def _replace(table: str, record: Head | Claim, found: Head | Claim | None) -> dict[str, Any]:
    if found is None:
        return create(table, record)
    condition, values = pin(found)
    return put(table, to_item(record), condition, **values)


def _remove(table: str, record: Head | Claim) -> dict[str, Any]:
    condition, values = pin(record)
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


def _describe(head: Head) -> str:
    return f"device {head.device_id}" if isinstance(head, Device) else f"KSID {getattr(head, 'ksid', '?')}"

"""Removal of registrations together with their claims, beside live traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pushreg.dynamodb import Session
from pushreg.errors import ConditionFailedError, ContendedError
from pushreg.schema import PLACES, Item
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    StoredClaim,
    StoredRegistration,
    check_absent,
    claims_of,
    key_of,
    remove_unchanged,
    table_of,
    target_key_of,
)
from pushreg_ops.records.items import StoredItem, StoredToken, UnreadableError, read
from pushreg_ops.records.related import ITEM_TYPES
from pushreg_ops.records.scanning import ReportCount, ignore
from pushreg_ops.registry import Registry

Outcome = Literal["removed", "gone", "changed", "unreadable"]

WORKERS = 8
# Attempts against traffic that keeps changing one registration.
MAX_ATTEMPTS = 20


class Remover:
    """Removes registrations of one registry, each in one transaction with the claims that lead to it.

    After a crash at any point each registration is either whole or gone, so that a second run removes the rest.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def remove(self, entity: StoredRegistration, is_wanted: Callable[[StoredRegistration], bool]) -> Outcome:
        """Remove what is stored now at the registration's key if `is_wanted` agrees, else return "changed".

        ContendedError if other callers changed it at every attempt.
        """
        name = self._registry.tables[table_of(entity)]
        for _ in range(MAX_ATTEMPTS):
            session = Session(self._registry.client, CALL_SECONDS)
            item = session.get(name, key_of(entity))
            if item is None:
                return "gone"
            try:
                current = type(entity).from_item(item)
            except UnreadableError:
                return "unreadable"
            if not is_wanted(current):
                return "changed"
            claims = claims_of(current)
            found = session.get_many(name, [key_of(claim) for claim in claims]) if claims else []
            writes = [remove_unchanged(name, current)]
            for claim, stored in zip(claims, found, strict=True):
                writes += _release(name, current, claim, stored)
            try:
                session.transact(writes)
            except ConditionFailedError:
                continue
            return "removed"
        raise ContendedError

    def remove_all(
        self,
        pages: Iterable[list[Item]],
        table: str,
        is_wanted: Callable[[StoredRegistration], bool],
        progress: ReportCount = ignore,
    ) -> Counter[Outcome]:
        """Remove the registrations among the items of the table and return how many had which outcome."""
        outcomes: Counter[Outcome] = Counter()
        with ThreadPoolExecutor(WORKERS) as workers:
            for page in pages:
                for outcome in workers.map(lambda item: self._remove_item(table, item, is_wanted), page):
                    if outcome is not None:
                        outcomes[outcome] += 1
                    progress(1)
        return outcomes

    def _remove_item(self, table: str, item: Item, is_wanted: Callable[[StoredRegistration], bool]) -> Outcome | None:
        try:
            record = parse_registration(table, item)
        except UnreadableError:
            return "unreadable"
        return self.remove(record, is_wanted) if record is not None else None


def parse_registration(table: str, item: Item) -> StoredRegistration | None:
    """Return the registration that the item stores, None if it is a claim; UnreadableError if it is neither."""
    record: StoredItem = StoredToken.from_item(item) if table == PLACES else read(item, ITEM_TYPES[table])
    return record if isinstance(record, StoredRegistration) else None


def _release(
    name: str, entity: StoredRegistration, claim: StoredClaim, item: Item | None
) -> Iterator[dict[str, object]]:
    """Yield the write for the entity's claim, given the stored item; none if that leads elsewhere."""
    if item is None:
        # `pushreg verify --repair` may be about to write the missing claim.
        yield check_absent(name, claim)
        return
    try:
        stored = type(claim).from_item(item)
    except UnreadableError:
        return
    if target_key_of(stored) == key_of(entity):
        yield remove_unchanged(name, stored)

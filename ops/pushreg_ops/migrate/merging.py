"""Bringing registrations into tables that are in use: what was refreshed last wins, and nothing is ever half done.

Rows that nothing stands in the way of come in by the batch, in one transaction. What meets something that stands is
settled alone: read, decided, and written in one transaction that is pinned on all that was read.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pushreg.dynamodb import Client, Session
from pushreg.errors import ConditionFailedError, StaleReadError, StoreError, WriteConflictError
from pushreg.schema import Item, Key
from pushreg_ops.migrate.conflicts import plan
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    Candidate,
    ItemName,
    StoredEntity,
    StoredRecord,
    create,
    is_alive,
    is_merged,
    key_of,
    name_of,
    table_of,
)
from pushreg_ops.records.items import UnreadableError

# Live traffic that changes the same rows this often, each time between a read and the write that builds on it.
MAX_ROUNDS = 20

Word = Literal["created", "updated", "unchanged", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a candidate; a refused one has a reason.

    `displaced` counts the registrations that held what it claims, were refreshed before it, and had to go.
    """

    word: Word
    reason: str | None = None
    displaced: int = 0


class Merger:
    """Merges batches into one registry; merging the same again changes nothing. Threads may share it.

    `keep` is given what is about to be displaced, and makes it durable.
    """

    def __init__(
        self,
        client: Client,
        tables: Mapping[str, str],
        epoch: int,
        keep: Callable[[StoredEntity], None],
        *,
        dry_run: bool = False,
    ) -> None:
        self._client = client
        self._tables = tables
        self._epoch = epoch
        self._keep = keep
        self._dry_run = dry_run
        # After a batch that was there already the next one may be too: then looking first is the shorter way.
        self._looks_first = dry_run

    def merge(self, candidates: Sequence[Candidate], token: str) -> list[Outcome]:
        """Return what became of each; after a StoreError some are merged, and all may be merged again.

        Given the same token within ten minutes, rows that are gone by then do not come back. No two candidates may
        touch the same item, nor all together more than 100.
        """
        outcomes: dict[int, Outcome] = {}
        pending = dict(enumerate(candidates))
        if self._looks_first:
            pending = self._sift(pending, outcomes)
        for _ in range(MAX_ROUNDS):
            if not pending or self._create(pending.values(), token):
                break
            pending = self._sift(pending, outcomes)
            token = uuid.uuid4().hex
        else:
            raise StoreError("TooMuchTraffic")
        self._looks_first = self._dry_run or not pending
        outcomes |= dict.fromkeys(pending, Outcome("created"))
        return [outcomes[index] for index in range(len(candidates))]

    def _create(self, candidates: Iterable[Candidate], token: str) -> bool:
        if self._dry_run:
            return True
        writes = [create(self._tables[table_of(record)], record) for each in candidates for record in each.records]
        try:
            self._session().transact(writes, token)
        except ConditionFailedError:
            return False
        except StoreError as error:
            # The token's first use was for more: some rows of the batch have been settled since.
            if error.code != "IdempotentParameterMismatchException":
                raise
            return False
        return True

    def _sift(self, pending: Mapping[int, Candidate], outcomes: dict[int, Outcome]) -> dict[int, Candidate]:
        """Settle those that something stands in the way of, and return the others."""
        found = self._look(pending.values())
        free = {}
        for index, candidate in pending.items():
            items = [found.get(name_of(record)) for record in candidate.records]
            if not any(items):
                free[index] = candidate
            elif self._is_there(candidate, items[0]):
                outcomes[index] = Outcome("unchanged")
            else:
                outcomes[index] = self._settle(candidate)
        return free

    def _look(self, candidates: Iterable[Candidate]) -> dict[ItemName, Item | None]:
        wanted: dict[str, list[StoredRecord]] = {}
        for candidate in candidates:
            for record in candidate.records:
                wanted.setdefault(self._tables[table_of(record)], []).append(record)
        found: dict[ItemName, Item | None] = {}
        for table, records in wanted.items():
            items = self._session().get_many(table, [key_of(record) for record in records])
            found.update(zip(map(name_of, records), items, strict=True))
        return found

    def _is_there(self, candidate: Candidate, item: Item | None) -> bool:
        if item is None:
            return False
        try:
            standing = type(candidate.head).from_item(item)
        except UnreadableError:
            return False
        return is_alive(standing, self._epoch) and is_merged(candidate, standing)

    def _settle(self, candidate: Candidate) -> Outcome:
        for _ in range(MAX_ROUNDS):
            try:
                step = plan(candidate, self._read, self._tables, self._epoch)
            except StaleReadError:
                continue
            except WriteConflictError as error:
                return Outcome("refused", str(error))
            if not step.writes:
                return Outcome("unchanged")
            if not self._dry_run:
                # Before it goes: afterwards a crash could lose it.
                for head in step.displaced:
                    self._keep(head)
                try:
                    self._session().transact(step.writes, uuid.uuid4().hex)
                except ConditionFailedError:
                    continue
            return Outcome("updated", displaced=len(step.displaced))
        raise StoreError("TooMuchTraffic")

    def _read(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        return self._session().get_snapshot(table, keys)

    def _session(self) -> Session:
        return Session(self._client, CALL_SECONDS)

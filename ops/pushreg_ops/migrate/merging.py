"""Merges registrations into tables that are in use; the most recently refreshed registration wins.

Candidates without a conflict are created in batches, one transaction each. A candidate that conflicts with existing
items is resolved alone: read, decide, and write in one transaction conditioned on everything that was read.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pushreg.dynamodb import Client, Session
from pushreg.errors import ConditionFailedError, StaleReadError, StoreError, WriteConflictError
from pushreg.schema import Item, Key, digest
from pushreg_ops.auditing import IMPORTED, Auditor
from pushreg_ops.migrate.conflicts import plan
from pushreg_ops.migrate.formats.candidates import Candidate, is_merged
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    ItemName,
    StoredEntity,
    StoredRecord,
    create,
    is_alive,
    key_of,
    name_of,
    table_of,
)
from pushreg_ops.records.items import UnreadableError

# Give up after this many optimistic locking failures for the same rows.
MAX_ROUNDS = 20

Word = Literal["created", "updated", "unchanged", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a candidate; a refused one has a reason.

    `superseded` is the number of older registrations that held its claims and were removed.
    """

    word: Word
    reason: str | None = None
    superseded: int = 0


class Merger:
    """Merges batches into one registry; idempotent and thread-safe.

    `keep` receives each superseded registration before its removal and makes it durable.
    """

    def __init__(
        self,
        client: Client,
        tables: Mapping[str, str],
        epoch: int,
        keep: Callable[[StoredEntity], None],
        auditor: Auditor,
        *,
        dry_run: bool = False,
    ) -> None:
        self._client = client
        self._tables = tables
        self._epoch = epoch
        self._keep = keep
        self._auditor = auditor
        self._dry_run = dry_run
        # After a batch that existed already, read before writing: the next one probably exists too.
        self._reads_first = dry_run

    def merge(self, candidates: Sequence[Candidate], token: str) -> list[Outcome]:
        """Return the outcome of each; after a StoreError some are merged, and all may be merged again.

        `token` is the idempotency token: repeated within ten minutes, rows deleted in between are not created again.
        No two candidates may affect the same item, and all together at most 100 items.
        """
        outcomes: dict[int, Outcome] = {}
        pending = dict(enumerate(candidates))
        if self._reads_first:
            pending = self._settle_conflicts(pending, outcomes)
        for _ in range(MAX_ROUNDS):
            if not pending or self._create(pending.values(), token):
                break
            pending = self._settle_conflicts(pending, outcomes)
            token = uuid.uuid4().hex
        else:
            raise StoreError("TooMuchTraffic")
        self._reads_first = self._dry_run or not pending
        outcomes |= dict.fromkeys(pending, Outcome("created"))
        return [outcomes[index] for index in range(len(candidates))]

    def _create(self, candidates: Iterable[Candidate], token: str) -> bool:
        if self._dry_run:
            return True
        writes = []
        for each in candidates:
            writes += [create(self._tables[table_of(record)], record) for record in each.records]
            writes += self._audit(each, token)
        try:
            self._session().transact(writes, token)
        except ConditionFailedError:
            return False
        except StoreError as error:
            # The token was first used for more rows; some of them have been resolved since.
            if error.code != "IdempotentParameterMismatchException":
                raise
            return False
        return True

    def _settle_conflicts(self, pending: Mapping[int, Candidate], outcomes: dict[int, Outcome]) -> dict[int, Candidate]:
        """Resolve the candidates that conflict with existing items, and return the others."""
        found = self._read_items(pending.values())
        free = {}
        for index, candidate in pending.items():
            items = [found.get(name_of(record)) for record in candidate.records]
            if not any(items):
                free[index] = candidate
            elif self._exists(candidate, items[0]):
                outcomes[index] = Outcome("unchanged")
            else:
                outcomes[index] = self._resolve(candidate)
        return free

    def _read_items(self, candidates: Iterable[Candidate]) -> dict[ItemName, Item | None]:
        wanted: dict[str, list[StoredRecord]] = {}
        for candidate in candidates:
            for record in candidate.records:
                wanted.setdefault(self._tables[table_of(record)], []).append(record)
        found: dict[ItemName, Item | None] = {}
        for table, records in wanted.items():
            items = self._session().get_many(table, [key_of(record) for record in records])
            found.update(zip(map(name_of, records), items, strict=True))
        return found

    def _exists(self, candidate: Candidate, item: Item | None) -> bool:
        if item is None:
            return False
        try:
            existing = type(candidate.entity).from_item(item)
        except UnreadableError:
            return False
        return is_alive(existing, self._epoch) and is_merged(candidate, existing)

    def _resolve(self, candidate: Candidate) -> Outcome:
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
                # Save it before the removal, or a crash in between would lose it.
                for entity in step.superseded:
                    self._keep(entity)
                try:
                    token = uuid.uuid4().hex
                    self._session().transact([*step.writes, *self._audit(candidate, token)], token)
                except ConditionFailedError:
                    continue
            return Outcome("updated", superseded=len(step.superseded))
        raise StoreError("TooMuchTraffic")

    def _audit(self, candidate: Candidate, token: str) -> list[dict[str, Any]]:
        if not candidate.is_audited:
            return []
        key = key_of(candidate.entity)
        # Derived from the token: a transaction that repeats it must contain the same writes.
        return [self._auditor.record("add", key, IMPORTED, digest(f"{token} {key['record']}"))]

    def _read(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        return self._session().get_snapshot(table, keys)

    def _session(self) -> Session:
        return Session(self._client, CALL_SECONDS)

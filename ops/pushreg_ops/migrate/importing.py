"""The import loop: rows are read in order, merged by several workers and counted as done in order."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pushreg.errors import StoreError
from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.files import Checkpoint, RejectFile
from pushreg_ops.migrate.formats.candidates import Candidate, measure
from pushreg_ops.migrate.formats.rows import Converter, RowError
from pushreg_ops.migrate.merging import Merger, Outcome
from pushreg_ops.migrate.owners import Owners
from pushreg_ops.migrate.sources import Row, Source
from pushreg_ops.records.entities import ItemName, name_of

# DynamoDB's limits are 100 writes and 4 MB per transaction.
MAX_WRITES = 100
MAX_BYTES = 3_000_000
# Rows without a registration cause no writes, but progress must still be saved from time to time.
MAX_ROWS = 2000
SAVE_SECONDS = 1.0
# Reasons for rejections that are counted apart.
MAX_REASONS = 100
# How long to retry while the store fails, and the longest pause between attempts, in seconds.
RETRY_SECONDS = 120.0
MAX_PAUSE = 10.0


@dataclass(slots=True)
class Batch:
    """Consecutive rows, the candidates among them and the outcomes known so far."""

    start: int
    rows: list[Row] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    names: set[ItemName] = field(default_factory=set)
    needs: set[ItemName] = field(default_factory=set)
    writes: int = 0
    size: int = 0

    def add(self, row: Row, candidate: Candidate | None, outcome: Outcome | None) -> bool:
        """Add the row if its writes fit into the batch, and return whether they did."""
        names: set[ItemName] = set()
        needs: frozenset[ItemName] = frozenset()
        writes = size = 0
        if candidate is not None:
            names, needs = {name_of(record) for record in candidate.records}, candidate.needs
            writes, size = candidate.writes, sum(map(measure, candidate.records))
        fits = self.writes + writes <= MAX_WRITES and self.size + size <= MAX_BYTES
        if self.rows and not (fits and len(self.rows) < MAX_ROWS and self.names.isdisjoint(names | needs)):
            return False
        if candidate is not None:
            self.candidates[len(self.rows)] = candidate
        if outcome is not None:
            self.outcomes[len(self.rows)] = outcome
        self.rows.append(row)
        self.names |= names
        self.needs |= needs
        self.writes += writes
        self.size += size
        return True


class Importer:
    """Imports the rows of a source; `progress` receives the position in the source and the rows done."""

    def __init__(
        self,
        source: Source,
        convert: Converter,
        merger: Merger,
        owners: Owners,
        checkpoint: Checkpoint,
        path: Path | None,
        rejects: RejectFile,
        *,
        workers: int = 4,
        progress: Callable[[int, int], None] = lambda position, rows: None,
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._convert = convert
        self._merger = merger
        self._owners = owners
        self._checkpoint = checkpoint
        self._path = path
        self._rejects = rejects
        self._workers = workers
        self._progress = progress
        self._sleep = sleep
        self._timer = timer
        self._counts = Counter(checkpoint.counts)
        self._reasons = Counter(checkpoint.reasons)
        self._saved_at = timer()

    def run(self) -> Counter[str]:
        """Import the remaining rows and return the counts of all; on OperatorError the progress is saved."""
        pending: deque[tuple[Batch, Future[None]]] = deque()
        names: set[ItemName] = set()
        with ThreadPoolExecutor(self._workers, "import") as pool:
            try:
                for batch in self._batches():
                    # Rows that affect the same item keep their order.
                    while len(pending) >= 2 * self._workers or not names.isdisjoint(batch.names | batch.needs):
                        self._finish(pending, names)
                    names |= batch.names
                    pending.append((batch, pool.submit(self._merge, batch)))
                while pending:
                    self._finish(pending, names)
            finally:
                for _, future in pending:
                    future.cancel()
                self._save()
        return self._counts

    def _batches(self) -> Iterator[Batch]:
        batch = Batch(self._checkpoint.rows)
        for row in self._source.read(self._checkpoint.rows):
            candidate, outcome = self._read(row)
            if not batch.add(row, candidate, outcome):
                yield batch
                batch = Batch(batch.start + len(batch.rows))
                batch.add(row, candidate, outcome)
        if batch.rows:
            yield batch

    def _read(self, row: Row) -> tuple[Candidate | None, Outcome | None]:
        if row.fault is not None:
            return None, Outcome("refused", row.fault)
        content = row.content
        # A reject file can be imported again: unwrap the row in its line.
        if isinstance(content, dict) and content.keys() - {"line"} == {"reason", "row", "record"}:
            content = content["record"]
        try:
            candidate = self._convert(content)
        except RowError as error:
            return None, Outcome("refused", str(error))
        return candidate, None if candidate is not None else Outcome("skipped")

    def _merge(self, batch: Batch) -> None:
        candidates = dict(batch.candidates)
        pause, deadline = 0.5, self._timer() + RETRY_SECONDS
        while True:
            try:
                for index, reason in self._owners.find_unknown(candidates).items():
                    batch.outcomes[index] = Outcome("refused", reason)
                    del candidates[index]
                outcomes = self._merger.merge([*candidates.values()], self._token(batch))
            except StoreError as error:
                if self._timer() + pause > deadline:
                    raise OperatorError(f"the store does not answer ({error.code})") from error
                self._sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
            else:
                batch.outcomes |= zip(candidates, outcomes, strict=True)
                self._owners.note(candidates.values())
                return

    def _token(self, batch: Batch) -> str:
        content = repr((self._checkpoint.run_id, batch.start, [row.content for row in batch.rows]))
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _finish(self, pending: deque[tuple[Batch, Future[None]]], names: set[ItemName]) -> None:
        batch, future = pending[0]
        future.result()
        pending.popleft()
        names -= batch.names
        for index, row in enumerate(batch.rows):
            outcome = batch.outcomes[index]
            self._counts[outcome.word] += 1
            if outcome.word == "refused":
                place = {"row": batch.start + index + 1} | ({} if row.line is None else {"line": row.line})
                self._rejects.write({"reason": outcome.reason, **place, "record": row.content})
                self._reasons[group_reason(outcome.reason or "")] += 1
            self._counts["displaced"] += outcome.superseded
        self._checkpoint.rows = batch.start + len(batch.rows)
        self._progress(batch.rows[-1].position, self._checkpoint.rows)
        if self._timer() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        self._checkpoint.counts = dict(self._counts)
        self._checkpoint.reasons = dict(self._reasons.most_common(MAX_REASONS))
        self._checkpoint.rejects_size = self._rejects.sync()
        # There is nothing to resume before the first row is done.
        if self._path is not None and self._checkpoint.rows:
            self._checkpoint.save(self._path)
        self._saved_at = self._timer()


def group_reason(reason: str) -> str:
    """Return the reason without what differs from row to row."""
    if reason.startswith("unknown "):
        return " ".join(reason.split(" ")[:2])
    if reason.startswith("superseded"):
        return "superseded by a newer registration"
    return reason

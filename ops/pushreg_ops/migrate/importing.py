"""An import: rows in the order of the source, merged by several workers, counted as done in that same order."""

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
from pushreg_ops.migrate.formats.rows import Converter, RowError
from pushreg_ops.migrate.merging import Merger, Outcome
from pushreg_ops.migrate.owners import Owners
from pushreg_ops.migrate.sources import Row, Source
from pushreg_ops.records.entities import Candidate, ItemName, measure, name_of

# A transaction takes 100 writes and 4 MB.
MAX_WRITES = 100
MAX_BYTES = 3_000_000
# Rows that are about something else cost no write, but their number must be known now and then.
MAX_ROWS = 2000
SAVE_SECONDS = 1.0
# How long a store that gives no answer is waited for, and the pauses between attempts.
PATIENCE = 120.0
MAX_PAUSE = 10.0


@dataclass(slots=True)
class Batch:
    """Consecutive rows, those of them that can be merged, and what became of the others."""

    start: int
    rows: list[Row] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    names: set[ItemName] = field(default_factory=set)
    needs: set[ItemName] = field(default_factory=set)
    size: int = 0

    def add(self, row: Row, candidate: Candidate | None, outcome: Outcome | None) -> bool:
        """Add a row unless there is no room for what it writes, and tell whether it was added."""
        names: set[ItemName] = set()
        needs: frozenset[ItemName] = frozenset()
        size = 0
        if candidate is not None:
            names, needs = {name_of(record) for record in candidate.records}, candidate.needs
            size = sum(map(measure, candidate.records))
        fits = len(self.names) + len(names) <= MAX_WRITES and self.size + size <= MAX_BYTES
        if self.rows and not (fits and len(self.rows) < MAX_ROWS and self.names.isdisjoint(names | needs)):
            return False
        if candidate is not None:
            self.candidates[len(self.rows)] = candidate
        if outcome is not None:
            self.outcomes[len(self.rows)] = outcome
        self.rows.append(row)
        self.names |= names
        self.needs |= needs
        self.size += size
        return True


class Importer:
    """Brings a source's rows into a registry; `progress` is told the position in the source and the rows done."""

    def __init__(
        self,
        source: Source,
        convert: Converter,
        merger: Merger,
        owners: Owners,
        checkpoint: Checkpoint,
        path: Path | None,
        refusals: RejectFile,
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
        self._refusals = refusals
        self._workers = workers
        self._progress = progress
        self._sleep = sleep
        self._timer = timer
        self._counts = Counter(checkpoint.counts)
        self._saved_at = timer()

    def run(self) -> Counter[str]:
        """Import what is left and return the counts of the whole; OperatorError, with all done so far kept, if not."""
        pending: deque[tuple[Batch, Future[None]]] = deque()
        names: set[ItemName] = set()
        with ThreadPoolExecutor(self._workers, "import") as pool:
            try:
                for batch in self._batches():
                    # Rows that touch the same item keep their order.
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
        # A line of a reject file stands for the row in it.
        if isinstance(content, dict) and content.keys() == {"reason", "row", "record"}:
            content = content["record"]
        try:
            candidate = self._convert(content)
        except RowError as error:
            return None, Outcome("refused", str(error))
        return candidate, None if candidate is not None else Outcome("skipped")

    def _merge(self, batch: Batch) -> None:
        candidates = dict(batch.candidates)
        pause, deadline = 0.5, self._timer() + PATIENCE
        while True:
            try:
                for index, reason in self._owners.find_unknown(candidates).items():
                    batch.outcomes[index] = Outcome("refused", reason)
                    del candidates[index]
                outcomes = self._merger.merge([*candidates.values()], self._token(batch))
            except StoreError as error:
                if self._timer() + pause > deadline:
                    raise OperatorError(f"the store gives no usable answer ({error.code})") from error
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
                number = batch.start + index + 1
                self._refusals.write({"reason": outcome.reason, "row": number, "record": row.content})
            self._counts["displaced"] += outcome.displaced
        self._checkpoint.rows = batch.start + len(batch.rows)
        self._progress(batch.rows[-1].position, self._checkpoint.rows)
        if self._timer() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        self._checkpoint.counts = dict(self._counts)
        self._checkpoint.refusals_size = self._refusals.sync()
        # Without a row done there is nothing to go on from.
        if self._path is not None and self._checkpoint.rows:
            self._checkpoint.save(self._path)
        self._saved_at = self._timer()

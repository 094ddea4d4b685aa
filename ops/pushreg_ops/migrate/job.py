"""One import from start, or checkpoint, to end, with its files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pushreg.clock import Clock, now
from pushreg.schema import DAY
from pushreg_local.errors import OperatorError, StoppedError
from pushreg_ops.auditing import Auditor
from pushreg_ops.migrate.files import Checkpoint, RejectFile, SupersededFile
from pushreg_ops.migrate.formats.pushreg import to_line
from pushreg_ops.migrate.formats.rows import Converter, ImportRun
from pushreg_ops.migrate.importing import Importer
from pushreg_ops.migrate.merging import Merger
from pushreg_ops.migrate.owners import Owners
from pushreg_ops.migrate.sources import Source
from pushreg_ops.records.entities import StoredEntity
from pushreg_ops.registry import Registry

ReportPosition = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportJob:
    """What to import and how; `state` is the path prefix of its files.

    `settings` are the options that affect what is written.
    """

    registry: Registry
    source: Source
    create_converter: Callable[[ImportRun], Converter]
    settings: dict[str, Any]
    state: Path
    stale_after_days: Mapping[str, int]
    adds_missing: bool = False
    dry_run: bool = False
    workers: int = 4
    sleep: Callable[[float], None] = time.sleep

    @property
    def checkpoint_path(self) -> Path:
        """The checkpoint file."""
        return self._path("checkpoint.json")

    @property
    def rejects_path(self) -> Path:
        """The file of rejected rows."""
        # A dry run must not overwrite what an import rejected.
        return self._path("dry-run.rejected.jsonl" if self.dry_run else "rejected.jsonl")

    @property
    def superseded_path(self) -> Path:
        """The file of superseded registrations."""
        return self._path("displaced.jsonl")

    def open_checkpoint(self, *, restart: bool, clock: Clock = now) -> Checkpoint:
        """Return the checkpoint to start from; OperatorError if the stored one belongs to another import."""
        identity = {
            "source": self.source.fingerprint,
            "registry": [self.registry.description, *sorted(self.registry.tables.values())],
            "settings": {**self.settings, "stale_after_days": dict(self.stale_after_days), "adds": self.adds_missing},
        }
        begun = None
        if not (restart or self.dry_run):
            begun = Checkpoint.load(self.checkpoint_path, identity)
        return begun or Checkpoint(identity, int(clock().timestamp()))

    def run(self, checkpoint: Checkpoint, progress: ReportPosition = lambda position, rows: None) -> Counter[str]:
        """Import the remaining rows and return the counts of all; OperatorError says how to resume."""
        run = ImportRun(checkpoint.epoch, {table: days * DAY for table, days in self.stale_after_days.items()})
        client = self.registry.client
        superseded = SupersededFile(self.superseded_path)

        def keep(entity: StoredEntity) -> None:
            superseded.write({"reason": f"superseded by {self.source.name}", "row": None, "record": to_line(entity)})

        auditor = Auditor(self.registry, lambda: datetime.fromtimestamp(run.epoch, UTC))
        merger = Merger(client, self.registry.tables, run.epoch, keep, auditor, dry_run=self.dry_run)
        owners = Owners(
            client, self.registry.directory, run.moment, auditor, adds=self.adds_missing, dry_run=self.dry_run
        )
        rejects = RejectFile(self.rejects_path, checkpoint.rejects_size)
        path = None if self.dry_run else self.checkpoint_path
        importer = Importer(
            self.source,
            self.create_converter(run),
            merger,
            owners,
            checkpoint,
            path,
            rejects,
            workers=self.workers,
            progress=progress,
            sleep=self.sleep,
        )
        try:
            counts = importer.run()
        except (OperatorError, KeyboardInterrupt) as error:
            kind, reason = (StoppedError, "stopped") if isinstance(error, KeyboardInterrupt) else (OperatorError, error)
            if path is not None and (checkpoint.rows or kind is StoppedError):
                reason = f"{reason}; {checkpoint.rows:,} rows are done: run the same command again to resume"
            raise kind(str(reason)) from error
        finally:
            size = rejects.sync()
            rejects.close()
            if not size:
                self.rejects_path.unlink(missing_ok=True)
        if not checkpoint.rows:
            raise OperatorError(f"{self.source.name} has no rows: does --from name the right format?")
        if path is not None:
            path.unlink(missing_ok=True)
        return counts

    def _path(self, suffix: str) -> Path:
        return self.state.with_name(f"{self.state.name}.{suffix}")

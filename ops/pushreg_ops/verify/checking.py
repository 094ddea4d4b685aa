"""Reads all tables for violations, one page and the items related to it at a time, beside live traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pushreg.schema import TABLE_KEYS, Item, is_alive
from pushreg_ops.records.invariants import Violation
from pushreg_ops.records.related import RelatedReader
from pushreg_ops.records.scanning import ReportCount, ignore, scan
from pushreg_ops.registry import Registry

# Stop here; repair what was found and verify again.
MAX_FINDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A confirmed violation in the table of this logical id."""

    table: str
    violation: Violation


class Verifier:
    """Reads a registry once; `counts` has the number of items and of expired items by table."""

    def __init__(self, registry: Registry, epoch: int, progress: ReportCount) -> None:
        self._registry = registry
        self._epoch = epoch
        self._progress = progress
        self._reader = RelatedReader(registry.client, registry.tables, epoch)
        self.counts: Counter[tuple[str, str]] = Counter()

    def find(self) -> Iterator[Finding]:
        """Yield each violation once, up to MAX_FINDINGS.

        Pages are read beside live traffic, so each suspicion is confirmed by a transactional read.
        """
        seen: set[str] = set()
        for table in TABLE_KEYS:
            for page in scan(self._registry.client, self._registry.tables[table], self._progress):
                self.counts[table, "items"] += len(page)
                self.counts[table, "expired"] += sum(has_expired(item, self._epoch) for item in page)
                for suspicion in self._reader.check_page(table, page):
                    for violation in self._reader.check_again(table, suspicion):
                        name = f"{table} {violation!r}"
                        if name in seen:
                            continue
                        if len(seen) == MAX_FINDINGS:
                            return
                        seen.add(name)
                        yield Finding(table, violation)


def has_expired(item: Item, epoch: int) -> bool:
    """Whether the item has expired but DynamoDB has not removed it yet."""
    expires_at = item.get("expires_at")
    return isinstance(expires_at, int) and not is_alive(expires_at, epoch)


def verify(registry: Registry, epoch: int, progress: ReportCount = ignore) -> tuple[Verifier, list[Finding]]:
    """Read all tables once and return the verifier, with its counts, and the findings."""
    verifier = Verifier(registry, epoch, progress)
    return verifier, list(verifier.find())

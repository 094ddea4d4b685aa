"""Counts of registrations by kind and age, collected in one scan with constant memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from pushreg.codecs import json
from pushreg.schema import DAY, DEVICES, PLACES, REGISTRATION_PREFIXES, SUBSCRIBERS
from pushreg_ops.records.items import StoredDevice, StoredSubscriber, StoredToken, UnreadableError
from pushreg_ops.records.scanning import ReportCount, scan
from pushreg_ops.registry import Registry

MAX_OWNERS = 10
# Days since the last refresh; 270 is when FCM drops a token.
AGES = (1, 7, 30, 90, 180, 270)
_SPANS = [
    f"under {AGES[0]} day",
    *(f"{begin} to {end} days" for begin, end in pairwise(AGES)),
    f"{AGES[-1]} days or more",
]


@dataclass(slots=True)
class FamilyCounts:
    """Counts of one family; `owners` are the accounts or places with the most registrations."""

    living: int = 0
    expired: int = 0
    unreadable: int = 0
    owner_count: int = 0
    platforms: Counter[str] = field(default_factory=Counter)
    applications: Counter[str] = field(default_factory=Counter)
    inactive: int = 0
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    owners: list[tuple[int, str]] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """Return the counts as JSON-compatible data."""
        return {
            "registrations": self.living,
            "inactive": self.inactive,
            "expired": self.expired,
            "unreadable": self.unreadable,
            "platforms": dict(self.platforms.most_common()),
            "applications": dict(self.applications.most_common()),
            "owners": self.owner_count,
            "largest_owners": {name: count for count, name in sorted(self.owners, reverse=True)},
            "last_refresh": dict(zip(_SPANS, self.ages, strict=True)),
        }


class Statistics:
    """Counts the registrations of one registry; expiry and age are judged at `epoch`."""

    def __init__(self, registry: Registry, epoch: int, progress: ReportCount) -> None:
        self._registry = registry
        self._epoch = epoch
        self._progress = progress

    def collect(self) -> dict[str, FamilyCounts]:
        """Return the counts by family."""
        return {
            "kazoo": self._count(DEVICES, StoredDevice, "account_id"),
            "engagement": self._count(SUBSCRIBERS, StoredSubscriber, None),
            "places": self._count(PLACES, StoredToken, "place_id"),
        }

    def _count(
        self, table: str, kind: type[StoredDevice | StoredSubscriber | StoredToken], owner: str | None
    ) -> FamilyCounts:
        counts = FamilyCounts()
        current, size = None, 0
        for item in self._read(table):
            try:
                entity = kind.from_item(item)
            except UnreadableError:
                counts.unreadable += 1
                continue
            if not entity.is_alive(self._epoch):
                counts.expired += 1
                continue
            self._add(counts, entity)
            # A scan returns the items of a partition one after the other, so one counter is enough.
            if owner is not None:
                if item[owner] != current:
                    _close(counts, current, size)
                    current, size = item[owner], 0
                size += 1
        _close(counts, current, size)
        return counts

    def _read(self, table: str) -> Iterator[dict[str, Any]]:
        prefix = REGISTRATION_PREFIXES.get(table)
        name = self._registry.tables[table]
        if prefix is None:
            pages = scan(self._registry.client, name, self._progress)
        else:
            condition = "begins_with(#record, :prefix)"
            pages = scan(self._registry.client, name, self._progress, condition, prefix=prefix)
        for page in pages:
            yield from page

    def _add(self, counts: FamilyCounts, entity: StoredDevice | StoredSubscriber | StoredToken) -> None:
        counts.living += 1
        age = self._epoch - int(datetime.fromisoformat(entity.updated_at).timestamp())
        counts.ages[next((index for index, days in enumerate(AGES) if age < days * DAY), len(AGES))] += 1
        match entity:
            case StoredDevice():
                counts.platforms[json.decode(entity.document.encode()).get("platform", "unknown")] += 1
                counts.applications[entity.app_name] += 1
            case StoredSubscriber():
                counts.platforms[entity.osType] += 1
                counts.applications[entity.appId] += 1
                counts.inactive += not entity.active


def _close(counts: FamilyCounts, owner: str | None, size: int) -> None:
    if owner is None:
        return
    counts.owner_count += 1
    heapq.heappush(counts.owners, (size, owner))
    if len(counts.owners) > MAX_OWNERS:
        heapq.heappop(counts.owners)

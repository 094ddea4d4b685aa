"""How many registrations there are, of what kind and how fresh, counted in one pass and little memory."""

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
from pushreg_ops.records.items import ExpiringItem, StoredDevice, StoredSubscriber, StoredToken, UnreadableError
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


Registration = StoredDevice | StoredSubscriber | StoredToken


@dataclass(slots=True)
class FamilyCounts:
    """What was counted of one family; `owners` are the accounts or places with most registrations."""

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
        """Return the counts for machines."""
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
    """Counts one registry as it is at `epoch`."""

    def __init__(self, registry: Registry, epoch: int, progress: ReportCount) -> None:
        self._registry = registry
        self._epoch = epoch
        self._progress = progress

    def take(self) -> dict[str, FamilyCounts]:
        """Return the tally of each family."""
        return {
            "kazoo": self._count(DEVICES, StoredDevice, "account_id"),
            "engagement": self._count(SUBSCRIBERS, StoredSubscriber, None),
            "places": self._count(PLACES, StoredToken, "place_id"),
        }

    def _count(
        self, table: str, kind: type[StoredDevice | StoredSubscriber | StoredToken], owner: str | None
    ) -> FamilyCounts:
        tally = FamilyCounts()
        current, size = None, 0
        for item in self._read(table):
            try:
                head = kind.from_item(item)
            except UnreadableError:
                tally.unreadable += 1
                continue
            if isinstance(head, ExpiringItem) and not head.is_alive(self._epoch):
                tally.expired += 1
                continue
            self._add(tally, head)
            # The rows of a partition follow each other in a scan, so only one is open at any time.
            if owner is not None:
                if item[owner] != current:
                    _close(tally, current, size)
                    current, size = item[owner], 0
                size += 1
        _close(tally, current, size)
        return tally

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

    def _add(self, tally: FamilyCounts, head: StoredDevice | StoredSubscriber | StoredToken) -> None:
        tally.living += 1
        age = self._epoch - int(datetime.fromisoformat(head.updated_at).timestamp())
        tally.ages[next((index for index, days in enumerate(AGES) if age < days * DAY), len(AGES))] += 1
        match head:
            case StoredDevice():
                tally.platforms[json.decode(head.document.encode()).get("platform", "unknown")] += 1
                tally.applications[head.app_name] += 1
            case StoredSubscriber():
                tally.platforms[head.osType] += 1
                tally.applications[head.appId] += 1
                tally.inactive += not head.active


def _close(tally: FamilyCounts, owner: str | None, size: int) -> None:
    if owner is None:
        return
    tally.owner_count += 1
    heapq.heappush(tally.owners, (size, owner))
    if len(tally.owners) > MAX_OWNERS:
        heapq.heappop(tally.owners)

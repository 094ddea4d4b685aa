"""Export of a registry as JSON-compatible lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from pushreg.schema import (
    AUDIT_PREFIX,
    DEVICES,
    DIRECTORY,
    PLACES,
    REGISTRATION_PREFIXES,
    SUBSCRIBERS,
    Item,
    entry_prefix,
)
from pushreg_ops.migrate.formats.pushreg import ENTRIES, to_line
from pushreg_ops.records.entities import is_alive
from pushreg_ops.records.items import StoredDevice, StoredItem, StoredSubscriber, StoredToken, UnreadableError, read
from pushreg_ops.records.scanning import ReportCount, scan
from pushreg_ops.registry import Registry

TABLE_OF_FAMILY = {"directory": DIRECTORY, "kazoo": DEVICES, "engagement": SUBSCRIBERS, "places": PLACES}
_ITEM_TYPES: dict[str, dict[str, type[StoredItem]]] = {
    "directory": {**ENTRIES},
    "kazoo": {"device": StoredDevice},
    "engagement": {"ksid": StoredSubscriber},
}


class Exporter:
    """Reads a registry; `counts` has the lines by family and the items skipped as expired at `epoch` or unreadable."""

    def __init__(self, registry: Registry, epoch: int, progress: ReportCount, *, with_keys: bool = False) -> None:
        self._registry = registry
        self._epoch = epoch
        self._progress = progress
        self._with_keys = with_keys
        self.counts: Counter[str] = Counter()

    def read(self, families: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield a line for each unexpired registration; the directory's lines come first.

        The export is not a snapshot: a mobile device that moves during it can appear at its old and its new device. An
        import keeps the newer one.
        """
        for family in (each for each in TABLE_OF_FAMILY if each in families):
            table = self._registry.tables[TABLE_OF_FAMILY[family]]
            for page in self._scan(family, table):
                for item in page:
                    line = self._read(family, item)
                    if line is not None:
                        self.counts[family] += 1
                        yield line

    def _scan(self, family: str, table: str) -> Iterator[list[Item]]:
        prefix = REGISTRATION_PREFIXES.get(TABLE_OF_FAMILY[family])
        if prefix is None:
            return scan(self._registry.client, table, self._progress)
        condition = "begins_with(#record, :prefix)"
        return scan(self._registry.client, table, self._progress, condition, prefix=prefix)

    def _read(self, family: str, item: Item) -> dict[str, Any] | None:
        if family == "directory":
            record = str(item.get("record"))
            is_key = record.startswith((entry_prefix("credential"), entry_prefix("issuer")))
            # Audit entries tell of this registry's changes alone.
            if record.startswith(AUDIT_PREFIX) or (is_key and not self._with_keys):
                return None
        try:
            entity: Any = StoredToken.from_item(item) if family == "places" else read(item, _ITEM_TYPES[family])
            if not is_alive(entity, self._epoch):
                self.counts["expired"] += 1
                return None
            return to_line(entity)
        except UnreadableError:
            self.counts["unreadable"] += 1
            return None

"""Reads items together with the items that must agree with them, and checks the invariants on a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from pushreg.dynamodb import MAX_KEYS, Client, Session
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, TABLE_KEYS, Item, Key, place_key
from pushreg_ops.records.entities import CALL_SECONDS, claims_of, key_of, target_key_of
from pushreg_ops.records.invariants import (
    Violation,
    check_devices,
    check_directory,
    check_places,
    check_subscribers,
)
from pushreg_ops.records.items import (
    DeviceClaim,
    MobileClaim,
    SidClaim,
    StoredDevice,
    StoredItem,
    StoredSubscriber,
    StoredToken,
    UnreadableError,
    read,
)

ITEM_TYPES: Mapping[str, Mapping[str, type[StoredItem]]] = {
    DEVICES: {"device": StoredDevice, "mobile": MobileClaim},
    SUBSCRIBERS: {"ksid": StoredSubscriber, "device": DeviceClaim, "sid": SidClaim},
}

Check = Callable[[Iterable[Item]], Iterable[Violation]]


class RelatedReader:
    """Checks items of a registry together with their claims and entities."""

    def __init__(self, client: Client, tables: Mapping[str, str], epoch: int) -> None:
        self._client = client
        self._tables = tables
        self._checks: dict[str, Check] = {
            DEVICES: partial(check_devices, epoch=epoch),
            SUBSCRIBERS: partial(check_subscribers, epoch=epoch),
            PLACES: check_places,
            DIRECTORY: check_directory,
        }

    def check_page(self, table: str, page: Sequence[Item]) -> list[Violation]:
        """Return possible violations in a page of a scan, to be confirmed by `check_again`."""
        own = [key_in(table, item) for item in page]
        known = set(map(freeze, own))
        missing = {freeze(key): key for item in page for key in find_related(table, item)}
        wanted = [key for frozen, key in missing.items() if frozen not in known]
        found = [item for item in self._session().get_many(self._tables[table], wanted) if item is not None]
        violations = self._checks[table]([*page, *found])
        return [each for each in violations if not known.isdisjoint(map(freeze, each.keys))]

    def check_again(self, table: str, suspicion: Violation) -> list[Violation]:
        """Return the violations that a transactional read of the suspicion's items confirms."""
        items = self.read_around(table, suspicion.keys)
        core = set(map(freeze, suspicion.keys))
        known = set(items)
        present = [item for item in items.values() if item is not None]
        return [
            each
            for each in self._checks[table](present)
            # Items on the edge may be incomplete: not all of their claims were read.
            if known.issuperset(map(freeze, each.keys)) and not core.isdisjoint(map(freeze, each.keys))
        ]

    def read_around(self, table: str, keys: Sequence[Key]) -> dict[frozenset[tuple[str, str]], Item | None]:
        """Return a snapshot of the items and all related items, None for those that do not exist."""
        wanted = {freeze(key): key for key in keys}
        while True:
            found = self._session().get_snapshot(self._tables[table], [*wanted.values()][:MAX_KEYS])
            items = dict(zip(wanted, found, strict=False))
            near = [items.get(freeze(key)) for key in keys]
            more = {freeze(key): key for item in near if item is not None for key in find_related(table, item)}
            if more.keys() <= wanted.keys() or len(wanted) >= MAX_KEYS:
                return items
            wanted |= more

    def _session(self) -> Session:
        return Session(self._client, CALL_SECONDS)


def find_related(table: str, item: Item) -> list[Key]:
    """Return the keys of the items that must agree with this one, possibly its own; none if it is unreadable."""
    try:
        if table == PLACES:
            row = StoredToken.from_item(item)
            return [place_key(row.place_id, row.device_token)]
        record = read(item, ITEM_TYPES.get(table, {}))
    except UnreadableError:
        return []
    if isinstance(record, StoredDevice | StoredSubscriber):
        return [key_of(claim) for claim in claims_of(record)]
    if isinstance(record, MobileClaim | DeviceClaim | SidClaim):
        return [target_key_of(record)]
    return []


def key_in(table: str, item: Item) -> Key:
    """Return the item's key."""
    return {name: item[name] for name in TABLE_KEYS[table]}


def freeze(key: Key) -> frozenset[tuple[str, str]]:
    """Return the key in hashable form."""
    return frozenset(key.items())

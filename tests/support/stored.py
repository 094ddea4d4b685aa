"""The tables: created with the demo data, read, changed, cleared, and checked against the invariants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto import mock_aws
from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from pushreg.dynamodb import from_attributes, to_attributes
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    PLACES,
    SUBSCRIBERS,
    TABLE_KEYS,
    Item,
    Key,
    device_key,
    digest,
    ksid_key,
    mobile_claim_key,
    place_key,
)
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID, list_entries
from pushreg_local.tables import create_missing
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.records.invariants import (
    Violation,
    check_devices,
    check_directory,
    check_places,
    check_subscribers,
)
from tests.support.clients import connect_functions
from tests.support.gateway import read_template

CHECKS: dict[str, Callable[[list[Item]], Iterable[Violation]]] = {
    DEVICES: lambda items: check_devices(items, int(time.time())),
    SUBSCRIBERS: lambda items: check_subscribers(items, int(time.time())),
    PLACES: check_places,
    DIRECTORY: check_directory,
}
# The most that one BatchWriteItem takes.
BATCH = 25


@dataclass(frozen=True)
class Stored:
    """The items behind one client."""

    client: Any

    @classmethod
    def create(cls, client: Any) -> Stored:
        """Make the tables and the demo's entries."""
        create_missing(client, read_template().tables)
        writer = DirectoryWriter(client, DIRECTORY)
        for entry in list_entries():
            writer.add(entry)
        return cls(client)

    def items(self, table: str) -> list[Item]:
        """Return all items of the table."""
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [from_attributes(attributes) for page in pages for attributes in page["Items"]]

    def snapshot(self, table: str) -> list[Item]:
        """Return all items of the table in a fixed order."""
        return sorted(self.items(table), key=lambda item: repr(sorted(item.items())))

    def clear(self, *tables: str) -> None:
        """Empty the tables."""
        for table in tables:
            deletions = [{"DeleteRequest": {"Key": _key(table, item)}} for item in self.items(table)]
            for start in range(0, len(deletions), BATCH):
                answer = self.client.batch_write_item(RequestItems={table: deletions[start : start + BATCH]})
                assert not answer["UnprocessedItems"]

    def get(self, table: str, key: Key) -> Item | None:
        """Return the item at the key."""
        found = self.client.get_item(TableName=table, Key=to_attributes(key), ConsistentRead=True).get("Item")
        return from_attributes(found) if found is not None else None

    def put(self, table: str, item: Item) -> None:
        """Store the item as it is."""
        self.client.put_item(TableName=table, Item=to_attributes(item))

    def device(self, device_id: str) -> Item | None:
        """Return the device's subscription in the demo account."""
        return self.get(DEVICES, device_key(ACCOUNT_ID, device_id))

    def holder(self, mobile_device_id: str) -> str | None:
        """Return the device that the mobile device's claim names."""
        claim = self.get(DEVICES, mobile_claim_key(ACCOUNT_ID, digest(mobile_device_id)))
        return claim["device_id"] if claim is not None else None

    def subscriber(self, ksid: str) -> Item | None:
        """Return the subscriber."""
        return self.get(SUBSCRIBERS, ksid_key(ksid))

    def token(self, token: str) -> Item | None:
        """Return the token's row at the demo place."""
        return self.get(PLACES, place_key(PLACE_ID, token))

    def settled(self, table: str) -> list[Item]:
        """Return all items of the table once they are known to keep the invariants."""
        items = self.items(table)
        violations = list(CHECKS[table](items))
        assert violations == []
        return items


class StoredInMoto(Stored):
    """Reads and clears moto's own tables: through a client, half of the time of the tests would go there."""

    def items(self, table: str) -> list[Item]:
        """Return all items of the table."""
        return [from_attributes(item.to_json()["Attributes"]) for item in self._table(table).all_items()]

    def clear(self, *tables: str) -> None:
        """Empty the tables."""
        for name in tables:
            table = self._table(name)
            for item in list(table.all_items()):
                table.delete_item(item.hash_key, item.range_key)
        # moto's dashboard keeps the copies of the tables that each transaction makes.
        reset_model_data()

    def _table(self, name: str) -> Any:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][self.client.meta.region_name].tables[name]


@contextmanager
def open_memory_tables() -> Iterator[Stored]:
    """Give the tables in moto, seen through a client of the functions' own kind; single-threaded use only."""
    with mock_aws():
        yield StoredInMoto.create(connect_functions())


def _key(table: str, item: Item) -> Item:
    return to_attributes({name: item[name] for name in TABLE_KEYS[table]})

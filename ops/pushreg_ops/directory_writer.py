"""Writes to the Directory table."""

from __future__ import annotations

from collections.abc import Iterator

from pushreg.dynamodb import from_attributes, to_attributes
from pushreg.models.directory import Entry
from pushreg.schema import EntryKind, Item, entry_key, entry_prefix
from pushreg.stores.directory import to_entry, to_item
from pushreg_local.client import AdminClient
from pushreg_local.errors import OperatorError


class DirectoryWriter:
    """Adds, lists and removes entries; the roles of the functions do not allow it."""

    def __init__(self, client: AdminClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, entry: Entry) -> None:
        """Store the entry in place of one with the same key."""
        self._client.put_item(TableName=self._table, Item=to_attributes(to_item(entry)))

    def remove(self, kind: EntryKind, entry_id: str) -> bool:
        """Remove the entry and return whether there was one."""
        answer = self._client.delete_item(
            TableName=self._table, Key=to_attributes(entry_key(kind, entry_id)), ReturnValues="ALL_OLD"
        )
        return "Attributes" in answer

    def list(self, kind: EntryKind) -> Iterator[Entry]:
        """Yield all entries of the kind in no order; OperatorError if one is unreadable."""
        start: dict[str, object] = {}
        while True:
            page = self._client.scan(
                TableName=self._table,
                FilterExpression="begins_with(#record, :prefix)",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues={":prefix": {"S": entry_prefix(kind)}},
                ConsistentRead=True,
                **start,
            )
            yield from (_read(from_attributes(attributes)) for attributes in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _read(item: Item) -> Entry:
    try:
        return to_entry(item)
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(f"the directory's item {item['record']} is unreadable: run `pushreg verify`") from error

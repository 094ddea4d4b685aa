"""The Directory table: looked up through a small cache by the functions, written by the operators' tools alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal

from pushreg.dynamodb import Client, Item, Session, from_attributes, to_attributes
from pushreg.models.directory import Account, Application, Credential, Entry, Place

CACHE_SECONDS = 60.0
CACHE_ENTRIES = 1000

Kind = Literal["credential", "application", "place", "account"]


class Directory:
    """Entries by kind and key, each remembered for at most CACHE_SECONDS; what is not found is not remembered."""

    def __init__(self, table: str, timer: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._timer = timer
        self._cache: dict[str, tuple[float, Entry]] = {}

    def get_cached(self, kind: Kind, key: str) -> Entry | None:
        """Return the entry if it is remembered; never calls the database."""
        cached = self._cache.get(f"{kind}#{key}")
        return cached[1] if cached is not None and self._timer() < cached[0] else None

    def find(self, session: Session, *names: tuple[Kind, str]) -> list[Entry | None]:
        """Return the entries in the order of their names, all unknown ones read by one call."""
        found = {name: self.get_cached(*name) for name in names}
        missing = [name for name, entry in found.items() if entry is None]
        if missing:
            until = self._timer() + CACHE_SECONDS
            keys = [{"record": f"{kind}#{key}"} for kind, key in missing]
            items = [session.get(self._table, keys[0])] if len(keys) == 1 else session.get_many(self._table, keys)
            for name, item in zip(missing, items, strict=True):
                if item is not None:
                    found[name] = self._remember(item, until)
        return [found[name] for name in names]

    def _remember(self, item: Item, until: float) -> Entry:
        entry = to_entry(item)
        if len(self._cache) >= CACHE_ENTRIES:
            self._cache = {}
        self._cache[item["record"]] = (until, entry)
        return entry


class DirectoryWriter:
    """The operators' side: adds, lists and removes entries; the functions' roles do not allow it."""

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, entry: Entry) -> None:
        """Store the entry in place of one with the same key."""
        self._client.put_item(TableName=self._table, Item=to_attributes(to_item(entry)))

    def remove(self, kind: Kind, key: str) -> bool:
        """Remove the entry and tell whether there was one."""
        answer = self._client.delete_item(
            TableName=self._table, Key=to_attributes({"record": f"{kind}#{key}"}), ReturnValues="ALL_OLD"
        )
        return "Attributes" in answer

    def list(self, kind: Kind) -> Iterator[Entry]:
        """Yield all entries of the kind in no order."""
        start: dict[str, object] = {}
        while True:
            page = self._client.scan(
                TableName=self._table,
                FilterExpression="begins_with(#record, :prefix)",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues={":prefix": {"S": f"{kind}#"}},
                ConsistentRead=True,
                **start,
            )
            yield from (to_entry(from_attributes(attributes)) for attributes in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def to_entry(item: Item) -> Entry:
    """Return the entry that the item stores."""
    kind, _, key = item["record"].partition("#")
    created_at = item["created_at"]
    if kind == "credential":
        return Credential(
            secret_digest=key,
            family=item["family"],
            scope=item["scope"],
            created_at=created_at,
            account_id=item.get("account_id"),
            places=item.get("places", frozenset()),
        )
    if kind == "application":
        return Application(key, created_at, item.get("auth_token_digest"))
    return Place(key, created_at) if kind == "place" else Account(key, created_at)


def to_item(entry: Entry) -> Item:
    """Return the item that stores the entry."""
    if isinstance(entry, Credential):
        return {
            "record": f"credential#{entry.secret_digest}",
            "key_id": entry.key_id,
            "family": entry.family,
            "scope": entry.scope,
            "account_id": entry.account_id,
            "places": entry.places or None,
            "created_at": entry.created_at,
        }
    if isinstance(entry, Application):
        return {
            "record": f"application#{entry.application_id}",
            "auth_token_digest": entry.auth_token_digest,
            "created_at": entry.created_at,
        }
    if isinstance(entry, Place):
        return {"record": f"place#{entry.place_id}", "created_at": entry.created_at}
    return {"record": f"account#{entry.account_id}", "created_at": entry.created_at}

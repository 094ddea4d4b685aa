"""The registrations and keys of one account, application or place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pushreg.dynamodb import Page, Session
from pushreg.models.directory import Credential
from pushreg.schema import DEVICE_PREFIX, DEVICES, PLACES, SUBSCRIBERS, USER_INDEX, EntryKind, Item, Key
from pushreg_ops.records.entities import CALL_SECONDS, Owner
from pushreg_ops.records.scanning import PAGE_SIZE, scan
from pushreg_ops.registry import Registry

TABLE_OF_OWNER: dict[EntryKind, str] = {"account": DEVICES, "application": SUBSCRIBERS, "place": PLACES}
# Counting reads what it counts, so it stops here.
MAX_COUNTED = 10_000


def count_owned(registry: Registry, owner: Owner) -> int:
    """Return how many registrations the owner has, at most MAX_COUNTED.

    Subscribers are counted by the user index, which lacks those that only 1.0.0 wrote.
    """
    number = 0
    for page in _query(registry, owner, Select="COUNT", Limit=PAGE_SIZE):
        number += page.total
        if number >= MAX_COUNTED:
            return MAX_COUNTED
    return number


def read_owned(registry: Registry, owner: Owner) -> Iterator[list[Item]]:
    """Yield the items of the owner's registrations, page by page.

    The subscribers of an application are found by a scan, which no item escapes.
    """
    kind, owner_id = owner
    if kind == "application":
        yield from scan(registry.client, registry.tables[SUBSCRIBERS], condition="appId = :owner", owner=owner_id)
        return
    for page in _query(registry, owner, ConsistentRead=True, Limit=PAGE_SIZE):
        yield page.items


def keys_of(owner: Owner, keys: Iterable[Credential]) -> list[Credential]:
    """Return the keys that reach the owner and nothing else."""
    kind, owner_id = owner
    found = []
    for key in keys:
        reach = frozenset({key.account_id}) if key.account_id is not None else key.places | key.applications
        family = {"account": "kazoo", "application": "engagement", "place": "places"}[kind]
        if key.family == family and reach == {owner_id}:
            found.append(key)
    return found


def _query(registry: Registry, owner: Owner, **options: Any) -> Iterator[Page]:
    kind, owner_id = owner
    condition = {"account": "account_id = :owner AND begins_with(#record, :kind)", "place": "place_id = :owner"}.get(
        kind, "appId = :owner"
    )
    if kind == "account":
        options |= {"ExpressionAttributeNames": {"#record": "record"}, "kind": DEVICE_PREFIX}
    if kind == "application":
        options |= {"IndexName": USER_INDEX}
    start: Key | None = None
    while True:
        session = Session(registry.client, CALL_SECONDS)
        page = session.query(registry.tables[TABLE_OF_OWNER[kind]], condition, start, owner=owner_id, **options)
        yield page
        start = page.last
        if start is None:
            return

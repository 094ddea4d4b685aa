"""The Directory table: read by the functions through a small cache, written by operators' tools only."""

from __future__ import annotations

import time
from collections.abc import Callable

from pushreg.clock import Clock, now
from pushreg.dynamodb import Session
from pushreg.models.directory import Account, Application, Credential, Entry, Grant, Issuer, Place
from pushreg.schema import EntryKind, EntryName, Item, entry_key, is_alive, parse_record

CACHE_SECONDS = 60.0
CACHE_ENTRIES = 1000


class Directory:
    """Entries by kind and id, cached for at most CACHE_SECONDS; absent entries are not cached.

    A credential is absent from the second at which it expires.
    """

    def __init__(self, table: str, timer: Callable[[], float] = time.monotonic, clock: Clock = now) -> None:
        self._table = table
        self._timer = timer
        self._clock = clock
        self._cache: dict[EntryName, tuple[float, Entry]] = {}

    def get_cached(self, kind: EntryKind, entry_id: str) -> Entry | None:
        """Return the entry if it is cached; never calls the database."""
        cached = self._cache.get((kind, entry_id))
        if cached is None or self._timer() >= cached[0] or self._has_expired(cached[1]):
            return None
        return cached[1]

    def find(self, session: Session, *names: EntryName) -> list[Entry | None]:
        """Return the entries in the order of their names; one call fetches all that are not cached."""
        found = {name: self.get_cached(*name) for name in names}
        missing = [name for name, entry in found.items() if entry is None]
        if missing:
            until = self._timer() + CACHE_SECONDS
            keys = [entry_key(*name) for name in missing]
            items = [session.get(self._table, keys[0])] if len(keys) == 1 else session.get_many(self._table, keys)
            for name, item in zip(missing, items, strict=True):
                if item is not None:
                    found[name] = self._remember(name, item, until)
        return [None if self._has_expired(found[name]) else found[name] for name in names]

    def _has_expired(self, entry: Entry | None) -> bool:
        if not isinstance(entry, Credential) or entry.expires_at is None:
            return False
        return not is_alive(entry.expires_at, int(self._clock().timestamp()))

    def _remember(self, name: EntryName, item: Item, until: float) -> Entry:
        entry = to_entry(item)
        if len(self._cache) >= CACHE_ENTRIES:
            self._cache = {}
        self._cache[name] = (until, entry)
        return entry


def to_entry(item: Item) -> Entry:
    """Return the entry that the item stores."""
    kind, key = parse_record(item["record"])
    created_at = item["created_at"]
    if kind == "credential":
        return Credential(
            secret_digest=key,
            family=item["family"],
            scope=item["scope"],
            created_at=created_at,
            account_id=item.get("account_id"),
            places=item.get("places", frozenset()),
            applications=item.get("applications", frozenset()),
            expires_at=item.get("expires_at"),
            name=item.get("key_name"),
            issued_by=item.get("issued_by"),
        )
    if kind == "application":
        return Application(
            key,
            created_at,
            item.get("auth_token_digest"),
            item.get("duplicate_as_update"),
            item.get("strict", False),
        )
    if kind == "issuer":
        return Issuer(
            kid=key,
            created_at=created_at,
            name=item["name"],
            family=item["family"],
            algorithm=item["algorithm"],
            public_key=item["public_key"],
            issuer=item.get("issuer"),
            audience=item.get("audience"),
            grants=tuple(Grant.from_text(text) for text in sorted(item.get("grants", ()))),
            source=item.get("source"),
        )
    return Place(key, created_at) if kind == "place" else Account(key, created_at)


def to_item(entry: Entry) -> Item:
    """Return the item that stores the entry."""
    if isinstance(entry, Credential):
        return {
            **entry_key("credential", entry.secret_digest),
            "key_id": entry.key_id,
            "family": entry.family,
            "scope": entry.scope,
            "account_id": entry.account_id,
            "places": entry.places or None,
            "applications": entry.applications or None,
            "expires_at": entry.expires_at,
            # `name` is a reserved word of DynamoDB.
            "key_name": entry.name,
            "issued_by": entry.issued_by,
            "created_at": entry.created_at,
        }
    if isinstance(entry, Application):
        return {
            **entry_key("application", entry.application_id),
            "auth_token_digest": entry.auth_token_digest,
            "duplicate_as_update": entry.duplicate_as_update,
            "strict": entry.is_strict or None,
            "created_at": entry.created_at,
        }
    if isinstance(entry, Issuer):
        return {
            **entry_key("issuer", entry.kid),
            "name": entry.name,
            "family": entry.family,
            "algorithm": entry.algorithm,
            "public_key": entry.public_key,
            "issuer": entry.issuer,
            "audience": entry.audience,
            "grants": frozenset(grant.to_text() for grant in entry.grants) or None,
            "source": entry.source,
            "created_at": entry.created_at,
        }
    if isinstance(entry, Place):
        return {**entry_key("place", entry.place_id), "created_at": entry.created_at}
    return {**entry_key("account", entry.account_id), "created_at": entry.created_at}

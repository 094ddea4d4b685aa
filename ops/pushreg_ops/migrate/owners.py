"""The owners of registrations: accounts, applications and places."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pushreg.dynamodb import Client, Session, put
from pushreg.errors import ConditionFailedError
from pushreg.models.directory import Account, Application, Place
from pushreg.schema import entry_key
from pushreg.stores.directory import to_item
from pushreg_ops.auditing import IMPORTED, Auditor
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.records.entities import CALL_SECONDS, Owner, owned_by

# The set of known owners is cleared when it reaches this size.
MAX_KNOWN = 100_000
_COMMANDS = {"account": "accounts", "application": "apps", "place": "places"}


class Owners:
    """Looks up owners in the directory and optionally adds missing ones. Thread-safe."""

    def __init__(
        self, client: Client, table: str, moment: str, auditor: Auditor, *, adds: bool, dry_run: bool = False
    ) -> None:
        self._client = client
        self._table = table
        self._moment = moment
        self._auditor = auditor
        self._adds = adds
        self._dry_run = dry_run
        self._known: set[Owner] = set()

    def find_unknown(self, candidates: Mapping[int, Candidate]) -> dict[int, str]:
        """Return the reason for each candidate whose owner does not exist and is not to be added."""
        wanted = {each.owner for each in candidates.values() if each.owner is not None}
        unknown = self._look_up(wanted - self._known)
        if self._adds:
            for owner in unknown:
                self._add(owner)
            unknown = set()
        return {
            index: f"unknown {' '.join(each.owner)}: run `pushreg {_COMMANDS[each.owner[0]]} add`, or use --add-missing"
            for index, each in candidates.items()
            if each.owner is not None and each.owner in unknown
        }

    def note(self, candidates: Iterable[Candidate]) -> None:
        """Remember the owners among the candidates; in a dry run they are not stored."""
        self._remember(owner for each in candidates if (owner := owned_by(each.entity)) is not None)

    def _look_up(self, owners: set[Owner]) -> set[Owner]:
        ordered = sorted(owners)
        keys = [entry_key(*owner) for owner in ordered]
        items = Session(self._client, CALL_SECONDS).get_many(self._table, keys)
        unknown = {owner for owner, item in zip(ordered, items, strict=True) if item is None}
        self._remember(owners - unknown)
        return unknown

    def _add(self, owner: Owner) -> None:
        kind, key = owner
        types: dict[str, Any] = {"account": Account, "application": Application, "place": Place}
        if not self._dry_run:
            write = put(self._table, to_item(types[kind](key, self._moment)), "attribute_not_exists(created_at)")
            # A failed condition means that it was added concurrently.
            with suppress(ConditionFailedError):
                audit = self._auditor.record("add", entry_key(kind, key), IMPORTED)
                Session(self._client, CALL_SECONDS).transact([write, audit], uuid.uuid4().hex)
        self._remember([owner])

    def _remember(self, owners: Iterable[Owner]) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known = set()
        self._known |= set(owners)

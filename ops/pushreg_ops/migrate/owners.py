"""The accounts, applications and places under which registrations are reached."""

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
from pushreg_ops.records.entities import CALL_SECONDS, Candidate, Owner, owned_by

# More than this many are looked up again now and then.
MAX_KNOWN = 100_000
_COMMANDS = {"account": "accounts", "application": "apps", "place": "places"}


class Owners:
    """Tells which owners the directory knows, and adds the others if it may. Threads may share it."""

    def __init__(self, client: Client, table: str, moment: str, *, adds: bool, dry_run: bool = False) -> None:
        self._client = client
        self._table = table
        self._moment = moment
        self._adds = adds
        self._dry_run = dry_run
        self._known: set[Owner] = set()

    def find_unknown(self, candidates: Mapping[int, Candidate]) -> dict[int, str]:
        """Return why each candidate whose owner is and stays unknown cannot be reached."""
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
        """Take the owners among the candidates as known, which has to be said where nothing is written."""
        self._remember(owner for each in candidates if (owner := owned_by(each.head)) is not None)

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
            # Refused means that somebody else added it meanwhile.
            with suppress(ConditionFailedError):
                Session(self._client, CALL_SECONDS).transact([write], uuid.uuid4().hex)
        self._remember([owner])

    def _remember(self, owners: Iterable[Owner]) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known = set()
        self._known |= set(owners)

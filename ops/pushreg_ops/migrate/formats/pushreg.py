"""Pushreg's own JSON Lines: one entity per line, written by `pushreg export` and read by `pushreg import`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from pushreg.codecs import json
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, USER_INDEX_SORT, is_account_id, parse_record
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.engagement import create_subscriber
from pushreg_ops.migrate.formats.kazoo import create_device, read_content
from pushreg_ops.migrate.formats.places import create_token
from pushreg_ops.migrate.formats.rows import ImportRun, RowError, explain
from pushreg_ops.records.entities import StoredEntity, StoredEntry
from pushreg_ops.records.items import (
    MAX_EPOCH,
    StoredAccount,
    StoredApplication,
    StoredCredential,
    StoredDevice,
    StoredIssuer,
    StoredPlace,
    StoredSubscriber,
    StoredToken,
)

ENTRIES: dict[str, type[StoredEntry]] = {
    "account": StoredAccount,
    "application": StoredApplication,
    "credential": StoredCredential,
    "issuer": StoredIssuer,
    "place": StoredPlace,
}


# Attributes of entries that are sets.
_SETS = ("places", "applications", "grants")
_DEVICE_MEMBERS = {"account_id", "device_id", "writes", "created_at", "updated_at", "refreshed_at", "expires_at"}


def to_line(entity: StoredEntity) -> dict[str, Any]:
    """Return the exported line of the entity, without its keys and claims, which can be derived."""
    match entity:
        case StoredDevice():
            return {
                "family": "kazoo",
                **entity.model_dump(include=_DEVICE_MEMBERS, exclude_none=True),
                "data": json.decode(entity.document.encode()),
            }
        case StoredSubscriber():
            return {"family": "engagement", **entity.model_dump(exclude={"record", USER_INDEX_SORT}, exclude_none=True)}
        case StoredToken():
            return {"family": "places", **entity.model_dump(exclude={"token_digest"}, exclude_none=True)}
    entry = entity.model_dump(exclude_none=True)
    # Sorted, so that equal entries give equal lines.
    entry |= {name: sorted(entry[name]) for name in _SETS if name in entry}
    # Nested, because a credential has an attribute `family` too.
    return {"family": "directory", "entry": entry}


class PushregConverter:
    """Converts exported lines; registrations that had expired when the run began are rejected."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run
        self._converters: dict[str, Callable[[dict[str, Any]], Candidate]] = {
            "kazoo": self._convert_device,
            "engagement": self._convert_subscriber,
            "places": self._convert_token,
            "directory": self._convert_entry,
        }

    def __call__(self, row: Any) -> Candidate:
        """Return the line's registration or directory entry."""
        convert = self._converters.get(str(row.get("family"))) if isinstance(row, dict) else None
        if convert is None:
            raise RowError("family: not one of kazoo, engagement, places, directory")
        return convert(row)

    def _convert_device(self, row: dict[str, Any]) -> Candidate:
        data, account_id, writes = row.get("data"), row.get("account_id"), row.get("writes", 1)
        if not isinstance(data, dict):
            raise RowError("data: not an object")
        if not isinstance(account_id, str) or not is_account_id(account_id):
            raise RowError("account_id: not 32 characters")
        content = read_content(data, data.get("app_name"))
        created_at, updated_at, is_timed = self._read_moments(row)
        refreshed_at = max(self._run.read_moment(row.get("refreshed_at")) or "", updated_at)
        entity = create_device(
            account_id,
            row.get("device_id"),
            content,
            writes=writes,
            created_at=created_at,
            updated_at=updated_at,
            refreshed_at=refreshed_at,
            expires_at=self._read_expiry(row, DEVICES, refreshed_at if is_timed else None),
        )
        return Candidate.from_entity(entity, ("account", account_id), is_timed=is_timed)

    def _convert_subscriber(self, row: dict[str, Any]) -> Candidate:
        active = row.get("active", True)
        if not isinstance(active, bool):
            raise RowError("active: neither true nor false")
        cloud = row.get("cloud", True)
        if not isinstance(cloud, bool):
            raise RowError("cloud: neither true nor false")
        created_at, updated_at, is_timed = self._read_moments(row)
        return create_subscriber(
            row,
            active=active,
            cloud=cloud,
            created_at=created_at,
            updated_at=updated_at,
            expires_at=self._read_expiry(row, SUBSCRIBERS, updated_at if is_timed else None),
            is_timed=is_timed,
        )

    def _convert_token(self, row: dict[str, Any]) -> Candidate:
        created_at, updated_at, is_timed = self._read_moments(row)
        return create_token(
            row.get("place_id"),
            row.get("device_token"),
            created_at=created_at,
            updated_at=updated_at,
            expires_at=self._read_expiry(row, PLACES, updated_at if is_timed else None),
            is_timed=is_timed,
        )

    def _convert_entry(self, row: dict[str, Any]) -> Candidate:
        entry = row.get("entry")
        kind = ENTRIES.get(parse_record(str(entry.get("record")))[0]) if isinstance(entry, dict) else None
        if kind is None or not isinstance(entry, dict):
            raise RowError("entry: not a directory entry")
        try:
            sets = {name: frozenset(entry[name]) for name in _SETS if entry.get(name) is not None}
            entity = kind.model_validate(entry | sets)
        except ValidationError as error:
            raise explain(error) from error
        except TypeError:
            raise RowError("places or applications: not a list of strings") from None
        return Candidate.from_entity(entity, is_timed=False)

    def _read_moments(self, row: dict[str, Any]) -> tuple[str, str, bool]:
        created_at, updated_at = (self._run.read_moment(row.get(name)) for name in ("created_at", "updated_at"))
        moment = updated_at or created_at or self._run.moment
        return created_at or moment, moment, updated_at is not None

    def _read_expiry(self, row: dict[str, Any], table: str, refreshed_at: str | None) -> int | None:
        """Return the row's own expiry, or else the one that follows from its last refresh; None if none expire here."""
        expires_at = row.get("expires_at")
        if expires_at is None:
            return self._run.find_expiry(table, refreshed_at)
        if not isinstance(expires_at, int) or isinstance(expires_at, bool) or expires_at > MAX_EPOCH:
            raise RowError("expires_at: not a number of seconds")
        if expires_at <= self._run.epoch:
            raise RowError("expired")
        return expires_at if self._run.lifetimes.get(table) else None

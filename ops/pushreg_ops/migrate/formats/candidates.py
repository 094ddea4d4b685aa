"""What the converters return: an entity to be stored, with its claims."""

from __future__ import annotations

from dataclasses import dataclass

from pushreg.schema import DIRECTORY, entry_key
from pushreg_ops.records.entities import (
    ItemName,
    Owner,
    StoredClaim,
    StoredEntity,
    StoredRecord,
    claims_of,
    refreshed_at,
    table_of,
)
from pushreg_ops.records.items import ExpiringItem, StoredDevice, StoredSubscriber, StoredToken

# Attributes that do not tell whether two entities are the same registration. The digest
# covers the document, the ufid covers the sort key of the user index.
_IGNORED = {
    "created_at",
    "updated_at",
    "refreshed_at",
    "expires_at",
    "writes",
    "document",
    "ufid_ksid",
    "userAgent",
    "ipAddress",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity to be stored, with its claims; `owner` is the directory entry that it belongs to.

    An untimed candidate, whose last refresh is unknown, never replaces anything.
    """

    entity: StoredEntity
    claims: tuple[StoredClaim, ...]
    owner: Owner | None
    is_timed: bool

    @classmethod
    def from_entity(cls, entity: StoredEntity, owner: Owner | None = None, *, is_timed: bool = True) -> Candidate:
        """Return the candidate with the claims of the entity."""
        return cls(entity, claims_of(entity), owner, is_timed)

    @property
    def needs(self) -> frozenset[ItemName]:
        """The names of the items that must be stored before it."""
        return frozenset() if self.owner is None else frozenset({(DIRECTORY, entry_key(*self.owner)["record"], "")})

    @property
    def records(self) -> tuple[StoredRecord, ...]:
        """The entity and its claims."""
        return (self.entity, *self.claims)

    @property
    def is_audited(self) -> bool:
        """Whether an audit entry is written with it."""
        return table_of(self.entity) == DIRECTORY

    @property
    def writes(self) -> int:
        """The number of writes that store it."""
        return len(self.records) + self.is_audited

    def is_newer(self, existing: StoredEntity) -> bool:
        """Whether it was refreshed after the existing entity."""
        return self.is_timed and refreshed_at(self.entity) > refreshed_at(existing)


def is_same(entity: StoredEntity, other: StoredEntity) -> bool:
    """Whether both are the same registration, times and write counts aside."""
    return entity.model_dump(exclude=_IGNORED) == other.model_dump(exclude=_IGNORED)


def is_merged(candidate: Candidate, existing: StoredEntity) -> bool:
    """Whether storing the candidate would change nothing, not even the existing entity's expiry."""
    renews = isinstance(existing, ExpiringItem) and candidate.is_newer(existing)
    if isinstance(candidate.entity, StoredDevice) and isinstance(existing, StoredDevice):
        renews &= (candidate.entity.expires_at, existing.expires_at) != (None, None)
    return is_same(candidate.entity, existing) and not renews


def measure(record: StoredRecord) -> int:
    """Return an upper estimate of the bytes that the record takes in a request."""
    match record:
        case StoredDevice():
            # JSON escapes the quotes in the document.
            return 2 * len(record.document.encode()) + 1000
        case StoredSubscriber():
            return 4 * len(record.sid) + 2000
        case StoredToken():
            return 4 * len(record.device_token) + 500
    return 1000

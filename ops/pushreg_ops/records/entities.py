"""What is moved: a head item, which holds all there is to know, and the claims that lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pushreg.dynamodb import put
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    PLACES,
    SUBSCRIBERS,
    EntryName,
    Item,
    Key,
    device_key,
    entry_key,
    ksid_key,
    mobile_claim,
    parse_record,
)
from pushreg_ops.records.items import (
    DeviceClaim,
    ExpiringItem,
    MobileClaim,
    SidClaim,
    StoredAccount,
    StoredApplication,
    StoredCredential,
    StoredDevice,
    StoredPlace,
    StoredSubscriber,
    StoredToken,
)

StoredEntry = StoredAccount | StoredApplication | StoredCredential | StoredPlace
StoredEntity = StoredDevice | StoredSubscriber | StoredToken | StoredEntry
StoredClaim = MobileClaim | DeviceClaim | SidClaim
StoredRecord = StoredEntity | StoredClaim
ItemName = tuple[str, str, str]
Owner = EntryName

# What one call to the store may take, retries and all.
CALL_SECONDS = 60.0

# What a registration is, apart from when and how it came, and how often it changed. A device's document is known by its
# digest, a place in the user index by the ufid.
_CIRCUMSTANCES = {
    "created_at",
    "updated_at",
    "expires_at",
    "writes",
    "document",
    "ufid_ksid",
    "userAgent",
    "ipAddress",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A head that is to be stored, with its claims; `owner` is the directory entry under which it is reached.

    Of an untimed one nobody knows when it was last refreshed, so it never replaces anything.
    """

    head: StoredEntity
    claims: tuple[StoredClaim, ...]
    owner: Owner | None
    is_timed: bool

    @classmethod
    def from_head(cls, head: StoredEntity, owner: Owner | None = None, *, is_timed: bool = True) -> Candidate:
        """Return the candidate with the claims that belong to the head."""
        return cls(head, claims_of(head), owner, is_timed)

    @property
    def needs(self) -> frozenset[ItemName]:
        """The names of the items that have to be there before it."""
        return frozenset() if self.owner is None else frozenset({(DIRECTORY, entry_key(*self.owner)["record"], "")})

    @property
    def records(self) -> tuple[StoredRecord, ...]:
        """The head and its claims."""
        return (self.head, *self.claims)

    def is_newer(self, standing: StoredEntity) -> bool:
        """Whether it was refreshed after what stands."""
        return self.is_timed and refreshed_at(self.head) > refreshed_at(standing)


def table_of(record: StoredRecord) -> str:
    """Return the logical id of the record's table."""
    match record:
        case StoredDevice() | MobileClaim():
            return DEVICES
        case StoredSubscriber() | DeviceClaim() | SidClaim():
            return SUBSCRIBERS
        case StoredToken():
            return PLACES
    return DIRECTORY


def key_of(record: StoredRecord) -> Key:
    """Return the key of the record's item."""
    match record:
        case StoredDevice() | MobileClaim():
            return {"account_id": record.account_id, "record": record.record}
        case StoredToken():
            return {"place_id": record.place_id, "token_digest": record.token_digest}
    return {"record": record.record}


def name_of(record: StoredRecord) -> ItemName:
    """Return what tells the record's item from all others of the registry."""
    match record:
        case StoredDevice() | MobileClaim():
            return DEVICES, record.account_id, record.record
        case StoredToken():
            return PLACES, record.place_id, record.token_digest
    return table_of(record), record.record, ""


def owned_by(head: StoredEntity) -> Owner | None:
    """Return what the head lets others be owned by, if it is such a one."""
    match head:
        case StoredAccount():
            return "account", parse_record(head.record)[1]
        case StoredApplication():
            return "application", parse_record(head.record)[1]
        case StoredPlace():
            return "place", parse_record(head.record)[1]
    return None


def claims_of(head: StoredEntity) -> tuple[StoredClaim, ...]:
    """Return the claims that must stand beside the head."""
    match head:
        case StoredDevice():
            return (MobileClaim.from_item(mobile_claim(head.model_dump())),)
        case StoredSubscriber():
            return head.claims()
    return ()


def target_key_of(claim: StoredClaim) -> Key:
    """Return the key of the head that the claim leads to."""
    if isinstance(claim, MobileClaim):
        return device_key(claim.account_id, claim.device_id)
    return ksid_key(claim.ksid)


def refreshed_at(head: StoredEntity) -> str:
    """Return when the head was last known to be wanted."""
    return head.updated_at if isinstance(head, StoredDevice | StoredSubscriber | StoredToken) else head.created_at


def is_alive(record: StoredRecord, epoch: int) -> bool:
    """Whether the record still counts."""
    return not isinstance(record, ExpiringItem) or record.is_alive(epoch)


def is_same(head: StoredEntity, other: StoredEntity) -> bool:
    """Whether both say the same, whenever they came."""
    return head.model_dump(exclude=_CIRCUMSTANCES) == other.model_dump(exclude=_CIRCUMSTANCES)


def is_merged(candidate: Candidate, standing: StoredEntity) -> bool:
    """Whether what stands says all that the candidate says, and will do so for as long."""
    renews = isinstance(standing, ExpiringItem) and candidate.is_newer(standing)
    return is_same(candidate.head, standing) and not renews


def to_item(record: StoredRecord) -> Item:
    """Return the item that stores the record."""
    return record.model_dump(by_alias=True)


def create(table: str, record: StoredRecord) -> dict[str, Any]:
    """Return a write that stores the record where nothing stands."""
    return put(table, to_item(record), f"attribute_not_exists({presence_attribute(record)})")


def presence_attribute(record: StoredRecord) -> str:
    """Return the name of an attribute outside the key that every item of the record's kind has."""
    if isinstance(record, MobileClaim):
        return "device_id"
    return "ksid" if isinstance(record, DeviceClaim | SidClaim) else "created_at"


def unchanged_condition(record: StoredRecord) -> tuple[str, dict[str, Any]]:
    """Return the condition that nothing of the record has changed, and its values."""
    terms, values = [], {}
    for name, value in to_item(record).items():
        # The digest stands for the document, which may be long.
        if name == "document" or name in key_of(record):
            continue
        if value is None:
            terms.append(f"attribute_not_exists({name})")
        else:
            terms.append(f"{name} = :old_{name}")
            values[f"old_{name}"] = value
    return " AND ".join(terms), values


def measure(record: StoredRecord) -> int:
    """Return about how many bytes the record takes in a request, rather more than less."""
    match record:
        case StoredDevice():
            # Quotes are escaped on the way.
            return 2 * len(record.document.encode()) + 1000
        case StoredSubscriber():
            return 4 * len(record.sid) + 2000
        case StoredToken():
            return 4 * len(record.device_token) + 500
    return 1000

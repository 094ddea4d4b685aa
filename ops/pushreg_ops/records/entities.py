"""Stored entities and the claims that lead to them.

An entity is a registration or a directory entry; its claims can always be derived from it.
"""

from __future__ import annotations

from typing import Any

from pushreg.dynamodb import delete, put
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    OPERATOR_WRITE,
    PLACES,
    SUBSCRIBERS,
    EntryName,
    Item,
    Key,
    device_key,
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
    StoredIssuer,
    StoredPlace,
    StoredSubscriber,
    StoredToken,
)

StoredEntry = StoredAccount | StoredApplication | StoredCredential | StoredIssuer | StoredPlace
StoredRegistration = StoredDevice | StoredSubscriber | StoredToken
StoredEntity = StoredRegistration | StoredEntry
StoredClaim = MobileClaim | DeviceClaim | SidClaim
StoredRecord = StoredEntity | StoredClaim
ItemName = tuple[str, str, str]
Owner = EntryName

# The time limit of one database call, retries included.
CALL_SECONDS = 60.0


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
    """Return a name of the record's item that is unique in the registry: table, partition key, sort key."""
    match record:
        case StoredDevice() | MobileClaim():
            return DEVICES, record.account_id, record.record
        case StoredToken():
            return PLACES, record.place_id, record.token_digest
    return table_of(record), record.record, ""


def owned_by(entity: StoredEntity) -> Owner | None:
    """Return the owner that the entity represents; None if registrations cannot belong to it."""
    match entity:
        case StoredAccount():
            return "account", parse_record(entity.record)[1]
        case StoredApplication():
            return "application", parse_record(entity.record)[1]
        case StoredPlace():
            return "place", parse_record(entity.record)[1]
    return None


def claims_of(entity: StoredEntity) -> tuple[StoredClaim, ...]:
    """Return the claims that must exist for the entity."""
    match entity:
        case StoredDevice():
            return (MobileClaim.from_item(mobile_claim(entity.model_dump())),)
        case StoredSubscriber():
            return entity.claims()
    return ()


def target_key_of(claim: StoredClaim) -> Key:
    """Return the key of the entity that the claim leads to."""
    if isinstance(claim, MobileClaim):
        return device_key(claim.account_id, claim.device_id)
    return ksid_key(claim.ksid)


def refreshed_at(entity: StoredEntity) -> str:
    """Return when the entity was last refreshed."""
    if isinstance(entity, StoredDevice):
        # Version 1.0.0 leaves refreshed_at as it is when it changes a subscription.
        return max(entity.refreshed_at or "", entity.updated_at)
    return entity.updated_at if isinstance(entity, StoredSubscriber | StoredToken) else entity.created_at


def is_alive(record: StoredRecord, epoch: int) -> bool:
    """Whether the record has not expired."""
    return not isinstance(record, ExpiringItem) or record.is_alive(epoch)


def to_item(record: StoredRecord) -> Item:
    """Return the item that stores the record."""
    return record.model_dump(by_alias=True)


def create(table: str, record: StoredRecord) -> dict[str, Any]:
    """Return a write that stores the record unless its key is taken; always the same one."""
    return put(table, mark(record, "created"), f"attribute_not_exists({presence_attribute(record)})")


def mark(record: StoredRecord, text: str) -> Item:
    """Return the item that stores the record, a registration with the text as the sign of an operator's write."""
    item = to_item(record)
    return {**item, OPERATOR_WRITE: text} if isinstance(record, StoredRegistration) else item


def presence_attribute(record: StoredRecord) -> str:
    """Return the name of an attribute outside the key that every item of the record's kind has."""
    if isinstance(record, MobileClaim):
        return "device_id"
    return "ksid" if isinstance(record, DeviceClaim | SidClaim) else "created_at"


def unchanged_condition(record: StoredRecord) -> tuple[str, dict[str, Any]]:
    """Return a condition that holds while the stored record is unchanged, and the condition's values."""
    terms, values = [], {}
    for name, value in to_item(record).items():
        # The digest covers the document, which may be long.
        if name == "document" or name in key_of(record):
            continue
        if value is None:
            terms.append(f"attribute_not_exists({name})")
        else:
            terms.append(f"{name} = :old_{name}")
            values[f"old_{name}"] = value
    return " AND ".join(terms), values


def remove_unchanged(table: str, record: StoredRecord) -> dict[str, Any]:
    """Return a write that removes the record if it is unchanged."""
    condition, values = unchanged_condition(record)
    return delete(table, key_of(record), condition, **values)


def check_absent(table: str, record: StoredRecord) -> dict[str, Any]:
    """Return a condition check that nothing of the record's kind is stored at its key."""
    # A ConditionCheck takes the same parameters as a Delete.
    return {
        "ConditionCheck": delete(table, key_of(record), f"attribute_not_exists({presence_attribute(record)})")["Delete"]
    }

"""What the four tables store: keys, claims, expiry and the rules of ids (docs/data-model.md#keys).

Stores, importers, checks and repairs build every key here, so that a stored shape is described once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

Item = dict[str, Any]
Key = dict[str, str]
EntryKind = Literal["credential", "application", "place", "account", "issuer"]
EntryName = tuple[EntryKind, str]

# Logical ids of the tables in template.yaml, and the names of their key attributes.
DEVICES, SUBSCRIBERS, PLACES, DIRECTORY = "DevicesTable", "SubscribersTable", "PlacesTable", "DirectoryTable"
TABLE_KEYS: Mapping[str, tuple[str, ...]] = {
    DIRECTORY: ("record",),
    DEVICES: ("account_id", "record"),
    SUBSCRIBERS: ("record",),
    PLACES: ("place_id", "token_digest"),
}

# The records that hold registrations; the other records of their tables are claims.
DEVICE_PREFIX = "device#"
KSID_PREFIX = "ksid#"
REGISTRATION_PREFIXES: Mapping[str, str] = {DEVICES: DEVICE_PREFIX, SUBSCRIBERS: KSID_PREFIX}

# Entries of the Directory table that no function reads: who changed it.
AUDIT_PREFIX = "audit#"

DIGEST = "[0-9a-f]{64}"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Regular expressions of whole records, for readers that trust nothing. Application ids may hold line breaks.
MOBILE_CLAIM_RECORD = rf"^mobile#{DIGEST}$"
DEVICE_CLAIM_RECORD = rf"(?s)^device#.+#{DIGEST}$"
SID_CLAIM_RECORD = rf"(?s)^sid#.+#{DIGEST}$"
CREDENTIAL_RECORD = rf"^credential#{DIGEST}$"
APPLICATION_RECORD = r"(?s)^application#.+$"
PLACE_RECORD = rf"^place#{UUID}$"
AUDIT_RECORD = r"^audit#[0-9TZ:-]{20}#[0-9a-f]+$"
ACCOUNT_RECORD = r"^account#[^/]{32}$"
ISSUER_RECORD = r"^issuer#[!-~]{1,255}$"

# The stored name of `other_claim_digest`: a device claim holds the sid's digest, a sid claim the device's.
OTHER_CLAIM_DIGEST = "partner"
# An inactive subscriber whose sid or deviceId another subscriber took keeps the empty string in its place. Its other
# claim then holds the digest of that, which is in no claim's key.
TAKEN = ""

# On a registration that an operator wrote, a text that each such write changes and no other does: a stream record shows
# by it whose write it was (docs/data-model.md#operator_write).
OPERATOR_WRITE = "operator_write"

# The sparse index on subscribers: all of an application, or all of one of its users, in one query. Claims have neither
# attribute, and subscribers written by 1.0.0 lack the sort key until they are updated or repaired.
USER_INDEX = "ByApplicationAndUser"
USER_INDEX_PARTITION, USER_INDEX_SORT = "appId", "ufid_ksid"

DAY = 86_400
# Conditions on `expires_at`; `:epoch` is the current time in seconds. DynamoDB deletes expired items only later, up to
# two days (docs/data-model.md#ttl).
ALIVE = "(attribute_not_exists(expires_at) OR expires_at > :epoch)"
EXPIRED = "expires_at <= :epoch"

ACCOUNT_ID_LENGTH = 32
MAX_IDENTIFIER = 255
# Tokens and sids alike; registration tokens of FCM and APNs are far shorter.
MAX_TOKEN_BYTES = 4096
KSID = "[1-9][0-9]{0,18}"
# Of what is stored of the subscribing call.
MAX_CALLER_TEXT = 256
# Random KSIDs are drawn from all 19-digit numbers that a signed 64-bit integer holds (docs/spec/engagement.md).
MIN_NEW_KSID, MAX_KSID = 10**18, 2**63 - 1
KEY_ID_LENGTH = 16

_DIGEST = re.compile(DIGEST)
_KSID = re.compile(KSID, re.ASCII)
_UUID = re.compile(UUID, re.ASCII)
_KID = re.compile(rf"[!-~]{{1,{MAX_IDENTIFIER}}}")
_PATH_ID = re.compile(rf"[ -~]{{1,{MAX_IDENTIFIER}}}")
_NOT_IN_PATH_IDS = frozenset('/#%?\\"')


def digest(value: str) -> str:
    """Return the hex SHA-256 of the text, in which form secrets are stored and long values become keys."""
    return sha256(value.encode()).hexdigest()


def device_key(account_id: str, device_id: str) -> Key:
    """Return the key of a Kazoo device's subscription."""
    return {"account_id": account_id, "record": f"{DEVICE_PREFIX}{device_id}"}


def mobile_claim_key(account_id: str, mobile_digest: str) -> Key:
    """Return the key of the claim on a mobile device, given the digest of its id."""
    return {"account_id": account_id, "record": f"mobile#{mobile_digest}"}


def ksid_key(ksid: str) -> Key:
    """Return the key of a subscriber."""
    return {"record": f"{KSID_PREFIX}{ksid}"}


def device_claim_key(app_id: str, device_digest: str) -> Key:
    """Return the key of the claim on an application's device, given the digest of its id."""
    return {"record": f"device#{app_id}#{device_digest}"}


def sid_claim_key(app_id: str, sid_digest: str) -> Key:
    """Return the key of the claim on an application's sid, given its digest."""
    return {"record": f"sid#{app_id}#{sid_digest}"}


def place_key(place_id: str, token: str) -> Key:
    """Return the key of a place's registration token."""
    return place_key_of_digest(place_id, digest(token))


def place_key_of_digest(place_id: str, token_digest: str) -> Key:
    """Return the key of a place's registration token, given the token's digest."""
    return {"place_id": place_id, "token_digest": token_digest}


def entry_key(kind: EntryKind, entry_id: str) -> Key:
    """Return the key of a directory entry; a credential's id is the digest of its secret."""
    return {"record": f"{kind}#{entry_id}"}


def entry_prefix(kind: EntryKind) -> str:
    """Return what the records of all directory entries of a kind begin with."""
    return f"{kind}#"


def parse_record(record: str) -> tuple[str, str]:
    """Return the kind of a record and the rest of it: an id, a digest, or an application id and a digest."""
    kind, _, rest = record.partition("#")
    return kind, rest


def key_id_of(secret_digest: str) -> str:
    """Return the name by which operators know a credential."""
    return secret_digest[:KEY_ID_LENGTH]


def mobile_claim(subscription: Mapping[str, Any]) -> Item:
    """Return the claim of a device's subscription, given its stored attributes; both expire at once."""
    mobile_digest = digest(subscription["mobile_device_id"])
    return {
        **mobile_claim_key(subscription["account_id"], mobile_digest),
        "device_id": subscription["device_id"],
        "expires_at": subscription.get("expires_at"),
    }


def subscriber_claims(subscriber: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the device claim and the sid claim of a subscriber, given its stored attributes; none for a value taken.

    An active subscriber has both.
    """
    app_id = subscriber["appId"]
    device_digest, sid_digest = digest(subscriber["deviceId"]), digest(subscriber["sid"])
    shared = {name: subscriber.get(name) for name in ("ksid", "ufid", "expires_at")}
    # The device claim alone tells whether a subscribe request is a duplicate.
    state = {name: subscriber.get(name) for name in ("osType", "active", "deviceName", "cloud")}
    claims: list[Item] = []
    if subscriber["deviceId"] != TAKEN:
        claims.append({**device_claim_key(app_id, device_digest), **shared, **state, OTHER_CLAIM_DIGEST: sid_digest})
    if subscriber["sid"] != TAKEN:
        claims.append({**sid_claim_key(app_id, sid_digest), **shared, OTHER_CLAIM_DIGEST: device_digest})
    return tuple(claims)


def user_index_prefix(ufid: str | None) -> str:
    """Return what the sort keys of all subscribers of a user begin with in the user index, or of those without one."""
    return f"{digest(ufid) if ufid else '-'}#"


def user_index_key(app_id: str, ufid: str | None, ksid: str) -> Key:
    """Return what DynamoDB calls the key of a subscriber in the user index, from which a Query can go on."""
    return {**ksid_key(ksid), USER_INDEX_PARTITION: app_id, USER_INDEX_SORT: user_index_sort(ufid, ksid)}


def user_index_sort(ufid: str | None, ksid: str) -> str:
    """Return the sort key of a subscriber in the user index."""
    return f"{user_index_prefix(ufid)}{ksid}"


def is_alive(expires_at: int | None, epoch: int) -> bool:
    """Whether an item with this expiry counts at the epoch; without one it never expires."""
    return expires_at is None or expires_at > epoch


def is_digest(text: str) -> bool:
    """Whether the text may be the digest of a value, as keys hold it."""
    return _DIGEST.fullmatch(text) is not None


def is_account_id(text: str) -> bool:
    """Whether the text may name an account: any 32 characters that one path segment can carry."""
    return len(text) == ACCOUNT_ID_LENGTH and "/" not in text


def is_path_id(text: str) -> bool:
    """Whether the text may name a Kazoo device or app; Kazoo's own ids are 32 hex digits."""
    return _PATH_ID.fullmatch(text) is not None and not _NOT_IN_PATH_IDS & set(text)


def is_ksid(text: str) -> bool:
    """Whether the text may be a KSID: a positive signed 64-bit integer without leading zeros."""
    return _KSID.fullmatch(text) is not None and int(text) <= MAX_KSID


def is_application_id(text: str) -> bool:
    """Whether the text may name an engagement application.

    Requests are trimmed, so it has no blanks at its ends; `all` on a credential stands for every application.
    """
    return 0 < len(text) <= MAX_IDENTIFIER and text == text.strip() and text != "all"


def is_kid(text: str) -> bool:
    """Whether the text may name the key of a token's issuer: printable ASCII without blanks."""
    return _KID.fullmatch(text) is not None


def to_place_id(text: str) -> str | None:
    """Return the UUID in lower case, or None if the text is none."""
    lowered = text.lower()
    return lowered if _UUID.fullmatch(lowered) else None

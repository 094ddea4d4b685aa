"""The invariants of the stored items (docs/data-model.md), as checks over plain items.

They hold for a consistent snapshot. A scan of a live table is not one, so violations found in a scan must be confirmed
by a transactional read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg.models.kazoo import Content, InvalidError
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    PLACES,
    SUBSCRIBERS,
    TABLE_KEYS,
    Item,
    Key,
    device_key,
    digest,
    key_id_of,
    ksid_key,
    mobile_claim_key,
    parse_record,
)
from pushreg_ops.records.items import (
    DeviceClaim,
    MobileClaim,
    SidClaim,
    StoredAccount,
    StoredApplication,
    StoredAudit,
    StoredCredential,
    StoredDevice,
    StoredIssuer,
    StoredPlace,
    StoredSubscriber,
    StoredToken,
    UnreadableError,
    read,
)


class Rule(StrEnum):
    """The rules; a rule's text is part of the command's output."""

    READABLE = "every item is one that the functions can read"
    DIGEST = "a digest is that of the value beside it"
    ONE_HOLDER = "a mobile device is in at most one device's subscription"
    CLAIMED = "what is stored has its claims"
    AGREEING = "a claim says what the item says that it leads to"
    NO_ORPHAN = "a claim leads to an item that holds it"
    INDEXED = "a subscriber is in the index under its user"


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation; `keys` are those of the faulty item and the items that it contradicts, existing or not.

    `detail` may be logged: it contains no push token, sid or secret.
    """

    rule: Rule
    keys: tuple[Key, ...]
    detail: str


def check_devices(items: Iterable[Item], epoch: int) -> Iterator[Violation]:
    """Yield the violations in the Devices table; items expired at `epoch` are ignored."""
    holders: defaultdict[tuple[str, str], dict[str, StoredDevice]] = defaultdict(dict)
    claims: dict[tuple[str, str], MobileClaim] = {}
    unreadable: set[tuple[str, str]] = set()
    for item in items:
        try:
            record = read(item, {"device": StoredDevice, "mobile": MobileClaim})
        except UnreadableError as error:
            unreadable.add((str(item.get("account_id")), str(item.get("record"))))
            yield Violation(Rule.READABLE, (_key(item, DEVICES),), error.detail)
            continue
        if isinstance(record, StoredDevice) and record.is_alive(epoch):
            holders[record.account_id, digest(record.mobile_device_id)][record.device_id] = record
            yield from _check_document(record)
        elif isinstance(record, MobileClaim) and record.is_alive(epoch):
            claims[record.account_id, parse_record(record.record)[1]] = record
    for (account_id, mobile), held in holders.items():
        claim = mobile_claim_key(account_id, mobile)
        devices = tuple(device_key(account_id, each) for each in sorted(held))
        if len(devices) > 1:
            yield Violation(Rule.ONE_HOLDER, (*devices, claim), f"{len(devices)} devices hold the mobile device")
        claimed = claims.pop((account_id, mobile), None)
        if claimed is None:
            yield Violation(Rule.CLAIMED, (*devices, claim), "the mobile device has no claim")
        elif claimed.device_id not in held:
            yield Violation(Rule.AGREEING, (claim, *devices), f"the claim names device {claimed.device_id}")
        elif claimed.expires_at != held[claimed.device_id].expires_at:
            yield Violation(Rule.AGREEING, (claim, *devices), "the claim differs in expires_at")
    for (account_id, mobile), orphan in claims.items():
        device_id = orphan.device_id
        key = device_key(account_id, device_id)
        if (account_id, key["record"]) not in unreadable:
            keys = (mobile_claim_key(account_id, mobile), key)
            yield Violation(Rule.NO_ORPHAN, keys, f"device {device_id} does not hold the mobile device")


def check_subscribers(items: Iterable[Item], epoch: int) -> Iterator[Violation]:
    """Yield the violations in the Subscribers table; items expired at `epoch` are ignored."""
    subscribers: dict[str, StoredSubscriber] = {}
    claims: dict[str, DeviceClaim | SidClaim] = {}
    unreadable: set[str] = set()
    for item in items:
        try:
            record = read(item, {"ksid": StoredSubscriber, "device": DeviceClaim, "sid": SidClaim})
        except UnreadableError as error:
            unreadable.add(str(item.get("record")))
            yield Violation(Rule.READABLE, (_key(item, SUBSCRIBERS),), error.detail)
            continue
        if isinstance(record, StoredSubscriber) and record.is_alive(epoch):
            subscribers[record.ksid] = record
        elif isinstance(record, DeviceClaim | SidClaim) and record.is_alive(epoch):
            claims[record.record] = record
    for subscriber in subscribers.values():
        if subscriber.ufid_ksid != subscriber.user_index_sort:
            fault = "missing" if subscriber.ufid_ksid is None else "another user's"
            yield Violation(Rule.INDEXED, (ksid_key(subscriber.ksid),), f"ufid_ksid is {fault}")
        for wanted in subscriber.claims():
            claim = claims.pop(wanted.record, None)
            keys: tuple[Key, ...] = (ksid_key(subscriber.ksid), {"record": wanted.record})
            if claim is None:
                if wanted.record not in unreadable:
                    yield Violation(Rule.CLAIMED, keys, f"there is no {wanted.kind} claim")
            elif names := _differences(claim, wanted):
                yield Violation(Rule.AGREEING, keys[::-1], f"the {wanted.kind} claim differs in {', '.join(names)}")
    for claim in claims.values():
        key = ksid_key(claim.ksid)
        if key["record"] not in unreadable:
            keys = ({"record": claim.record}, key)
            yield Violation(Rule.NO_ORPHAN, keys, f"subscriber {claim.ksid} does not hold the {claim.kind}")


def check_places(items: Iterable[Item]) -> Iterator[Violation]:
    """Yield the violations in the Places table."""
    for item in items:
        try:
            row = StoredToken.from_item(item)
        except UnreadableError as error:
            yield Violation(Rule.READABLE, (_key(item, PLACES),), error.detail)
            continue
        if digest(row.device_token) != row.token_digest:
            yield Violation(Rule.DIGEST, (_key(item, PLACES),), "token_digest is not the token's")


def check_directory(items: Iterable[Item]) -> Iterator[Violation]:
    """Yield the violations in the Directory table."""
    for item in items:
        try:
            record = read(
                item,
                {
                    "credential": StoredCredential,
                    "application": StoredApplication,
                    "place": StoredPlace,
                    "account": StoredAccount,
                    "audit": StoredAudit,
                    "issuer": StoredIssuer,
                },
            )
        except UnreadableError as error:
            yield Violation(Rule.READABLE, (_key(item, DIRECTORY),), error.detail)
            continue
        if isinstance(record, StoredCredential) and record.key_id != key_id_of(parse_record(record.record)[1]):
            yield Violation(Rule.DIGEST, (_key(item, DIRECTORY),), "key_id is not the digest's")


def _check_document(device: StoredDevice) -> Iterator[Violation]:
    keys: tuple[Key, ...] = ({"account_id": device.account_id, "record": device.record},)
    try:
        content = Content.from_data(json.decode(device.document.encode()), device.app_name)
    except (MalformedError, InvalidError, AttributeError):
        yield Violation(Rule.READABLE, keys, "document is no subscription")
        return
    if content.mobile_device_id != device.mobile_device_id:
        yield Violation(Rule.AGREEING, keys, "mobile_device_id is not the document's")
    if content.digest != device.digest:
        yield Violation(Rule.DIGEST, keys, "digest is not the document's")


def _differences(claim: DeviceClaim | SidClaim, wanted: DeviceClaim | SidClaim) -> list[str]:
    found = claim.model_dump(by_alias=True)
    for name in ("deviceName", "cloud"):
        # 1.0.0 writes claims without them, and a request that leads to the subscriber by its sid alone without a name.
        if found.get(name) is None:
            found.pop(name, None)
    return [name for name, value in wanted.model_dump(by_alias=True).items() if found.get(name, value) != value]


def _key(item: Item, table: str) -> Key:
    return {name: str(item[name]) for name in TABLE_KEYS[table]}

"""Registrations found by whatever a person has in hand: a device, a KSID, a push token, a place, an account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pushreg.clock import to_iso
from pushreg.codecs import json
from pushreg.dynamodb import Session, from_attributes, to_attributes
from pushreg.models.directory import Account, Application, Entry, Place
from pushreg.models.engagement import strip_hex_prefix
from pushreg.schema import (
    DEVICE_PREFIX,
    DEVICES,
    KSID_PREFIX,
    PLACES,
    SUBSCRIBERS,
    EntryKind,
    Item,
    Key,
    device_claim_key,
    device_key,
    digest,
    entry_key,
    entry_prefix,
    is_account_id,
    is_ksid,
    ksid_key,
    mobile_claim_key,
    place_key,
    sid_claim_key,
    to_place_id,
)
from pushreg.stores.directory import to_entry
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    Owner,
    StoredClaim,
    claims_of,
    key_of,
    name_of,
    table_of,
    target_key_of,
)
from pushreg_ops.records.invariants import Rule, Violation
from pushreg_ops.records.items import (
    ExpiringItem,
    StoredDevice,
    StoredItem,
    StoredSubscriber,
    StoredToken,
    UnreadableError,
    read,
)
from pushreg_ops.records.redaction import redact, shorten
from pushreg_ops.records.related import ITEM_TYPES, RelatedReader
from pushreg_ops.records.scanning import ReportCount, ignore, scan
from pushreg_ops.registry import Registry

Registration = StoredDevice | StoredSubscriber | StoredToken
# Of an account or a place, more are not for one screen.
MAX_SHOWN = 20
# With more places than this it is quicker to look through the tokens than to ask for one at each place.
MAX_PLACES = 2000


class Inspector:
    """Finds and describes registrations of one registry, as they count at `epoch`."""

    def __init__(self, registry: Registry, epoch: int) -> None:
        self._registry = registry
        self._epoch = epoch
        self._reader = RelatedReader(registry.client, registry.tables, epoch)

    def find(self, text: str) -> list[Registration]:
        """Return what the text leads to by keys, under every account, application and place that is known."""
        found: list[StoredItem] = []
        place_id = to_place_id(text)
        if place_id is not None:
            found += self._list(PLACES, "place_id = :owner", owner=place_id)
        if is_account_id(text):
            condition = "account_id = :owner AND begins_with(#record, :kind)"
            found += self._list(DEVICES, condition, owner=text, kind=DEVICE_PREFIX)
        entries = list(self._read_directory())
        found += self._get(DEVICES, _device_keys(text, entries))
        found += self._get(SUBSCRIBERS, _subscriber_keys(text, entries))
        places = [entry.place_id for entry in entries if isinstance(entry, Place)]
        if len(places) <= MAX_PLACES:
            found += self._get(PLACES, [place_key(place, text) for place in places])
        return self._follow(found)

    def search(self, text: str, progress: ReportCount) -> Iterator[Registration]:
        """Yield what the text is a part of, looking through all items: tokens of Kazoo devices have no keys."""
        client, names = self._registry.client, self._registry.tables
        quoted = json.encode(text).decode()[1:-1]
        devices = "begins_with(#record, :kind) AND contains(document, :text)"
        for page in scan(client, names[DEVICES], progress, devices, kind=DEVICE_PREFIX, text=quoted):
            for device in self._parse(DEVICES, page):
                if isinstance(device, StoredDevice) and text in _read_document(device).get(
                    "notification_registration_ids", {}
                ):
                    yield device
        subscribers = "begins_with(#record, :kind) AND (sid = :text OR deviceId = :text OR ufid = :text)"
        for page in scan(client, names[SUBSCRIBERS], progress, subscribers, kind=KSID_PREFIX, text=text):
            yield from self._follow(self._parse(SUBSCRIBERS, page))
        for page in scan(client, names[PLACES], progress, "token_digest = :digest", digest=digest(text)):
            yield from self._follow(self._parse(PLACES, page))

    def describe(self, head: Registration) -> dict[str, Any]:
        """Return what is known of a registration, fit to be shown: tokens cut, and what stands beside it judged."""
        table = table_of(head)
        core = Violation(Rule.CLAIMED, (key_of(head),), "")
        faults = [each.detail for each in self._reader.check_again(table, core)]
        common = {
            "created_at": head.created_at,
            "updated_at": head.updated_at,
            "valid": self._describe_validity(head),
            "claims": self._describe_claims(head),
            "in_order": "yes" if not faults else "; ".join(faults),
        }
        kind, owner = _own(head)
        entry = self._session().get(self._registry.directory, entry_key(kind, owner))
        common["reachable"] = "yes" if entry is not None else f"no: {kind} {owner} is not known"
        return {**_describe(head), **common}

    def _describe_validity(self, head: Registration) -> str:
        if not isinstance(head, ExpiringItem) or head.expires_at is None:
            return "for ever"
        moment = to_iso(datetime.fromtimestamp(head.expires_at, UTC))
        return f"until {moment}" if head.is_alive(self._epoch) else f"expired at {moment}"

    def _describe_claims(self, head: Registration) -> list[str]:
        claims = claims_of(head)
        table = self._registry.tables[table_of(head)]
        items = self._session().get_many(table, [key_of(claim) for claim in claims]) if claims else []
        return [f"{claim.kind}: {_judge(head, claim, item)}" for claim, item in zip(claims, items, strict=True)]

    def _read_directory(self) -> Iterator[Entry]:
        wanted = "begins_with(#record, :account) OR begins_with(#record, :application) OR begins_with(#record, :place)"
        kinds: tuple[EntryKind, ...] = ("account", "application", "place")
        values = {kind: entry_prefix(kind) for kind in kinds}
        for page in scan(self._registry.client, self._registry.directory, ignore, wanted, **values):
            yield from map(to_entry, page)

    def _list(self, table: str, condition: str, **values: str) -> list[StoredItem]:
        """Return the first rows of an owner."""
        names = {"ExpressionAttributeNames": {"#record": "record"}} if "#record" in condition else {}
        answer = self._registry.client.query(
            TableName=self._registry.tables[table],
            KeyConditionExpression=condition,
            ExpressionAttributeValues={f":{name}": value for name, value in to_attributes(values).items()},
            ConsistentRead=True,
            Limit=MAX_SHOWN,
            **names,
        )
        return self._parse(table, map(from_attributes, answer["Items"]))

    def _get(self, table: str, keys: Sequence[Key]) -> list[StoredItem]:
        found = self._session().get_many(self._registry.tables[table], keys)
        return self._parse(table, (item for item in found if item is not None))

    def _follow(self, records: Iterable[StoredItem]) -> list[Registration]:
        """Return the registrations, those that claims lead to in place of the claims, each once."""
        found: dict[Any, Registration] = {}
        for record in records:
            heads: list[Any] = [record]
            if not isinstance(record, Registration):
                claim: Any = record
                heads = self._get(table_of(claim), [target_key_of(claim)])
            found |= {name_of(head): head for head in heads if isinstance(head, Registration)}
        return list(found.values())

    def _parse(self, table: str, items: Iterable[Item]) -> list[StoredItem]:
        records: list[StoredItem] = []
        for item in items:
            try:
                records.append(StoredToken.from_item(item) if table == PLACES else read(item, ITEM_TYPES[table]))
            except UnreadableError:
                # `pushreg verify` tells of it.
                continue
        return records

    def _session(self) -> Session:
        return Session(self._registry.client, CALL_SECONDS)


def _device_keys(text: str, entries: Iterable[Entry]) -> list[Key]:
    accounts = [entry.account_id for entry in entries if isinstance(entry, Account)]
    keys = [(device_key(account, text), mobile_claim_key(account, digest(text))) for account in accounts]
    return [key for pair in keys for key in pair]


def _subscriber_keys(text: str, entries: Iterable[Entry]) -> list[Key]:
    names = [digest(variant) for variant in dict.fromkeys((text, strip_hex_prefix(text)))]
    applications = [entry.application_id for entry in entries if isinstance(entry, Application)]
    claims = [device_claim_key(app, name) for app in applications for name in names]
    claims += [sid_claim_key(app, names[0]) for app in applications]
    return ([ksid_key(text)] if is_ksid(text) else []) + claims


def _judge(head: Registration, claim: StoredClaim, item: Item | None) -> str:
    if item is None:
        return "missing"
    try:
        holder = target_key_of(type(claim).from_item(item))
    except UnreadableError:
        return "unreadable"
    return "leads here" if holder == key_of(head) else f"leads to {shorten(holder)}"


def _own(head: Registration) -> Owner:
    match head:
        case StoredDevice():
            return "account", head.account_id
        case StoredSubscriber():
            return "application", head.appId
    return "place", head.place_id


def _read_document(device: StoredDevice) -> dict[str, Any]:
    document: dict[str, Any] = json.decode(device.document.encode())
    return document


def _describe(head: Registration) -> dict[str, Any]:
    match head:
        case StoredDevice():
            document = _read_document(head)
            registrations = document.get("notification_registration_ids", {})
            return {
                "family": "kazoo",
                **head.model_dump(include={"account_id", "device_id", "app_name", "mobile_device_id"}),
                "platform": document.get("platform"),
                "revision": f"{head.writes}-{head.digest}",
                "tokens": [
                    f"{redact(token)} {each.get('notification_type')}: {', '.join(each['notification_preferences'])}"
                    for token, each in registrations.items()
                ],
            }
        case StoredSubscriber():
            names = {"ksid", "appId", "deviceId", "osType", "ufid", "active"}
            return {"family": "engagement", **head.model_dump(include=names), "sid": redact(head.sid)}
    return {"family": "places", "place_id": head.place_id, "device_token": redact(head.device_token)}

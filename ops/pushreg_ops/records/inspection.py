"""Look-up of registrations by any id or token: device, KSID, token, sid, ufid, place, account or application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pushreg.clock import to_iso
from pushreg.codecs import json
from pushreg.dynamodb import Session
from pushreg.models.directory import Account, Application, Entry, Place
from pushreg.models.engagement import strip_hex_prefix
from pushreg.schema import (
    DEVICE_PREFIX,
    DEVICES,
    KSID_PREFIX,
    PLACES,
    SUBSCRIBERS,
    USER_INDEX,
    USER_INDEX_SORT,
    EntryKind,
    Item,
    Key,
    device_claim_key,
    device_key,
    digest,
    entry_key,
    entry_prefix,
    is_account_id,
    is_alive,
    is_application_id,
    is_ksid,
    is_path_id,
    ksid_key,
    mobile_claim_key,
    place_key,
    sid_claim_key,
    to_place_id,
    user_index_prefix,
)
from pushreg.stores.directory import to_entry
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    Owner,
    StoredClaim,
    StoredRegistration,
    claims_of,
    key_of,
    name_of,
    table_of,
    target_key_of,
)
from pushreg_ops.records.invariants import Rule, Violation
from pushreg_ops.records.items import (
    MAX_EPOCH,
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

# Results for an account, an application, a place or a user, so that they fit on a screen.
MAX_SHOWN = 20
# With more places than this, a scan of the tokens is faster than one key per place.
MAX_PLACES = 2000
# With more applications than this, a scan is faster than one query of the user index per application.
MAX_APPLICATIONS = 200
# What `search` reads.
SEARCHED = (DEVICES, SUBSCRIBERS, PLACES)


class Inspector:
    """Finds and describes registrations of one registry; expiry is judged at `epoch`."""

    def __init__(self, registry: Registry, epoch: int) -> None:
        self._registry = registry
        self._epoch = epoch
        self._reader = RelatedReader(registry.client, registry.tables, epoch)

    def find(self, text: str) -> list[StoredRegistration]:
        """Return the registrations found by key lookups, those of an owner with this id first.

        Of an owner or a user they are the first MAX_SHOWN.
        """
        return self._follow([*self._find_owned(text), *self._find_named(text, MAX_SHOWN)])

    def find_exact(self, text: str, place_id: str | None = None) -> list[StoredRegistration]:
        """Return the registrations that the id or token names itself, at this place only if one is given."""
        if place_id is not None:
            return self._follow(self._get(PLACES, [place_key(place_id, text)]))
        return self._follow(self._find_named(text, None))

    def is_owner(self, text: str) -> bool:
        """Whether the text names an account, an application or a place that is known or has registrations."""
        names = [("account", text), ("application", text), ("place", to_place_id(text) or text)]
        keys = [entry_key(cast("EntryKind", kind), entry_id) for kind, entry_id in names]
        return any(self._session().get_many(self._registry.directory, keys)) or bool(self._find_owned(text))

    def _find_owned(self, text: str) -> list[StoredItem]:
        found: list[StoredItem] = []
        place_id = to_place_id(text)
        if place_id is not None:
            found += self._query(PLACES, "place_id = :owner", owner=place_id)
        if is_account_id(text):
            condition = "account_id = :owner AND begins_with(#record, :kind)"
            found += self._query(DEVICES, condition, owner=text, kind=DEVICE_PREFIX)
        if is_application_id(text):
            found += self._query(SUBSCRIBERS, "appId = :owner", owner=text)
        return found

    def _find_named(self, text: str, limit: int | None) -> list[StoredItem]:
        entries = list(self._read_directory())
        found = self._get(DEVICES, _device_keys(text, entries))
        found += self._get(SUBSCRIBERS, _subscriber_keys(text, entries))
        applications = [entry.application_id for entry in entries if isinstance(entry, Application)]
        if len(applications) <= MAX_APPLICATIONS:
            condition = f"appId = :owner AND begins_with({USER_INDEX_SORT}, :user)"
            for each in applications:
                found += self._query(SUBSCRIBERS, condition, limit, owner=each, user=user_index_prefix(text))
        places = [entry.place_id for entry in entries if isinstance(entry, Place)]
        if len(places) <= MAX_PLACES:
            found += self._get(PLACES, [place_key(place, text) for place in places])
        return found

    def search(self, text: str, progress: ReportCount) -> Iterator[StoredRegistration]:
        """Yield the registrations found by scanning all tables; no key leads to the tokens of Kazoo devices."""
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

    def describe(self, entity: StoredRegistration) -> dict[str, Any]:
        """Return the registration as plain data, with redacted tokens and the state of its claims.

        `expires_at` is None if it never expires; `problems` lists what `pushreg verify` would report; `owner_known` is
        False if requests cannot reach it.
        """
        table = table_of(entity)
        core = Violation(Rule.CLAIMED, (key_of(entity),), "")
        epoch = entity.expires_at
        return {
            **_describe(entity),
            "created_at": entity.created_at,
            "updated_at": entity.updated_at,
            "expires_at": None if epoch is None else to_moment(epoch),
            "expired": not is_alive(epoch, self._epoch),
            "claims": self._describe_claims(entity),
            "problems": [each.detail for each in self._reader.check_again(table, core)],
            "owner_known": self._session().get(self._registry.directory, entry_key(*owner_of(entity))) is not None,
        }

    def _describe_claims(self, entity: StoredRegistration) -> list[dict[str, str]]:
        claims = claims_of(entity)
        table = self._registry.tables[table_of(entity)]
        items = self._session().get_many(table, [key_of(claim) for claim in claims]) if claims else []
        pairs = zip(claims, items, strict=True)
        return [{"of": claim.kind, "state": _judge(entity, claim, item)} for claim, item in pairs]

    def _read_directory(self) -> Iterator[Entry]:
        wanted = "begins_with(#record, :account) OR begins_with(#record, :application) OR begins_with(#record, :place)"
        kinds: tuple[EntryKind, ...] = ("account", "application", "place")
        values = {kind: entry_prefix(kind) for kind in kinds}
        for page in scan(self._registry.client, self._registry.directory, ignore, wanted, **values):
            yield from map(to_entry, page)

    def _query(self, table: str, condition: str, limit: int | None = MAX_SHOWN, **values: str) -> list[StoredItem]:
        """Return the first items that meet the key condition, or all of them without a limit."""
        options: dict[str, Any] = {"ConsistentRead": True} if table != SUBSCRIBERS else {"IndexName": USER_INDEX}
        if "#record" in condition:
            options["ExpressionAttributeNames"] = {"#record": "record"}
        if limit is not None:
            options["Limit"] = limit
        found: list[StoredItem] = []
        start: Key | None = None
        while True:
            page = self._session().query(self._registry.tables[table], condition, start, **options, **values)
            found += self._parse(table, page.items)
            start = page.last
            if start is None or limit is not None:
                return found

    def _get(self, table: str, keys: Sequence[Key]) -> list[StoredItem]:
        found = self._session().get_many(self._registry.tables[table], keys)
        return self._parse(table, (item for item in found if item is not None))

    def _follow(self, records: Iterable[StoredItem]) -> list[StoredRegistration]:
        """Return the distinct registrations, claims being replaced by what they lead to."""
        found: dict[Any, StoredRegistration] = {}
        for record in records:
            entities: list[Any] = [record]
            if not isinstance(record, StoredRegistration):
                claim: Any = record
                entities = self._get(table_of(claim), [target_key_of(claim)])
            found |= {name_of(entity): entity for entity in entities if isinstance(entity, StoredRegistration)}
        return list(found.values())

    def _parse(self, table: str, items: Iterable[Item]) -> list[StoredItem]:
        records: list[StoredItem] = []
        for item in items:
            try:
                records.append(StoredToken.from_item(item) if table == PLACES else read(item, ITEM_TYPES[table]))
            except UnreadableError:
                # `pushreg verify` reports it.
                continue
        return records

    def _session(self) -> Session:
        return Session(self._registry.client, CALL_SECONDS)


def _device_keys(text: str, entries: Iterable[Entry]) -> list[Key]:
    accounts = [entry.account_id for entry in entries if isinstance(entry, Account)]
    claims = [mobile_claim_key(account, digest(text)) for account in accounts]
    # A token can be longer than a key of DynamoDB.
    return claims + ([device_key(account, text) for account in accounts] if is_path_id(text) else [])


def _subscriber_keys(text: str, entries: Iterable[Entry]) -> list[Key]:
    names = [digest(variant) for variant in dict.fromkeys((text, strip_hex_prefix(text)))]
    applications = [entry.application_id for entry in entries if isinstance(entry, Application)]
    claims = [device_claim_key(app, name) for app in applications for name in names]
    claims += [sid_claim_key(app, names[0]) for app in applications]
    return ([ksid_key(text)] if is_ksid(text) else []) + claims


def _judge(entity: StoredRegistration, claim: StoredClaim, item: Item | None) -> str:
    if item is None:
        return "missing"
    try:
        holder = target_key_of(type(claim).from_item(item))
    except UnreadableError:
        return "unreadable"
    return "leads here" if holder == key_of(entity) else f"leads to {shorten(holder)}"


def to_moment(epoch: int) -> str:
    """Return the time as ISO 8601; a time after the year 9999, which has no such form, as the last second of it."""
    return to_iso(datetime.fromtimestamp(min(epoch, MAX_EPOCH), UTC))


def owner_of(entity: StoredRegistration) -> Owner:
    """Return the account, application or place of the registration."""
    match entity:
        case StoredDevice():
            return "account", entity.account_id
        case StoredSubscriber():
            return "application", entity.appId
    return "place", entity.place_id


def _read_document(device: StoredDevice) -> dict[str, Any]:
    document: dict[str, Any] = json.decode(device.document.encode())
    return document


def _describe(entity: StoredRegistration) -> dict[str, Any]:
    match entity:
        case StoredDevice():
            document = _read_document(entity)
            registrations = document.get("notification_registration_ids", {})
            return {
                "family": "kazoo",
                "account": entity.account_id,
                "device": entity.device_id,
                "application": entity.app_name,
                "mobile_device": entity.mobile_device_id,
                "platform": document.get("platform"),
                "revision": f"{entity.writes}-{entity.digest}",
                "tokens": [
                    {
                        "token": redact(token),
                        "service": each.get("notification_type"),
                        "notifications": each["notification_preferences"],
                    }
                    for token, each in registrations.items()
                ],
            }
        case StoredSubscriber():
            return {
                "family": "engagement",
                "ksid": entity.ksid,
                "application": entity.appId,
                "device": entity.deviceId,
                "platform": entity.osType,
                "user": entity.ufid,
                "active": entity.active,
                "token": redact(entity.sid),
            }
    return {"family": "places", "place": entity.place_id, "token": redact(entity.device_token)}

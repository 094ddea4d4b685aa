"""Repairs of violations, each one transaction conditioned on every item that the repair was decided from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError
from pushreg.models.kazoo import Content
from pushreg.schema import (
    DEVICES,
    DIRECTORY,
    EXPIRED,
    PLACES,
    REGISTRATION_PREFIXES,
    SUBSCRIBERS,
    USER_INDEX_SORT,
    Item,
    Key,
    key_id_of,
    parse_record,
    place_key,
)
from pushreg_ops.records.entities import (
    CALL_SECONDS,
    StoredClaim,
    StoredEntity,
    claims_of,
    create,
    key_of,
    remove_unchanged,
    target_key_of,
    to_item,
    unchanged_condition,
)
from pushreg_ops.records.invariants import Rule
from pushreg_ops.records.items import (
    ExpiringItem,
    StoredCredential,
    StoredDevice,
    StoredItem,
    StoredSubscriber,
    StoredToken,
    UnreadableError,
    read,
)
from pushreg_ops.records.redaction import shorten
from pushreg_ops.records.related import ITEM_TYPES, RelatedReader, freeze, key_in
from pushreg_ops.records.scanning import ReportCount, ignore, scan
from pushreg_ops.registry import Registry
from pushreg_ops.verify.checking import Finding

# Tables whose items carry a TTL.
EXPIRING = (DEVICES, SUBSCRIBERS, PLACES)

Items = Mapping[frozenset[tuple[str, str]], Item | None]


@dataclass(frozen=True, slots=True)
class Repair:
    """The writes of one transaction and the registrations that it removes."""

    description: str
    writes: tuple[dict[str, Any], ...]
    removed: tuple[StoredEntity, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A finding and its repair, None if none is safe."""

    finding: Finding
    repair: Repair | None


class Repairer:
    """Repairs one registry beside live traffic; `keep` receives what is about to be removed and makes it durable.

    Each repair is one transaction. After a crash at any point, another verification finds what is left to repair.
    """

    def __init__(self, registry: Registry, epoch: int, keep: Callable[[StoredEntity], None]) -> None:
        self._registry = registry
        self._epoch = epoch
        self._keep = keep
        self._reader = RelatedReader(registry.client, registry.tables, epoch)

    def propose(self, finding: Finding) -> Proposal:
        """Return the finding with its repair."""
        return Proposal(finding, self._plan(finding))

    def apply(self, proposals: Sequence[Proposal], progress: ReportCount = ignore) -> int:
        """Apply the proposals that are still needed and return how many were applied."""
        done = 0
        for proposal in proposals:
            done += self._apply(proposal)
            progress(1)
        return done

    def find_left(self, findings: Sequence[Finding], progress: ReportCount = ignore) -> list[Finding]:
        """Return what is still violated around the findings, each violation once."""
        left: dict[str, Finding] = {}
        for finding in findings:
            for violation in self._reader.check_again(finding.table, finding.violation):
                left[f"{finding.table} {violation!r}"] = Finding(finding.table, violation)
            progress(1)
        return list(left.values())

    def remove_expired(self, progress: ReportCount = ignore) -> int:
        """Delete expired items, as DynamoDB would later, and return how many."""
        count = 0
        for table in EXPIRING:
            name = self._registry.tables[table]
            expired = scan(self._registry.client, name, progress, EXPIRED, epoch=self._epoch)
            for page in expired:
                count += sum(self._delete_expired(table, name, item) for item in page)
        return count

    def _plan(self, finding: Finding) -> Repair | None:
        items = self._reader.read_around(finding.table, finding.violation.keys)
        return plan(finding, items, self._registry.tables[finding.table], self._epoch)

    def _apply(self, proposal: Proposal) -> bool:
        repair = self._plan(proposal.finding)
        # Apply only what was shown to the operator; changes since then are left to the next verification.
        if repair is None or proposal.repair is None or repair.description != proposal.repair.description:
            return False
        for entity in repair.removed:
            self._keep(entity)
        return self._transact(repair.writes)

    def _delete_expired(self, table: str, name: str, item: dict[str, object]) -> bool:
        return self._transact([delete(name, key_in(table, item), EXPIRED, epoch=self._epoch)])

    def _transact(self, writes: Sequence[dict[str, object]]) -> bool:
        try:
            Session(self._registry.client, CALL_SECONDS).transact(writes, uuid.uuid4().hex)
        except ConditionFailedError:
            return False
        return True


def plan(finding: Finding, items: Items, name: str, epoch: int) -> Repair | None:
    """Return the repair, given the items involved; None if the finding is outdated or no repair is safe.

    `name` is the table's name. Claims can be derived from the entities, so they can be rewritten or removed. Of two
    subscriptions of one mobile device, the one that its claim names stays, else the one written last.
    """
    table, violation = finding.table, finding.violation
    if violation.rule is Rule.READABLE:
        return None
    if violation.rule is Rule.DIGEST:
        item = items.get(freeze(violation.keys[0]))
        return _DIGESTS[table](name, item, items) if item is not None else None
    if violation.rule is Rule.INDEXED:
        return _renew_index(name, items.get(freeze(violation.keys[0])))
    claims = [key for key in violation.keys if not key["record"].startswith(REGISTRATION_PREFIXES[table])]
    # Without a claim, the item contradicts its own document.
    return _repair_claim(table, name, claims[0], items, epoch) if len(claims) == 1 else None


def _repair_claim(table: str, name: str, key: Key, items: Items, epoch: int) -> Repair | None:
    """Return the repair that points the claim to the registration holding it, or removes the claim."""
    item = items.get(freeze(key))
    claim: Any = _parse(ITEM_TYPES[table], item)
    if item is not None and claim is None:
        return None
    records = [_parse(ITEM_TYPES[table], each) for each in items.values()]
    holders: list[Any] = [
        each for each in records if isinstance(each, StoredDevice | StoredSubscriber) and _claims(each, key, epoch)
    ]
    # One write per item, later ones replacing earlier ones; items not written get a condition check.
    writes: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    target = target_key_of(claim) if claim is not None else None
    if target is not None:
        existing = items.get(freeze(target))
        entity = _parse(ITEM_TYPES[table], existing)
        if existing is not None and entity is None:
            return None
        writes[freeze(target)] = _check_absent(name, target, table) if entity is None else _check(name, entity)
    if not holders:
        if claim is None:
            return None
        writes[freeze(key)] = remove_unchanged(name, claim)
        return Repair(
            f"remove the claim {shorten(key)}, which leads to no registration that holds it", tuple(writes.values())
        )
    named = [each for each in holders if key_of(each) == target]
    if len(holders) > 1 and table == SUBSCRIBERS:
        # A KSID is permanent, so an operator must decide which of two subscribers to remove.
        return None
    winner = named[0] if named else max(holders, key=lambda each: each.updated_at)
    losers = [each for each in holders if each is not winner]
    (wanted,) = (each for each in claims_of(winner) if key_of(each) == key)
    writes[freeze(key_of(winner))] = _check(name, winner)
    writes[freeze(key)] = create(name, wanted) if claim is None else _replace(name, claim, wanted)
    writes |= {freeze(key_of(each)): remove_unchanged(name, each) for each in losers}
    text = f"point the claim {shorten(key)} to {shorten(key_of(winner))}"
    text += "".join(f", and remove {shorten(key_of(each))}, which holds the same" for each in losers)
    return Repair(text, tuple(writes.values()), tuple(losers)) if claim != wanted or losers else None


def _renew_digest(name: str, item: Item, items: Items) -> Repair | None:
    device = _parse(ITEM_TYPES[DEVICES], item)
    if not isinstance(device, StoredDevice):
        return None
    # An unreadable document is another rule's violation.
    content = Content.from_data(json.decode(device.document.encode()), device.app_name)
    if content.digest == device.digest:
        return None
    condition, values = unchanged_condition(device)
    write = update(name, key_of(device), "SET digest = :digest", condition, digest=content.digest, **values)
    return Repair(f"recompute the digest of {shorten(key_of(device))}", (write,))


def _renew_index(name: str, item: Item | None) -> Repair | None:
    subscriber = _parse(ITEM_TYPES[SUBSCRIBERS], item)
    if not isinstance(subscriber, StoredSubscriber) or subscriber.ufid_ksid == subscriber.user_index_sort:
        return None
    condition, values = unchanged_condition(subscriber)
    change = f"SET {USER_INDEX_SORT} = :index"
    write = update(name, key_of(subscriber), change, condition, index=subscriber.user_index_sort, **values)
    return Repair(f"list {shorten(key_of(subscriber))} in the index under its user", (write,))


def _move_token(name: str, item: Item, items: Items) -> Repair | None:
    row = StoredToken.from_item(item)
    moved = row.model_copy(update=place_key(row.place_id, row.device_token))
    if moved == row:
        return None
    writes = [remove_unchanged(name, row)]
    if items.get(freeze(key_of(moved))) is None:
        return Repair(f"move {shorten(key_of(row))} to the key of its token", (*writes, create(name, moved)))
    return Repair(f"remove {shorten(key_of(row))}, whose token is stored under its own key", tuple(writes), (row,))


def _rename_key(name: str, item: Item, items: Items) -> Repair | None:
    key = StoredCredential.from_item(item)
    key_id = key_id_of(parse_record(key.record)[1])
    if key_id == key.key_id:
        return None
    change = update(name, {"record": key.record}, "SET key_id = :new", "key_id = :old", new=key_id, old=key.key_id)
    return Repair(f"rename the key {key.key_id} to {key_id}, after its digest", (change,))


_DIGESTS: dict[str, Callable[[str, Item, Items], Repair | None]] = {
    DEVICES: _renew_digest,
    PLACES: _move_token,
    DIRECTORY: _rename_key,
}


def _parse(kinds: Mapping[str, type[StoredItem]], item: Item | None) -> Any:
    if item is None:
        return None
    try:
        return read(item, kinds)
    except UnreadableError:
        return None


def _claims(entity: StoredEntity, key: Key, epoch: int) -> bool:
    living = not isinstance(entity, ExpiringItem) or entity.is_alive(epoch)
    return living and key in [key_of(claim) for claim in claims_of(entity)]


def _replace(name: str, claim: StoredClaim, wanted: StoredClaim) -> dict[str, Any]:
    condition, values = unchanged_condition(claim)
    return put(name, to_item(wanted), condition, **values)


def _check(name: str, entity: StoredEntity) -> dict[str, Any]:
    condition, values = unchanged_condition(entity)
    return _to_check(delete(name, key_of(entity), condition, **values))


def _check_absent(name: str, key: Key, table: str) -> dict[str, Any]:
    attribute = "device_id" if table == DEVICES else "ksid"
    return _to_check(delete(name, key, f"attribute_not_exists({attribute})"))


def _to_check(write: dict[str, Any]) -> dict[str, Any]:
    # A ConditionCheck takes the same parameters as a Delete.
    return {"ConditionCheck": write["Delete"]}

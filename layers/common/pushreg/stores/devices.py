"""The Devices table: an account's subscriptions by device, and the claims that tie a mobile device to one of them.

Every write is a transaction, because only its idempotency token tells a retry whose first response was lost from a new
request (docs/decisions/transactions-for-single-writes.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError, StoreError, WriteConflictError
from pushreg.models.kazoo import Content, Subscription
from pushreg.schema import Item, device_key, digest, mobile_claim, mobile_claim_key

MAX_CACHED = 1000

# Positions in the list of writes of a transaction; the others follow in any order.
_DEVICE, _CLAIM = 0, 1
# Only these are fetched: decoding the response, attribute by attribute, is a tenth of a request's CPU time.
_ATTRIBUTES = ("device_id", "app_name", "mobile_device_id", "document", "digest", "writes", "created_at")
# The stored subscription is still the one that the decision was based on (docs/data-model.md#optimistic-locking).
_UNCHANGED = "mobile_device_id = :mobile AND digest = :digest AND writes = :writes"
_FREE_OR_OWN = "attribute_not_exists(device_id) OR device_id = :device"


@dataclass(frozen=True, slots=True)
class MobileClaim:
    """A stored claim on a mobile device; `owner_device_id` None means that there is no claim."""

    owner_device_id: str | None


class SubscriptionCache:
    """Subscriptions as this process last saw them, without their documents; other processes may have changed them.

    A conditional write may be based on one, a decision not to write may not.
    """

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[str, str], Subscription] = {}

    def get_cached(self, account_id: str, device_id: str) -> Subscription | None:
        """Return the device's subscription as last seen, its document empty."""
        return self._subscriptions.get((account_id, device_id))

    def keep(self, account_id: str, subscription: Subscription) -> None:
        """Remember the subscription."""
        if len(self._subscriptions) >= MAX_CACHED:
            self._subscriptions = {}
        content = replace(subscription.content, document={})
        self._subscriptions[account_id, subscription.device_id] = replace(subscription, content=content)


class Devices:
    """Subscriptions of one account, written at `moment` (ISO 8601)."""

    def __init__(self, session: Session, table: str, account_id: str, moment: str, cache: SubscriptionCache) -> None:
        self._session = session
        self._table = table
        self._account_id = account_id
        self._moment = moment
        self._cache = cache

    def get_cached(self, device_id: str) -> Subscription | None:
        """Return the device's subscription as this process last saw it, its document empty."""
        return self._cache.get_cached(self._account_id, device_id)

    def get(self, device_id: str) -> Subscription | None:
        """Return the device's subscription."""
        item = self._session.get(self._table, device_key(self._account_id, device_id), *_ATTRIBUTES)
        return None if item is None else self._from_item(item)

    def create(self, device_id: str, content: Content, owner_device_id: str | None) -> Subscription:
        """Store the first subscription of a device and its claim.

        A takeover names the claim's present owner, which loses its subscription in the same transaction.
        WriteConflictError holds the device's Subscription if it has one already, or the MobileClaim if another device
        owns the claim.
        """
        subscription = Subscription(device_id, content, 1, self._moment)
        item = self._to_item(subscription)
        device = put(self._table, item, "attribute_not_exists(device_id)")
        self._transact([device, *self._claim(item, owner_device_id)], owner_device_id)
        return self._remember(subscription)

    def replace(self, stored: Subscription, content: Content, owner_device_id: str | None) -> Subscription:
        """Replace exactly the stored subscription, and its claim too if the content has another mobile device.

        A takeover names the new claim's present owner. WriteConflictError holds the Subscription, or None, if it has
        changed since it was read, or the MobileClaim if another device owns the new claim.
        """
        replaced = Subscription(stored.device_id, content, stored.writes + 1, stored.created_at)
        if content.mobile_device_id == stored.content.mobile_device_id:
            writes = [self._update(replaced, stored)]
        else:
            item = self._to_item(replaced)
            device = put(self._table, item, _UNCHANGED, **_unchanged_values(stored))
            writes = [device, *self._claim(item, owner_device_id), self._release(stored)]
        self._transact(writes, owner_device_id)
        return self._remember(replaced)

    def remove(self, stored: Subscription) -> None:
        """Delete exactly the stored subscription and its claim.

        WriteConflictError holds the Subscription, or None, if it has changed since it was read.
        """
        key = device_key(self._account_id, stored.device_id)
        device = delete(self._table, key, _UNCHANGED, **_unchanged_values(stored))
        try:
            self._transact([device, self._release(stored)])
        except WriteConflictError as error:
            if isinstance(error.stored, MobileClaim):
                raise StoreError("InvariantViolated") from error
            raise

    def _transact(self, writes: list[dict[str, object]], owner_device_id: str | None = None) -> None:
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            if error.failed[_DEVICE]:
                item = error.items[_DEVICE]
                raise WriteConflictError(None if item is None else self._from_item(item)) from error
            if any(error.failed[_CLAIM : _CLAIM + 1]):
                claim = error.items[_CLAIM]
                if owner_device_id is None:
                    # The write asked who owns the claim, and this is the answer.
                    self._session.expect_refusal()
                raise WriteConflictError(MobileClaim(None if claim is None else claim["device_id"])) from error
            # The claim names a device whose subscription has another mobile device: `pushreg verify` reports it.
            raise StoreError("InvariantViolated") from error

    def _claim(self, subscription: Item, owner_device_id: str | None) -> list[dict[str, object]]:
        """Return the writes that give the claim to the subscription: a free or own one, or the owner's by takeover."""
        claim = mobile_claim(subscription)
        if owner_device_id is None:
            return [put(self._table, claim, _FREE_OR_OWN, device=subscription["device_id"])]
        # The owner loses its subscription in the same transaction (docs/data-model.md#takeover).
        lost = "attribute_not_exists(device_id) OR mobile_device_id = :mobile"
        owner_key = device_key(self._account_id, owner_device_id)
        return [
            put(self._table, claim, "device_id = :owner", owner=owner_device_id),
            delete(self._table, owner_key, lost, mobile=subscription["mobile_device_id"]),
        ]

    def _release(self, stored: Subscription) -> dict[str, object]:
        key = mobile_claim_key(self._account_id, digest(stored.content.mobile_device_id))
        return delete(self._table, key, _FREE_OR_OWN, device=stored.device_id)

    def _update(self, replaced: Subscription, stored: Subscription) -> dict[str, object]:
        content = replaced.content
        return update(
            self._table,
            device_key(self._account_id, replaced.device_id),
            "SET app_name = :app, document = :document, digest = :new, updated_at = :moment, writes = :count",
            _UNCHANGED,
            app=content.app_name,
            document=_encode(content),
            new=content.digest,
            moment=self._moment,
            count=replaced.writes,
            **_unchanged_values(stored),
        )

    def _remember(self, subscription: Subscription) -> Subscription:
        self._cache.keep(self._account_id, subscription)
        return subscription

    def _from_item(self, item: Item) -> Subscription:
        document = json.decode(item["document"].encode())
        content = Content(item["app_name"], item["mobile_device_id"], document, item["digest"])
        return self._remember(Subscription(item["device_id"], content, item["writes"], item["created_at"]))

    def _to_item(self, subscription: Subscription) -> Item:
        content = subscription.content
        return {
            **device_key(self._account_id, subscription.device_id),
            "device_id": subscription.device_id,
            "app_name": content.app_name,
            "mobile_device_id": content.mobile_device_id,
            "document": _encode(content),
            "digest": content.digest,
            "writes": subscription.writes,
            "created_at": subscription.created_at,
            "updated_at": self._moment,
        }


def _encode(content: Content) -> str:
    return json.encode(content.document).decode()


def _unchanged_values(stored: Subscription) -> dict[str, str | int]:
    content = stored.content
    return {"mobile": content.mobile_device_id, "digest": content.digest, "writes": stored.writes}

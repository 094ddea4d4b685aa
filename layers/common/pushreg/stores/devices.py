"""The Devices table: an account's subscriptions by device, and the claims that tie a mobile device to one of them.

Every write is a transaction, because only its idempotency token tells a retry whose first response was lost from a new
request (docs/decisions/transactions-for-single-writes.md).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from pushreg.clock import to_iso
from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError, StoreError, WriteConflictError
from pushreg.models.kazoo import Content, Subscription
from pushreg.schema import (
    ALIVE,
    DAY,
    EXPIRED,
    Item,
    device_key,
    digest,
    is_alive,
    mobile_claim,
    mobile_claim_key,
)

MAX_CACHED = 1000

# Positions in the list of writes of a transaction; the others follow in any order.
_DEVICE, _CLAIM = 0, 1
# Only these are fetched: decoding the response, attribute by attribute, is a tenth of a request's CPU time.
_ATTRIBUTES = (
    "device_id",
    "app_name",
    "mobile_device_id",
    "document",
    "digest",
    "writes",
    "created_at",
    "updated_at",
    "refreshed_at",
    "expires_at",
)
# The stored subscription is still the one that the decision was based on (docs/data-model.md#optimistic-locking).
_UNCHANGED = f"mobile_device_id = :mobile AND digest = :digest AND writes = :writes AND {ALIVE}"
_FREE = f"attribute_not_exists(device_id) OR {EXPIRED}"
_FREE_OR_OWN = "attribute_not_exists(device_id) OR device_id = :device"


class MobileClaim(NamedTuple):
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
        content = subscription.content._replace(document={})
        self._subscriptions[account_id, subscription.device_id] = subscription._replace(content=content)


class Devices:
    """Subscriptions of one account, written at `moment` (ISO 8601); they expire `lifetime` seconds after their refresh.

    A lifetime of 0 means that they never expire. Expired items count as absent before DynamoDB removes them.
    """

    def __init__(
        self,
        session: Session,
        table: str,
        account_id: str,
        moment: str,
        epoch: int,
        lifetime: int,
        cache: SubscriptionCache,
    ) -> None:
        self._session = session
        self._table = table
        self._account_id = account_id
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None
        self._cache = cache

    def get_cached(self, device_id: str) -> Subscription | None:
        """Return the device's subscription as this process last saw it, its document empty."""
        return self._cache.get_cached(self._account_id, device_id)

    def get(self, device_id: str) -> Subscription | None:
        """Return the device's subscription."""
        item = self._session.get(self._table, device_key(self._account_id, device_id), *_ATTRIBUTES)
        return self._from_item(item)

    def is_due(self, stored: Subscription) -> bool:
        """Whether an unchanged subscription should be refreshed: at most once a day, so that most write nothing."""
        day_ago = to_iso(datetime.fromtimestamp(self._epoch - DAY, UTC))
        is_expiry_changed = (stored.expires_at is None) is not (self._expires_at is None)
        return stored.refreshed_at <= day_ago or is_expiry_changed

    def create(self, device_id: str, content: Content, owner_device_id: str | None) -> Subscription:
        """Store the first subscription of a device and its claim.

        A takeover names the claim's present owner, which loses its subscription in the same transaction.
        WriteConflictError holds the device's Subscription if it has one already, or the MobileClaim if another device
        owns the claim.
        """
        subscription = Subscription(device_id, content, 1, self._moment, self._moment, self._expires_at)
        item = self._to_item(subscription)
        device = put(self._table, item, _FREE, epoch=self._epoch)
        self._transact([device, *self._claim(item, owner_device_id)], owner_device_id)
        return self._remember(subscription)

    def replace(self, stored: Subscription, content: Content, owner_device_id: str | None) -> Subscription:
        """Replace exactly the stored subscription, and its claim too if the content has another mobile device.

        A takeover names the new claim's present owner. WriteConflictError holds the Subscription, or None, if it has
        changed since it was read, or the MobileClaim if another device owns the new claim.
        """
        replaced = Subscription(
            stored.device_id, content, stored.writes + 1, stored.created_at, self._moment, self._expires_at
        )
        if content.mobile_device_id == stored.content.mobile_device_id:
            self._transact_own([self._update(replaced, stored), *self._renew_claim(stored)])
        else:
            item = self._to_item(replaced)
            device = put(self._table, item, _UNCHANGED, **self._unchanged_values(stored))
            self._transact([device, *self._claim(item, owner_device_id), self._release(stored)], owner_device_id)
        return self._remember(replaced)

    def refresh(self, stored: Subscription) -> None:
        """Renew `refreshed_at` and the expiry of exactly the stored subscription.

        WriteConflictError holds the Subscription, or None, if it has changed since it was read.
        """
        change, values = self._expire("SET refreshed_at = :moment", moment=self._moment)
        key = device_key(self._account_id, stored.device_id)
        values |= self._unchanged_values(stored)
        self._transact_own([update(self._table, key, change, _UNCHANGED, **values), *self._renew_claim(stored)])
        self._remember(stored._replace(refreshed_at=self._moment, expires_at=self._expires_at))

    def remove(self, stored: Subscription) -> None:
        """Delete exactly the stored subscription and its claim.

        WriteConflictError holds the Subscription, or None, if it has changed since it was read.
        """
        key = device_key(self._account_id, stored.device_id)
        device = delete(self._table, key, _UNCHANGED, **self._unchanged_values(stored))
        self._transact_own([device, self._release(stored)])

    def _transact_own(self, writes: list[dict[str, object]]) -> None:
        """Make the writes of a subscription that keeps its mobile device or gives it up: the claim is its own."""
        try:
            self._transact(writes)
        except WriteConflictError as error:
            if isinstance(error.stored, MobileClaim):
                raise StoreError("InvariantViolated") from error
            raise

    def _transact(self, writes: list[dict[str, object]], owner_device_id: str | None = None) -> None:
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            if error.failed[_DEVICE]:
                raise WriteConflictError(self._from_item(error.items[_DEVICE])) from error
            if any(error.failed[_CLAIM : _CLAIM + 1]):
                claim = error.items[_CLAIM]
                is_free = claim is None or not is_alive(claim.get("expires_at"), self._epoch)
                if owner_device_id is None:
                    # The write asked who owns the claim, and this is the answer.
                    self._session.expect_refusal()
                raise WriteConflictError(
                    MobileClaim(None if is_free or claim is None else claim["device_id"])
                ) from error
            # The claim names a device whose subscription has another mobile device: `pushreg verify` reports it.
            raise StoreError("InvariantViolated") from error

    def _claim(self, subscription: Item, owner_device_id: str | None) -> list[dict[str, object]]:
        """Return the writes that give the claim to the subscription: a free or own one, or the owner's by takeover."""
        claim = mobile_claim(subscription)
        if owner_device_id is None:
            condition = f"{_FREE_OR_OWN} OR {EXPIRED}"
            return [put(self._table, claim, condition, device=subscription["device_id"], epoch=self._epoch)]
        # The owner loses its subscription in the same transaction (docs/data-model.md#takeover).
        lost = "attribute_not_exists(device_id) OR mobile_device_id = :mobile"
        owner_key = device_key(self._account_id, owner_device_id)
        return [
            put(self._table, claim, f"device_id = :owner AND {ALIVE}", owner=owner_device_id, epoch=self._epoch),
            delete(self._table, owner_key, lost, mobile=subscription["mobile_device_id"]),
        ]

    def _release(self, stored: Subscription) -> dict[str, object]:
        key = mobile_claim_key(self._account_id, digest(stored.content.mobile_device_id))
        return delete(self._table, key, _FREE_OR_OWN, device=stored.device_id)

    def _update(self, replaced: Subscription, stored: Subscription) -> dict[str, object]:
        content = replaced.content
        change, values = self._expire(
            "SET app_name = :app, document = :document, digest = :new, writes = :count, "
            "updated_at = :moment, refreshed_at = :moment",
            app=content.app_name,
            document=_encode(content),
            new=content.digest,
            count=replaced.writes,
            moment=self._moment,
        )
        key = device_key(self._account_id, replaced.device_id)
        return update(self._table, key, change, _UNCHANGED, **values, **self._unchanged_values(stored))

    def _renew_claim(self, stored: Subscription) -> list[dict[str, object]]:
        """Return the write that lets the claim expire with its subscription, if either ever does."""
        if self._expires_at is None and stored.expires_at is None:
            return []
        change, values = self._expire("SET device_id = :device", device=stored.device_id)
        key = mobile_claim_key(self._account_id, digest(stored.content.mobile_device_id))
        return [update(self._table, key, change, "device_id = :device", **values)]

    def _expire(self, change: str, **values: str | int) -> tuple[str, dict[str, str | int]]:
        if self._expires_at is None:
            return f"{change} REMOVE expires_at", values
        return f"{change}, expires_at = :expires_at", {**values, "expires_at": self._expires_at}

    def _unchanged_values(self, stored: Subscription) -> dict[str, str | int]:
        content = stored.content
        return {
            "mobile": content.mobile_device_id,
            "digest": content.digest,
            "writes": stored.writes,
            "epoch": self._epoch,
        }

    def _remember(self, subscription: Subscription) -> Subscription:
        self._cache.keep(self._account_id, subscription)
        return subscription

    def _from_item(self, item: Item | None) -> Subscription | None:
        if item is None or not is_alive(item.get("expires_at"), self._epoch):
            return None
        document = json.decode(item["document"].encode())
        content = Content(item["app_name"], item["mobile_device_id"], document, item["digest"])
        # Absent in items of version 1.0.0, which leaves it as it is when it writes beside this one.
        refreshed_at = max(item.get("refreshed_at", ""), item["updated_at"])
        return self._remember(
            Subscription(
                item["device_id"], content, item["writes"], item["created_at"], refreshed_at, item.get("expires_at")
            )
        )

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
            "refreshed_at": self._moment,
            "expires_at": self._expires_at,
        }


def _encode(content: Content) -> str:
    return json.encode(content.document).decode()

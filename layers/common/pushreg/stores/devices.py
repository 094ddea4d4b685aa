"""The Devices table: an account's subscriptions by device, and the claims that tie a mobile device to one of them.

Every write is a transaction. Of a write whose answer is lost only DynamoDB can know, by the request token: what a
single conditional write leaves in its item may be deleted or written over before it is repeated.
"""

from __future__ import annotations

from dataclasses import replace

from pushreg.codecs import json
from pushreg.dynamodb import Item, Key, Session, delete, put, update
from pushreg.errors import ConditionFailedError, PushregError, StoreError
from pushreg.models.directory import digest
from pushreg.models.kazoo import Content, Subscription

MEMORY_ENTRIES = 1000

# No more than is used: the client reading its answer, attribute by attribute, is a tenth of a request.
_READ = ("device_id", "app_name", "mobile_device_id", "document", "digest", "writes", "created_at")
_PINNED = "mobile_device_id = :mobile AND digest = :digest AND writes = :writes"
_FREE_OR_OWN = "attribute_not_exists(device_id) OR device_id = :device"


class StandingError(PushregError):
    """A write was refused: if `own`, by the device's `subscription` or its absence, else by the claim's `holder`."""

    def __init__(self, own: bool, subscription: Subscription | None, holder: str | None) -> None:
        super().__init__("refused by what is stored")
        self.own = own
        self.subscription = subscription
        self.holder = holder


class SubscriptionCache:
    """Subscriptions as a function last saw them, without their documents; others may have changed them since.

    A write may build on one, being pinned to it; a decision not to write may not.
    """

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[str, str], Subscription] = {}

    def get_cached(self, account_id: str, device_id: str) -> Subscription | None:
        """Return the device's subscription as last seen, its document empty."""
        return self._subscriptions.get((account_id, device_id))

    def keep(self, account_id: str, subscription: Subscription) -> None:
        """Remember the subscription."""
        if len(self._subscriptions) >= MEMORY_ENTRIES:
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
        """Return the device's subscription as this function last saw it, its document empty."""
        return self._cache.get_cached(self._account_id, device_id)

    def get(self, device_id: str) -> Subscription | None:
        """Return the device's subscription."""
        item = self._session.get(self._table, self._device(device_id), *_READ)
        return self._from_item(item) if item is not None else None

    def create(self, device_id: str, content: Content, holder: str | None, token: str) -> Subscription:
        """Store the first subscription of a device together with its claim, taking both from `holder` if named.

        StandingError if the device has one already or the claim is another's.
        """
        subscription = Subscription(device_id, content, 1, self._moment)
        device = put(self._table, self._item(subscription), "attribute_not_exists(device_id)")
        self._transact([device, *self._claim(device_id, content, holder)], token)
        return self._remember(subscription)

    def replace(self, standing: Subscription, content: Content, holder: str | None, token: str) -> Subscription:
        """Replace exactly the standing subscription, and its claim with it if the content has another mobile device.

        StandingError if the subscription changed meanwhile or the new claim is not `holder`'s.
        """
        replaced = Subscription(standing.device_id, content, standing.writes + 1, standing.created_at)
        if content.mobile_device_id == standing.content.mobile_device_id:
            writes = [self._update(replaced, standing)]
        else:
            device = put(self._table, self._item(replaced), _PINNED, **_pin(standing))
            writes = [device, *self._claim(standing.device_id, content, holder), self._release(standing)]
        self._transact(writes, token)
        return self._remember(replaced)

    def remove(self, standing: Subscription, token: str) -> None:
        """Delete exactly the standing subscription and its claim; StandingError if it changed meanwhile."""
        device = delete(self._table, self._device(standing.device_id), _PINNED, **_pin(standing))
        self._transact([device, self._release(standing)], token)

    def _transact(self, writes: list[dict[str, object]], token: str) -> None:
        # writes[0] is the device's own record, writes[1] the claim's, if it changes.
        try:
            self._session.transact(writes, token)
        except ConditionFailedError as error:
            if not any(error.failed[:2]):
                # The claim names a device that holds another mobile device: `pushreg verify` tells more.
                raise StoreError("InvariantViolated") from error
            item, *claims = error.items[:2]
            subscription = self._from_item(item) if item is not None else None
            holder = next((claim["device_id"] for claim in claims if claim is not None), None)
            raise StandingError(error.failed[0], subscription, holder) from error

    def _claim(self, device_id: str, content: Content, holder: str | None) -> list[dict[str, object]]:
        """Return the writes that give the mobile device's claim to the device: from nobody, itself, or the holder."""
        item = {**self._mobile(content.mobile_device_id), "device_id": device_id}
        if holder is None:
            return [put(self._table, item, _FREE_OR_OWN, device=device_id)]
        # The one who held it loses its subscription in the same moment (invariant 2).
        lost = "attribute_not_exists(device_id) OR mobile_device_id = :mobile"
        return [
            put(self._table, item, "device_id = :holder", holder=holder),
            delete(self._table, self._device(holder), lost, mobile=content.mobile_device_id),
        ]

    def _release(self, standing: Subscription) -> dict[str, object]:
        key = self._mobile(standing.content.mobile_device_id)
        return delete(self._table, key, _FREE_OR_OWN, device=standing.device_id)

    def _update(self, replaced: Subscription, standing: Subscription) -> dict[str, object]:
        content = replaced.content
        return update(
            self._table,
            self._device(replaced.device_id),
            "SET app_name = :app, document = :document, digest = :new, updated_at = :moment, writes = :count",
            _PINNED,
            app=content.app_name,
            document=_encode(content),
            new=content.digest,
            moment=self._moment,
            count=replaced.writes,
            **_pin(standing),
        )

    def _remember(self, subscription: Subscription) -> Subscription:
        self._cache.keep(self._account_id, subscription)
        return subscription

    def _from_item(self, item: Item) -> Subscription:
        document = json.decode(item["document"].encode())
        content = Content(item["app_name"], item["mobile_device_id"], document, item["digest"])
        return self._remember(Subscription(item["device_id"], content, item["writes"], item["created_at"]))

    def _item(self, subscription: Subscription) -> Item:
        content = subscription.content
        return {
            **self._device(subscription.device_id),
            "device_id": subscription.device_id,
            "app_name": content.app_name,
            "mobile_device_id": content.mobile_device_id,
            "document": _encode(content),
            "digest": content.digest,
            "writes": subscription.writes,
            "created_at": subscription.created_at,
            "updated_at": self._moment,
        }

    def _device(self, device_id: str) -> Key:
        return {"account_id": self._account_id, "record": f"device#{device_id}"}

    def _mobile(self, mobile_device_id: str) -> Key:
        return {"account_id": self._account_id, "record": f"mobile#{digest(mobile_device_id)}"}


def _encode(content: Content) -> str:
    return json.encode(content.document).decode()


def _pin(standing: Subscription) -> dict[str, str | int]:
    content = standing.content
    return {"mobile": content.mobile_device_id, "digest": content.digest, "writes": standing.writes}

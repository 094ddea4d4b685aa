"""The Devices table: an account's subscriptions by device, and the claims that tie a mobile device to one of them."""

from __future__ import annotations

from pushreg.codecs import json
from pushreg.errors import PushregError, RefusedError, StoreError
from pushreg.models.directory import digest
from pushreg.models.kazoo import Content, Precondition, Subscription
from pushreg.table import Item, Key, Session, delete, put, update

# More tags than this in one header match nothing; DynamoDB bounds an expression to 4 KB.
MAX_TAGS = 20

_PINNED = "mobile_device_id = :mobile AND digest = :digest AND writes = :writes"
_FREE_OR_OWN = "attribute_not_exists(device_id) OR device_id = :device"


class StandingError(PushregError):
    """A write was refused: if `own`, by the device's `subscription` or its absence, else by the claim's `holder`."""

    def __init__(self, own: bool, subscription: Subscription | None, holder: str | None) -> None:
        super().__init__("refused by what is stored")
        self.own = own
        self.subscription = subscription
        self.holder = holder


class Devices:
    """Subscriptions of one account, written at `moment` (ISO 8601)."""

    def __init__(self, session: Session, table: str, account_id: str, moment: str) -> None:
        self._session = session
        self._table = table
        self._account_id = account_id
        self._moment = moment

    def get(self, device_id: str) -> Subscription | None:
        """Return the device's subscription."""
        item = self._session.get(self._table, self._device(device_id))
        return _from_item(item) if item is not None else None

    def create(self, device_id: str, content: Content, holder: str | None, token: str) -> Subscription:
        """Store the first subscription of a device together with its claim, taking both from `holder` if named.

        StandingError if the device has one already or the claim is another's.
        """
        subscription = Subscription(device_id, content, 1, self._moment)
        device = put(self._table, self._item(subscription, token), "attribute_not_exists(device_id)")
        self._transact([device, *self._claim(device_id, content, holder)], token)
        return subscription

    def refresh(self, device_id: str, content: Content, precondition: Precondition, write_id: str) -> Subscription:
        """Replace a subscription that has the same mobile device, different content and a fitting revision.

        StandingError, with what stands, if any of the three is not so. An attempt whose answer was lost is known by its
        write id: the repeated one gives the first one's answer.
        """
        condition = "mobile_device_id = :mobile AND digest <> :digest"
        clause, tags = _clause(precondition)
        change = (
            "SET app_name = :app, document = :document, digest = :digest, updated_at = :moment, "
            "write_id = :write_id, writes = writes + :one"
        )
        write = update(
            self._table,
            self._device(device_id),
            change,
            condition + clause,
            mobile=content.mobile_device_id,
            digest=content.digest,
            app=content.app_name,
            document=_encode(content),
            moment=self._moment,
            write_id=write_id,
            one=1,
            **tags,
        )
        try:
            item = self._session.update(write, "ALL_NEW")
        except RefusedError as error:
            (standing,) = error.items
            if standing is None or standing.get("write_id") != write_id:
                subscription = _from_item(standing) if standing is not None else None
                raise StandingError(True, subscription, None) from error
            item = standing
        return Subscription(device_id, content, item["writes"], item["created_at"])

    def move(self, standing: Subscription, content: Content, holder: str | None, token: str) -> Subscription:
        """Replace exactly the standing subscription by one of another mobile device, and its claim with it.

        StandingError if the subscription changed meanwhile or the new claim is not `holder`'s.
        """
        moved = Subscription(standing.device_id, content, standing.writes + 1, standing.created_at)
        device = put(self._table, self._item(moved, token), _PINNED, **_pin(standing))
        claim = self._claim(standing.device_id, content, holder)
        self._transact([device, *claim, self._release(standing)], token)
        return moved

    def remove(self, standing: Subscription, token: str) -> None:
        """Delete exactly the standing subscription and its claim; StandingError if it changed meanwhile."""
        device = delete(self._table, self._device(standing.device_id), _PINNED, **_pin(standing))
        self._transact([device, self._release(standing)], token)

    def _transact(self, writes: list[dict[str, object]], token: str) -> None:
        # writes[0] is the device's own record, writes[1] the claim's.
        try:
            self._session.transact(writes, token)
        except RefusedError as error:
            if not any(error.failed[:2]):
                # The claim names a device that holds another mobile device: `pushreg verify` tells more.
                raise StoreError("InvariantViolated") from error
            item, claim = error.items[:2]
            subscription = _from_item(item) if item is not None else None
            holder = claim["device_id"] if error.failed[1] and claim is not None else None
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

    def _item(self, subscription: Subscription, write_id: str) -> Item:
        content = subscription.content
        return {
            **self._device(subscription.device_id),
            "device_id": subscription.device_id,
            "app_name": content.app_name,
            "mobile_device_id": content.mobile_device_id,
            "document": _encode(content),
            "digest": content.digest,
            "writes": subscription.writes,
            "write_id": write_id,
            "created_at": subscription.created_at,
            "updated_at": self._moment,
        }

    def _device(self, device_id: str) -> Key:
        return {"account_id": self._account_id, "record": f"device#{device_id}"}

    def _mobile(self, mobile_device_id: str) -> Key:
        return {"account_id": self._account_id, "record": f"mobile#{digest(mobile_device_id)}"}


def _encode(content: Content) -> str:
    return json.encode(content.document).decode()


def _from_item(item: Item) -> Subscription:
    document = json.decode(item["document"].encode())
    content = Content(item["app_name"], item["mobile_device_id"], document, item["digest"])
    return Subscription(item["device_id"], content, item["writes"], item["created_at"])


def _pin(standing: Subscription) -> dict[str, str | int]:
    content = standing.content
    return {"mobile": content.mobile_device_id, "digest": content.digest, "writes": standing.writes}


def _clause(precondition: Precondition) -> tuple[str, dict[str, str | int]]:
    """Return what the headers add to a condition, and its values; revisions that cannot be one match nothing."""
    clause = ""
    values: dict[str, str | int] = {}
    if precondition.wanted is not None and "*" not in precondition.wanted:
        wanted, values = _any_of("wanted", precondition.wanted)
        clause += f" AND {wanted}"
    if "*" in precondition.unwanted:
        clause += " AND attribute_not_exists(device_id)"
    elif precondition.unwanted:
        unwanted, more = _any_of("unwanted", precondition.unwanted)
        clause += f" AND NOT {unwanted}"
        values |= more
    return clause, values


def _any_of(name: str, revisions: frozenset[str]) -> tuple[str, dict[str, str | int]]:
    terms, values = [], dict[str, str | int]()
    for index, revision in enumerate(sorted(revisions)[:MAX_TAGS]):
        count, _, content_digest = revision.partition("-")
        if count.isascii() and count.isdigit() and len(count) < 16:
            terms.append(f"(writes = :{name}_count{index} AND digest = :{name}_digest{index})")
            values |= {f"{name}_count{index}": int(count), f"{name}_digest{index}": content_digest}
    # DynamoDB refuses redundant parentheses.
    joined = f"({' OR '.join(terms)})" if len(terms) > 1 else "".join(terms)
    return joined or "attribute_not_exists(device_id)", values

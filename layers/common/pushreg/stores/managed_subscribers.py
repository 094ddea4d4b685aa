"""The Subscribers table as consoles and senders use it: by user, by application, and many at once.

Lists come from the user index, which is eventually consistent: it lags a second or so behind the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from pushreg.dynamodb import Page, delete, update
from pushreg.errors import ConditionFailedError, PushregError, StaleReadError, StoreError
from pushreg.schema import (
    ALIVE,
    OPERATOR_WRITE,
    USER_INDEX,
    USER_INDEX_PARTITION,
    USER_INDEX_SORT,
    Key,
    device_claim_key,
    digest,
    ksid_key,
    parse_record,
    subscriber_claims,
    user_index_prefix,
)
from pushreg.stores.subscribers import FREE_OR_OWN, Subscriber, Subscribers

# Above every character of a sort key.
_HIGH = "~"
_IN_RANGE = f"{USER_INDEX_PARTITION} = :app AND {USER_INDEX_SORT} BETWEEN :low AND :high"


class UncountableError(PushregError):
    """The subscribers that match are too many to be counted within the request's time."""


class Filter(NamedTuple):
    """What listed subscribers have in common; None matches all."""

    app_id: str
    ufid: str | None = None
    os_type: str | None = None
    active: bool | None = None
    cloud: bool | None = None

    def matches(self, subscriber: Subscriber) -> bool:
        """Whether the subscriber is one of those."""
        wanted = (self.ufid, self.os_type, self.active, self.cloud)
        found = (subscriber.ufid, subscriber.osType, subscriber.active, subscriber.cloud)
        is_same = all(want in (None, have) for want, have in zip(wanted, found, strict=True))
        return is_same and subscriber.appId == self.app_id


class Listing(NamedTuple):
    """Some of the subscribers that match, in the index's order; `total` counts all. `has_more` follow the last."""

    total: int
    subscribers: list[Subscriber]
    has_more: bool

    def truncate(self, size: int) -> Listing:
        """Return the listing without what is beyond its first `size` subscribers."""
        return Listing(self.total, self.subscribers[:size], self.has_more or size < len(self.subscribers))


class ManagedSubscribers(Subscribers):
    """Subscribers of one table, and the subscribers of its user index."""

    _pages = 0

    def find_page(self, wanted: Filter, size: int, skipped: int = 0, after: str | None = None) -> Listing:
        """Return at most `size` subscribers that match, without the first `skipped` behind the sort key `after`.

        All that match are counted, by queries of a megabyte each; UncountableError if the session ends before.
        """
        try:
            return self._find_page(wanted, size, skipped, after)
        except StoreError as error:
            # A database that does not answer at all is no reason to narrow the listing.
            if error.code == "DeadlineExceeded" and self._pages:
                raise UncountableError from error
            raise

    def _find_page(self, wanted: Filter, size: int, skipped: int, after: str | None) -> Listing:
        total = 0
        if after is not None:
            total += self._count(wanted, high=after)
        found: list[Subscriber] = []
        seen, position = 0, None if after is None else _to_index_key(wanted.app_id, after)
        # One more than is returned, so that a page which is the last is known to be by the same query.
        target = skipped + size + 1
        while seen < target:
            options: dict[str, Any] = {} if self._is_selective(wanted) else {"Limit": target - seen}
            page = self._query(wanted, position, **options)
            subscribers = [self._to_subscriber(item) for item in page.items]
            found += [each for each in subscribers[max(0, skipped - seen) :] if each is not None]
            seen, position = seen + len(page.items), page.last
            if position is None:
                break
        total += seen
        if position is not None:
            total += self._count(wanted, position)
        return Listing(total, found[:size], len(found) > size)

    def get_many_by_ksid(self, ksids: Sequence[str]) -> list[Subscriber | None]:
        """Return the subscribers of distinct KSIDs in their order."""
        items = self._session.get_many(self._table, [ksid_key(ksid) for ksid in ksids])
        return [self._to_subscriber(item) for item in items]

    def set_active(self, subscriber: Subscriber, active: bool) -> None:
        """Store whether an operator wants the subscriber sent to; StaleReadError if it has changed since it was read.

        An active subscriber has a sid and a deviceId.
        """
        ksid, change = subscriber.ksid, {"active": active, "ksid": subscriber.ksid}
        claim = device_claim_key(subscriber.appId, digest(subscriber.deviceId))
        condition = f"sid = :sid AND deviceId = :device AND active = :was_active AND {ALIVE}"
        values: dict[str, Any] = {"active": active, "was_active": subscriber.active, "moment": self._moment}
        values |= {"sid": subscriber.sid, "device": subscriber.deviceId, "epoch": self._epoch}
        values["mark"] = uuid.uuid4().hex
        set_active = f"SET active = :active, updated_at = :moment, {OPERATOR_WRITE} = :mark"
        self._write(
            update(self._table, ksid_key(ksid), set_active, condition, **values),
            update(self._table, claim, "SET active = :active", "ksid = :ksid", **change),
        )

    def delete(self, subscribers: Sequence[Subscriber]) -> None:
        """Remove inactive subscribers and their claims, all or none; at most 33, which is a transaction's worth.

        StaleReadError if one of them has changed since it was read.
        """
        writes = []
        for each in subscribers:
            values = {"sid": each.sid, "device": each.deviceId, "inactive": False}
            condition = "sid = :sid AND deviceId = :device AND active = :inactive"
            writes.append(delete(self._table, ksid_key(each.ksid), condition, **values))
            attributes = {"ksid": each.ksid, "appId": each.appId, "deviceId": each.deviceId, "sid": each.sid}
            for claim in subscriber_claims(attributes):
                key = {"record": claim["record"]}
                writes.append(delete(self._table, key, FREE_OR_OWN, ksid=each.ksid))
        self._write(*writes)

    def _write(self, *writes: dict[str, Any]) -> None:
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            raise StaleReadError from error

    def _count(self, wanted: Filter, position: Key | None = None, high: str | None = None) -> int:
        count = 0
        while True:
            page = self._query(wanted, position, high, Select="COUNT")
            count, position = count + page.total, page.last
            if position is None:
                return count

    def _query(self, wanted: Filter, position: Key | None, high: str | None = None, **options: Any) -> Page:
        prefix = "" if wanted.ufid is None else user_index_prefix(wanted.ufid)
        condition = ALIVE
        values: dict[str, Any] = {"epoch": self._epoch}
        # Without a verdict on the sid, it counts as good.
        no_verdict = "attribute_not_exists(cloud) OR " if wanted.cloud else ""
        clauses = {
            "os_type": "osType = :os_type",
            "active": "active = :active",
            "cloud": f"({no_verdict}cloud = :cloud)",
        }
        for name, clause in clauses.items():
            value = getattr(wanted, name)
            if value is not None:
                condition, values[name] = f"{condition} AND {clause}", value
        page = self._session.query(
            self._table,
            _IN_RANGE,
            position,
            IndexName=USER_INDEX,
            FilterExpression=condition,
            app=wanted.app_id,
            low=prefix or "-",
            high=high or prefix + _HIGH,
            **values,
            **options,
        )
        self._pages += 1
        return page

    @staticmethod
    def _is_selective(wanted: Filter) -> bool:
        return (wanted.os_type, wanted.active, wanted.cloud) != (None, None, None)


def _to_index_key(app_id: str, sort: str) -> Key:
    _, ksid = parse_record(sort)
    return {USER_INDEX_PARTITION: app_id, USER_INDEX_SORT: sort, **ksid_key(ksid)}

"""The Subscribers table: subscribers by KSID, and the claims of their device and sid within an application.

A claim repeats what a subscribe request is compared with, so that one read answers a duplicate, and each claim names
the other. Every write that changes a subscriber changes its claims in the same transaction (docs/data-model.md#claims).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError, StoreError, WriteConflictError
from pushreg.models.engagement import Subscribe
from pushreg.schema import (
    ALIVE,
    DAY,
    EXPIRED,
    MAX_CALLER_TEXT,
    OTHER_CLAIM_DIGEST,
    TAKEN,
    USER_INDEX_SORT,
    Item,
    Key,
    device_claim_key,
    digest,
    is_alive,
    ksid_key,
    sid_claim_key,
    subscriber_claims,
    user_index_sort,
)

# Positions among the writes of a transaction.
_SUBSCRIBER, _DEVICE, _SID, _RIVAL = range(4)
_FREE = f"attribute_not_exists(ksid) OR {EXPIRED}"
FREE_OR_OWN = "attribute_not_exists(ksid) OR ksid = :ksid"
_OWN_CLAIM = f"ksid = :ksid AND {OTHER_CLAIM_DIGEST} = :other"
_TAKEN_DIGEST = digest(TAKEN)

Write = dict[str, Any]


class Claim(NamedTuple):
    """A claim on a device or a sid; `other_claim_digest` is the digest of the sid or the device beside it.

    Only a device's claim has `osType`, `active`, `deviceName` and `cloud`, which is False if the sid was reported dead.
    """

    ksid: str
    other_claim_digest: str
    ufid: str | None
    expires_at: int | None
    osType: str | None = None
    active: bool | None = None
    deviceName: str | None = None
    cloud: bool | None = None


class Subscriber(NamedTuple):
    """A stored subscriber; an inactive one whose sid or deviceId was taken has the empty string there.

    `cloud` is the push provider's verdict on the sid.
    """

    ksid: str
    appId: str
    deviceId: str
    sid: str
    osType: str
    ufid: str | None
    active: bool
    cloud: bool
    deviceName: str | None
    userAgent: str | None
    ipAddress: str | None
    created_at: str
    updated_at: str


class Found(NamedTuple):
    """The claims that a subscribe request meets, and the subscriber of the sid's claim if it was read.

    Only those of a snapshot are known to have existed together.
    """

    device: Claim | None
    sid: Claim | None
    sid_subscriber: Subscriber | None = None
    is_snapshot: bool = False

    @property
    def is_split(self) -> bool:
        """Whether the device and the sid lead to two subscribers."""
        return self.device is not None and self.sid is not None and self.device.ksid != self.sid.ksid


class Subscribers:
    """Subscribers of one table, written at `moment` (ISO 8601); they expire `lifetime` seconds after their refresh.

    A lifetime of 0 means that they never expire. Expired items count as absent before DynamoDB removes them. User agent
    and address are those of the call, stored with what it subscribes, at most MAX_CALLER_TEXT characters each.
    """

    def __init__(
        self,
        session: Session,
        table: str,
        moment: str,
        epoch: int,
        lifetime: int,
        user_agent: str | None = None,
        ip_address: str | None = None,
    ) -> None:
        self._session = session
        self._table = table
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None
        self._user_agent = (user_agent or "")[:MAX_CALLER_TEXT] or None
        self._ip_address = (ip_address or "")[:MAX_CALLER_TEXT] or None

    def find(self, form: Subscribe) -> Found:
        """Return the claims of the request's device and sid, read in one batch, which is no snapshot."""
        device, sid = self._session.get_many(self._table, _claim_keys(form))
        return Found(self._to_device_claim(device), self._to_sid_claim(sid))

    def find_snapshot(self, form: Subscribe, sid_ksid: str) -> Found:
        """Return the claims of the request's device and sid and the subscriber `sid_ksid`, read in one transaction.

        `sid_subscriber` is None if the sid leads to another subscriber by now.
        """
        keys = [*_claim_keys(form), ksid_key(sid_ksid)]
        device, sid, subscriber = self._session.get_snapshot(self._table, keys)
        sid_claim = self._to_sid_claim(sid)
        is_current = sid_claim is not None and sid_claim.ksid == sid_ksid
        sid_subscriber = self._to_subscriber(subscriber) if is_current else None
        if is_current and sid_subscriber is None:
            raise StoreError("InvariantViolated")
        return Found(self._to_device_claim(device), sid_claim, sid_subscriber, is_snapshot=True)

    def find_device(self, app_id: str, *device_ids: str) -> list[Claim | None]:
        """Return the claims of devices of an application, in their order."""
        keys = [device_claim_key(app_id, digest(device_id)) for device_id in device_ids]
        return [self._to_device_claim(item) for item in self._session.get_many(self._table, keys)]

    def get(self, ksid: str) -> Subscriber | None:
        """Return the subscriber of a KSID."""
        return self._to_subscriber(self._session.get(self._table, ksid_key(ksid)))

    def is_duplicate(self, form: Subscribe, device: Claim) -> bool:
        """Whether the device's subscriber is active, its sid is not reported dead, and the request changes nothing."""
        is_same_user = form.keeps_ufid or form.ufid == device.ufid
        is_same_name = form.deviceName is None or form.deviceName == device.deviceName
        is_same_registration = (device.other_claim_digest, device.osType) == (digest(form.sid), form.osType)
        is_living = bool(device.active) and device.cloud is not False
        return is_living and is_same_user and is_same_name and is_same_registration

    def is_due(self, claim: Claim) -> bool:
        """Whether a duplicate should renew the expiry: at most once a day, so that most duplicates write nothing."""
        if self._expires_at is None or claim.expires_at is None:
            return self._expires_at != claim.expires_at
        # In both directions, because a deployment may have shortened the lifetime.
        return abs(claim.expires_at - self._expires_at) > DAY

    def create(self, form: Subscribe, ksid: str) -> None:
        """Store a new subscriber with its claims.

        WriteConflictError holds what was Found if the device or the sid is taken, or the KSID.
        """
        subscriber = self._to_item(form, ksid, form.ufid, form.deviceName)
        device, sid = subscriber_claims(subscriber)
        added = {
            **ksid_key(ksid),
            USER_INDEX_SORT: user_index_sort(form.ufid, ksid),
            "userAgent": self._user_agent,
            "ipAddress": self._ip_address,
            "created_at": self._moment,
            "updated_at": self._moment,
        }
        writes = [
            put(self._table, {**subscriber, **added}, "attribute_not_exists(ksid)"),
            put(self._table, device, _FREE, epoch=self._epoch),
            put(self._table, sid, _FREE, epoch=self._epoch),
        ]
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            raise WriteConflictError(self._merge(Found(None, None), error)) from error

    def update(self, form: Subscribe, found: Found, ksid: str) -> None:
        """Apply the request to the subscriber `ksid`, which one of the claims leads to, and make it active.

        In the same transaction it releases the device or sid that it had before, and takes the claim of the request
        that leads to another subscriber, which becomes or stays inactive; that is read before if it is the sid's.
        WriteConflictError holds what was Found if that was no longer what is stored.
        """
        device, sid = found.device, found.sid
        own = device if device is not None and device.ksid == ksid else sid
        if own is None:
            raise ValueError("no claim to follow")
        was_active, name, expected = own.active, own.deviceName, None
        if own is sid and found.sid_subscriber is not None:
            was_active, name = found.sid_subscriber.active, found.sid_subscriber.deviceName
            expected = was_active
        elif own is sid and form.keeps_ufid and own.ufid is not None:
            # A sid's claim does not have `active`. Unsubscribing removes the ufid, so the subscriber is active, unless
            # an operator made it inactive or 1.0.0 unsubscribed it: both keep the ufid. Then the condition fails.
            was_active = expected = True
        ufid = own.ufid if form.keeps_ufid and was_active else form.ufid
        name = form.deviceName or name
        device_item, sid_item = subscriber_claims(self._to_item(form, ksid, ufid, name))
        has_new_sid = own is device and device.other_claim_digest != digest(form.sid)
        writes = [
            self._update_subscriber(form, ksid, ufid, expected),
            self._put_over(device_item, device),
            self._put_over(sid_item, sid),
        ]
        if found.is_split:
            writes += self._take_sid(form, found) if own is device else self._take_device(form, found)
        if has_new_sid and own.other_claim_digest != _TAKEN_DIGEST:
            released = sid_claim_key(form.appId, own.other_claim_digest)
            writes.append(delete(self._table, released, FREE_OR_OWN, ksid=ksid))
        if own is sid and own.other_claim_digest not in (digest(form.deviceId), _TAKEN_DIGEST):
            released = device_claim_key(form.appId, own.other_claim_digest)
            writes.append(delete(self._table, released, FREE_OR_OWN, ksid=ksid))
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            raise WriteConflictError(self._merge(found, error)) from error

    def deactivate(self, ksid: str, app_id: str, device_id: str, ufid: str | None, sid_digest: str | None) -> None:
        """Make an active subscriber inactive and remove its ufid; it keeps its claims.

        The sid's digest is needed if there is a ufid. WriteConflictError holds the Subscriber, or None, if it is not
        active, not of this application and device, or of another ufid or sid.
        """
        is_ufid = "attribute_not_exists(ufid)" if ufid is None else "ufid = :ufid"
        subscriber: dict[str, Any] = {"inactive": False, "moment": self._moment, "index": user_index_sort(None, ksid)}
        subscriber |= {"app": app_id, "device": device_id, "active": True, "epoch": self._epoch}
        claim: dict[str, Any] = {"ksid": ksid, "inactive": False}
        is_own = "ksid = :ksid"
        if ufid is not None:
            subscriber["ufid"] = ufid
            claim["sid"] = sid_digest or ""
            is_own += f" AND {OTHER_CLAIM_DIGEST} = :sid"
        writes = [
            update(
                self._table,
                ksid_key(ksid),
                f"SET active = :inactive, updated_at = :moment, {USER_INDEX_SORT} = :index REMOVE ufid",
                f"appId = :app AND deviceId = :device AND active = :active AND {ALIVE} AND {is_ufid}",
                **subscriber,
            ),
            update(
                self._table,
                device_claim_key(app_id, digest(device_id)),
                "SET active = :inactive REMOVE ufid",
                is_own,
                **claim,
            ),
        ]
        if ufid is not None:
            sid_claim = sid_claim_key(app_id, sid_digest or "")
            writes.append(update(self._table, sid_claim, "REMOVE ufid", "ksid = :ksid", ksid=ksid))
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            if error.failed[_SUBSCRIBER]:
                stored = self._to_subscriber(error.items[_SUBSCRIBER])
                if ufid is None and stored is not None and stored.ufid is not None:
                    # The write asked whether there is a ufid, and this is the answer.
                    self._session.expect_refusal()
                raise WriteConflictError(stored) from error
            claimed = error.items[_DEVICE]
            if claimed is not None and claimed["ksid"] == ksid and claimed[OTHER_CLAIM_DIGEST] != sid_digest:
                raise WriteConflictError(self.get(ksid)) from error
            raise StoreError("InvariantViolated") from error

    def _update_subscriber(self, form: Subscribe, ksid: str, ufid: str | None, active: bool | None) -> Write:
        values: dict[str, str | bool | int | None] = {
            "deviceId": form.deviceId,
            "sid": form.sid,
            "osType": form.osType,
            "active": True,
            "updated_at": self._moment,
            USER_INDEX_SORT: user_index_sort(ufid, ksid),
            "ufid": ufid,
            "expires_at": self._expires_at,
            "userAgent": self._user_agent,
            "ipAddress": self._ip_address,
            # A verdict holds until the app subscribes again (docs/sending.md#registering-again-after-a-verdict).
            "cloud": None,
        }
        if form.deviceName is not None:
            values["deviceName"] = form.deviceName
        present = {name: value for name, value in values.items() if value is not None}
        change = "SET " + ", ".join(f"{name} = :{name}" for name in present)
        absent = values.keys() - present.keys()
        if absent:
            change += " REMOVE " + ", ".join(sorted(absent))
        condition = "attribute_exists(ksid)"
        if active is not None:
            condition, present["was_active"] = f"{condition} AND active = :was_active", active
        return update(self._table, ksid_key(ksid), change, condition, **present)

    def _take_sid(self, form: Subscribe, found: Found) -> list[Write]:
        """Return the writes by which the sid's subscriber loses the sid and is inactive."""
        rival = found.sid_subscriber
        if rival is None:
            raise ValueError("the sid's subscriber was not read")
        change, ending = "SET sid = :taken", ""
        values: dict[str, Any] = {"taken": TAKEN, "sid": form.sid, "device": rival.deviceId, "active": rival.active}
        claim_change = f"SET {OTHER_CLAIM_DIGEST} = :taken"
        claim_values: dict[str, Any] = {"taken": _TAKEN_DIGEST}
        if rival.active:
            change += f", active = :inactive, {USER_INDEX_SORT} = :index"
            claim_change += ", active = :inactive"
            ending = " REMOVE ufid"
            values |= {"inactive": False, "index": user_index_sort(None, rival.ksid)}
            claim_values["inactive"] = False
        condition = "sid = :sid AND deviceId = :device AND active = :active"
        writes = [update(self._table, ksid_key(rival.ksid), change + ending, condition, **values)]
        if rival.deviceId != TAKEN:
            key = device_claim_key(form.appId, digest(rival.deviceId))
            claim_values |= {"ksid": rival.ksid, "other": digest(form.sid)}
            writes.append(update(self._table, key, claim_change + ending, _OWN_CLAIM, **claim_values))
        return writes

    def _take_device(self, form: Subscribe, found: Found) -> list[Write]:
        """Return the writes by which the device's inactive subscriber loses the device."""
        rival = found.device
        if rival is None:
            raise ValueError("no claim on the device")
        values: dict[str, Any] = {"taken": TAKEN, "device": form.deviceId, "inactive": False}
        condition = "deviceId = :device AND active = :inactive"
        writes = [update(self._table, ksid_key(rival.ksid), "SET deviceId = :taken", condition, **values)]
        if rival.other_claim_digest != _TAKEN_DIGEST:
            key = sid_claim_key(form.appId, rival.other_claim_digest)
            claim_values = {"taken": _TAKEN_DIGEST, "ksid": rival.ksid, "other": digest(form.deviceId)}
            change = f"SET {OTHER_CLAIM_DIGEST} = :taken"
            writes.append(update(self._table, key, change, _OWN_CLAIM, **claim_values))
        return writes

    def _merge(self, found: Found, error: ConditionFailedError) -> Found:
        """Return what was found, brought up to date by the items that came back with a refused transaction."""
        failed, items = error.failed, error.items
        device = self._to_device_claim(items[_DEVICE]) if failed[_DEVICE] else found.device
        sid = self._to_sid_claim(items[_SID]) if failed[_SID] else found.sid
        subscriber = found.sid_subscriber
        for position in (_SUBSCRIBER, _RIVAL):
            item = items[position] if position < len(items) and failed[position] else None
            if item is not None and sid is not None and item.get("ksid") == sid.ksid and "appId" in item:
                subscriber = self._to_subscriber(item)
        if subscriber is not None and (sid is None or subscriber.ksid != sid.ksid):
            subscriber = None
        merged = Found(device, sid, subscriber)
        if merged == found._replace(is_snapshot=False) and (found.device or found.sid):
            # The claims are as they were found, but not what they lead to.
            raise StoreError("InvariantViolated") from error
        return merged

    def _put_over(self, item: Item, stored: Claim | None) -> Write:
        if stored is None:
            return put(self._table, item, _FREE, epoch=self._epoch)
        # Condition on every attribute the decision was based on, so that of two identical concurrent requests the
        # second is re-evaluated as a duplicate (docs/data-model.md#claims-pinned).
        condition = f"ksid = :ksid AND {OTHER_CLAIM_DIGEST} = :other"
        values: dict[str, str | bool] = {"ksid": stored.ksid, "other": stored.other_claim_digest}
        for name in ("ufid", "osType", "active", "deviceName", "cloud"):
            value = getattr(stored, name)
            if value is None:
                condition += f" AND attribute_not_exists({name})"
            else:
                condition, values[name] = f"{condition} AND {name} = :{name}", value
        return put(self._table, item, condition, **values)

    def _to_item(self, form: Subscribe, ksid: str, ufid: str | None, device_name: str | None) -> Item:
        return {
            "ksid": ksid,
            "appId": form.appId,
            "deviceId": form.deviceId,
            "sid": form.sid,
            "osType": form.osType,
            "ufid": ufid,
            "active": True,
            "deviceName": device_name,
            "expires_at": self._expires_at,
        }

    def _to_device_claim(self, item: Item | None) -> Claim | None:
        claim = self._to_sid_claim(item)
        if claim is None or item is None:
            return None
        name, cloud = item.get("deviceName"), item.get("cloud")
        return claim._replace(osType=item["osType"], active=item["active"], deviceName=name, cloud=cloud)

    def _to_sid_claim(self, item: Item | None) -> Claim | None:
        if item is None or not is_alive(item.get("expires_at"), self._epoch):
            return None
        return Claim(item["ksid"], item[OTHER_CLAIM_DIGEST], item.get("ufid"), item.get("expires_at"))

    def _to_subscriber(self, item: Item | None) -> Subscriber | None:
        if item is None or not is_alive(item.get("expires_at"), self._epoch):
            return None
        return Subscriber(
            item["ksid"],
            item["appId"],
            item["deviceId"],
            item["sid"],
            item["osType"],
            item.get("ufid"),
            item["active"],
            item.get("cloud", True),
            item.get("deviceName"),
            item.get("userAgent"),
            item.get("ipAddress"),
            item["created_at"],
            item["updated_at"],
        )


def _claim_keys(form: Subscribe) -> list[Key]:
    return [
        device_claim_key(form.appId, digest(form.deviceId)),
        sid_claim_key(form.appId, digest(form.sid)),
    ]

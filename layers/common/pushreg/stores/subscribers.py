"""The Subscribers table: subscribers by KSID, and the claims of their device and sid within an application.

A claim repeats what a subscribe request is compared with, so that one read answers a duplicate, and each claim names
the other. Every write that changes a subscriber changes its claims in the same transaction (docs/data-model.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError, StaleReadError, StoreError, WriteConflictError
from pushreg.models.engagement import Subscribe
from pushreg.schema import (
    ALIVE,
    DAY,
    EXPIRED,
    OTHER_CLAIM_DIGEST,
    Item,
    Key,
    device_claim_key,
    digest,
    is_alive,
    ksid_key,
    sid_claim_key,
    subscriber_claims,
)

# Position of the subscriber among the writes of a transaction.
_SUBSCRIBER = 0
_FREE = f"attribute_not_exists(ksid) OR {EXPIRED}"
_FREE_OR_OWN = "attribute_not_exists(ksid) OR ksid = :ksid"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on a device or a sid; `other_claim_digest` is the digest of the sid or the device beside it.

    Only a device's claim has `osType` and `active`.
    """

    ksid: str
    other_claim_digest: str
    ufid: str | None
    expires_at: int | None
    osType: str | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The attributes of a subscriber that unsubscribing depends on."""

    ksid: str
    appId: str
    deviceId: str
    active: bool


class Subscribers:
    """Subscribers of one table, written at `moment` (ISO 8601); they expire `lifetime` seconds after their refresh.

    A lifetime of 0 means that they never expire. Expired items count as absent before DynamoDB removes them.
    """

    def __init__(self, session: Session, table: str, moment: str, epoch: int, lifetime: int) -> None:
        self._session = session
        self._table = table
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None

    def find(self, form: Subscribe) -> tuple[Claim | None, Claim | None]:
        """Return the claims of the request's device and sid, read in one batch, which is no snapshot."""
        items = self._session.get_many(self._table, _claim_keys(form))
        return self._to_device_claim(items[0]), self._to_sid_claim(items[1])

    def find_snapshot(self, form: Subscribe) -> tuple[Claim | None, Claim | None]:
        """Return the claims of the request's device and sid, read in one transaction."""
        items = self._session.get_snapshot(self._table, _claim_keys(form))
        return self._to_device_claim(items[0]), self._to_sid_claim(items[1])

    def find_device(self, app_id: str, *device_ids: str) -> list[Claim | None]:
        """Return the claims of devices of an application, in their order."""
        keys = [device_claim_key(app_id, digest(device_id)) for device_id in device_ids]
        return [self._to_device_claim(item) for item in self._session.get_many(self._table, keys)]

    def get(self, ksid: str) -> Subscriber | None:
        """Return the subscriber of a KSID."""
        return self._to_subscriber(self._session.get(self._table, ksid_key(ksid)))

    def is_duplicate(self, form: Subscribe, device: Claim) -> bool:
        """Whether the device's subscriber is active and equals what the request asks for."""
        is_same_ufid = form.ufid is None or form.ufid == device.ufid
        is_same_registration = (device.other_claim_digest, device.osType) == (digest(form.sid), form.osType)
        return bool(device.active) and is_same_ufid and is_same_registration

    def is_due(self, claim: Claim) -> bool:
        """Whether a duplicate should renew the expiry: at most once a day, so that most duplicates write nothing."""
        if self._expires_at is None or claim.expires_at is None:
            return self._expires_at != claim.expires_at
        # In both directions, because a deployment may have shortened the lifetime.
        return abs(claim.expires_at - self._expires_at) > DAY

    def create(self, form: Subscribe, ksid: str) -> None:
        """Store a new subscriber with its claims; StaleReadError if the KSID, the device or the sid is taken."""
        subscriber = self._to_item(form, ksid, form.ufid)
        times = {"created_at": self._moment, "updated_at": self._moment}
        device, sid = subscriber_claims(subscriber)
        self._transact(
            put(self._table, {**ksid_key(ksid), **subscriber, **times}, "attribute_not_exists(ksid)"),
            put(self._table, device, _FREE, epoch=self._epoch),
            put(self._table, sid, _FREE, epoch=self._epoch),
        )

    def update(self, form: Subscribe, device: Claim | None, sid: Claim | None) -> str:
        """Apply the request to the one subscriber that the claims lead to, make it active, and return its KSID.

        The device or sid that it had before is released in the same transaction. StaleReadError if a claim has changed.
        """
        stored = device or sid
        if stored is None:
            raise ValueError("no claim to follow")
        ksid = stored.ksid
        change = "SET deviceId = :device, sid = :sid, osType = :os, active = :active, updated_at = :moment"
        values: dict[str, str | bool | int] = {"device": form.deviceId, "sid": form.sid, "os": form.osType}
        values |= {"active": True, "moment": self._moment}
        if form.ufid is not None:
            change, values["ufid"] = f"{change}, ufid = :ufid", form.ufid
        if self._expires_at is None:
            change += " REMOVE expires_at"
        else:
            change, values["expires_at"] = f"{change}, expires_at = :expires_at", self._expires_at
        device_item, sid_item = subscriber_claims(self._to_item(form, ksid, form.ufid or stored.ufid))
        writes = [
            update(self._table, ksid_key(ksid), change, "attribute_exists(ksid)", **values),
            self._put_over(device_item, device),
            self._put_over(sid_item, sid),
        ]
        if device is not None and device.other_claim_digest != digest(form.sid):
            released = sid_claim_key(form.appId, device.other_claim_digest)
            writes.append(delete(self._table, released, _FREE_OR_OWN, ksid=ksid))
        if sid is not None and sid.other_claim_digest != digest(form.deviceId):
            released = device_claim_key(form.appId, sid.other_claim_digest)
            writes.append(delete(self._table, released, _FREE_OR_OWN, ksid=ksid))
        self._transact(*writes)
        return ksid

    def deactivate(self, ksid: str, app_id: str, device_id: str) -> None:
        """Make an active subscriber inactive; it keeps its claims.

        WriteConflictError holds the Subscriber, or None, if it is not active or not of this application and device.
        """
        writes = [
            update(
                self._table,
                ksid_key(ksid),
                "SET active = :inactive, updated_at = :moment",
                f"appId = :app AND deviceId = :device AND active = :active AND {ALIVE}",
                inactive=False,
                moment=self._moment,
                app=app_id,
                device=device_id,
                active=True,
                epoch=self._epoch,
            ),
            update(
                self._table,
                device_claim_key(app_id, digest(device_id)),
                "SET active = :inactive",
                "ksid = :ksid",
                inactive=False,
                ksid=ksid,
            ),
        ]
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            if not error.failed[_SUBSCRIBER]:
                raise StoreError("InvariantViolated") from error
            raise WriteConflictError(self._to_subscriber(error.items[_SUBSCRIBER])) from error

    def _transact(self, *writes: dict[str, object]) -> None:
        try:
            self._session.transact(writes)
        except ConditionFailedError as error:
            raise StaleReadError from error

    def _put_over(self, item: Item, stored: Claim | None) -> dict[str, object]:
        if stored is None:
            return put(self._table, item, _FREE, epoch=self._epoch)
        # Condition on every attribute the decision was based on, so that of two identical concurrent requests the
        # second is re-evaluated as a duplicate.
        condition = f"ksid = :ksid AND {OTHER_CLAIM_DIGEST} = :other"
        values: dict[str, str | bool] = {"ksid": stored.ksid, "other": stored.other_claim_digest}
        for name in ("ufid", "osType", "active"):
            value = getattr(stored, name)
            if value is None:
                condition += f" AND attribute_not_exists({name})"
            else:
                condition, values[name] = f"{condition} AND {name} = :{name}", value
        return put(self._table, item, condition, **values)

    def _to_item(self, form: Subscribe, ksid: str, ufid: str | None) -> Item:
        return {
            "ksid": ksid,
            "appId": form.appId,
            "deviceId": form.deviceId,
            "sid": form.sid,
            "osType": form.osType,
            "ufid": ufid,
            "active": True,
            "expires_at": self._expires_at,
        }

    def _to_device_claim(self, item: Item | None) -> Claim | None:
        claim = self._to_sid_claim(item)
        return None if claim is None or item is None else replace(claim, osType=item["osType"], active=item["active"])

    def _to_sid_claim(self, item: Item | None) -> Claim | None:
        if item is None or not is_alive(item.get("expires_at"), self._epoch):
            return None
        return Claim(item["ksid"], item[OTHER_CLAIM_DIGEST], item.get("ufid"), item.get("expires_at"))

    def _to_subscriber(self, item: Item | None) -> Subscriber | None:
        if item is None or not is_alive(item.get("expires_at"), self._epoch):
            return None
        return Subscriber(item["ksid"], item["appId"], item["deviceId"], item["active"])


def _claim_keys(form: Subscribe) -> list[Key]:
    return [
        device_claim_key(form.appId, digest(form.deviceId)),
        sid_claim_key(form.appId, digest(form.sid)),
    ]

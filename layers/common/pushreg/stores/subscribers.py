"""The Subscribers table: subscribers by KSID, and the claims of their device and sid within an application.

A claim repeats what a subscribe request must know to be answered by one read: the device's claim tells a duplicate, and
each claim tells the key of the other. Every write that changes a subscriber changes its claims in the same transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from pushreg.dynamodb import Item, Key, Session, delete, put, update
from pushreg.errors import ConditionFailedError, PushregError, StoreError
from pushreg.models.directory import digest
from pushreg.models.engagement import Subscribe

DAY = 86_400
_FREE = "attribute_not_exists(ksid) OR expires_at <= :epoch"
_ALIVE = "(attribute_not_exists(expires_at) OR expires_at > :epoch)"
_OURS = "attribute_not_exists(ksid) OR ksid = :ksid"


@dataclass(frozen=True, slots=True)
class Claim:
    """What leads from a device or a sid to its subscriber; `partner` is the digest of the sid or the device beside it.

    `osType` and `active` stand on a device's claim only.
    """

    ksid: str
    partner: str
    ufid: str | None
    expires_at: int | None
    osType: str | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber as far as unsubscribing looks at it."""

    ksid: str
    appId: str
    deviceId: str
    active: bool


class ChangedError(PushregError):
    """What the write was to build on has changed since it was read."""


class StandingError(PushregError):
    """The subscriber is not as the write expects it; None: there is none."""

    def __init__(self, subscriber: Subscriber | None) -> None:
        super().__init__("refused by what is stored")
        self.subscriber = subscriber


class Subscribers:
    """Subscribers of one table, written at `moment` (ISO 8601) and gone `lifetime` seconds after their last refresh.

    A lifetime of 0 is for ever. What has expired counts as absent before DynamoDB removes it.
    """

    def __init__(self, session: Session, table: str, moment: str, epoch: int, lifetime: int) -> None:
        self._session = session
        self._table = table
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None

    def find(self, form: Subscribe) -> tuple[Claim | None, Claim | None]:
        """Return the claims of the request's device and sid, each at its own moment."""
        items = self._session.get_many(self._table, self._keys(form))
        return self._to_device_claim(items[0]), self._to_sid_claim(items[1])

    def find_snapshot(self, form: Subscribe) -> tuple[Claim | None, Claim | None]:
        """Return the claims of the request's device and sid as they stood at one moment."""
        items = self._session.get_snapshot(self._table, self._keys(form))
        return self._to_device_claim(items[0]), self._to_sid_claim(items[1])

    def find_device(self, app_id: str, *device_ids: str) -> list[Claim | None]:
        """Return the claims of devices of an application, in their order."""
        keys = [_device_key(app_id, digest(device_id)) for device_id in device_ids]
        return [self._to_device_claim(item) for item in self._session.get_many(self._table, keys)]

    def get(self, ksid: str) -> Subscriber | None:
        """Return the subscriber of a KSID."""
        return self._to_subscriber(self._session.get(self._table, _ksid_key(ksid)))

    def is_duplicate(self, form: Subscribe, device: Claim) -> bool:
        """Whether the device's subscriber is active and already all that the request asks for."""
        same_ufid = form.ufid is None or form.ufid == device.ufid
        return bool(device.active) and same_ufid and (device.partner, device.osType) == (digest(form.sid), form.osType)

    def is_due(self, claim: Claim) -> bool:
        """Whether a duplicate should renew the expiry: once a day, so that most duplicates write nothing."""
        if self._expires_at is None or claim.expires_at is None:
            return self._expires_at != claim.expires_at
        # Either way: after a shorter time to live was deployed too.
        return abs(claim.expires_at - self._expires_at) > DAY

    def create(self, form: Subscribe, ksid: str) -> None:
        """Store a new subscriber with its claims; ChangedError if the KSID, the device or the sid is taken."""
        subscriber = {
            **_ksid_key(ksid),
            "ksid": ksid,
            "appId": form.appId,
            "deviceId": form.deviceId,
            "sid": form.sid,
            "osType": form.osType,
            "ufid": form.ufid,
            "active": True,
            "created_at": self._moment,
            "updated_at": self._moment,
            "expires_at": self._expires_at,
        }
        device, sid = self._claims(form, ksid, form.ufid)
        self._transact(
            put(self._table, subscriber, "attribute_not_exists(ksid)"),
            put(self._table, device, _FREE, epoch=self._epoch),
            put(self._table, sid, _FREE, epoch=self._epoch),
        )

    def update(self, form: Subscribe, device: Claim | None, sid: Claim | None) -> str:
        """Bring the one subscriber that the claims lead to up to the request, active, and return its KSID.

        A device or sid it had before is released in the same transaction. ChangedError if a claim has changed.
        """
        standing = device or sid
        if standing is None:
            raise ValueError("no claim to follow")
        ksid = standing.ksid
        change = "SET deviceId = :device, sid = :sid, osType = :os, active = :active, updated_at = :moment"
        values: dict[str, str | bool | int] = {"device": form.deviceId, "sid": form.sid, "os": form.osType}
        values |= {"active": True, "moment": self._moment}
        if form.ufid is not None:
            change, values["ufid"] = f"{change}, ufid = :ufid", form.ufid
        if self._expires_at is None:
            change += " REMOVE expires_at"
        else:
            change, values["expires_at"] = f"{change}, expires_at = :expires_at", self._expires_at
        device_item, sid_item = self._claims(form, ksid, form.ufid or standing.ufid)
        writes = [
            update(self._table, _ksid_key(ksid), change, "attribute_exists(ksid)", **values),
            self._put_over(device_item, device),
            self._put_over(sid_item, sid),
        ]
        if device is not None and device.partner != sid_item["record"].rpartition("#")[2]:
            writes.append(delete(self._table, _sid_key(form.appId, device.partner), _OURS, ksid=ksid))
        if sid is not None and sid.partner != device_item["record"].rpartition("#")[2]:
            writes.append(delete(self._table, _device_key(form.appId, sid.partner), _OURS, ksid=ksid))
        self._transact(*writes)
        return ksid

    def deactivate(self, ksid: str, app_id: str, device_id: str) -> None:
        """Make an active subscriber inactive, keeping its claims; StandingError if it is not the active one named."""
        writes = [
            update(
                self._table,
                _ksid_key(ksid),
                "SET active = :inactive, updated_at = :moment",
                f"appId = :app AND deviceId = :device AND active = :active AND {_ALIVE}",
                inactive=False,
                moment=self._moment,
                app=app_id,
                device=device_id,
                active=True,
                epoch=self._epoch,
            ),
            update(
                self._table,
                _device_key(app_id, digest(device_id)),
                "SET active = :inactive",
                "ksid = :ksid",
                inactive=False,
                ksid=ksid,
            ),
        ]
        try:
            self._session.transact(writes, uuid.uuid4().hex)
        except ConditionFailedError as error:
            if not error.failed[0]:
                raise StoreError("InvariantViolated") from error
            raise StandingError(self._to_subscriber(error.items[0])) from error

    def _transact(self, *writes: dict[str, object]) -> None:
        try:
            self._session.transact(writes, uuid.uuid4().hex)
        except ConditionFailedError as error:
            raise ChangedError("refused by what is stored") from error

    def _put_over(self, item: Item, standing: Claim | None) -> dict[str, object]:
        if standing is None:
            return put(self._table, item, _FREE, epoch=self._epoch)
        # All that chose the answer is pinned: of two equal requests at once, the later must find what the earlier did.
        condition = "ksid = :ksid AND partner = :partner"
        values: dict[str, str | bool] = {"ksid": standing.ksid, "partner": standing.partner}
        for name in ("ufid", "osType", "active"):
            value = getattr(standing, name)
            if value is None:
                condition += f" AND attribute_not_exists({name})"
            else:
                condition, values[name] = f"{condition} AND {name} = :{name}", value
        return put(self._table, item, condition, **values)

    def _claims(self, form: Subscribe, ksid: str, ufid: str | None) -> tuple[Item, Item]:
        device, sid = digest(form.deviceId), digest(form.sid)
        common = {"ksid": ksid, "ufid": ufid, "expires_at": self._expires_at}
        own = {"osType": form.osType, "active": True}
        return (
            {**_device_key(form.appId, device), **common, **own, "partner": sid},
            {**_sid_key(form.appId, sid), **common, "partner": device},
        )

    def _keys(self, form: Subscribe) -> list[Key]:
        return [_device_key(form.appId, digest(form.deviceId)), _sid_key(form.appId, digest(form.sid))]

    def _is_alive(self, item: Item) -> bool:
        expires_at: int | None = item.get("expires_at")
        return expires_at is None or expires_at > self._epoch

    def _to_device_claim(self, item: Item | None) -> Claim | None:
        claim = self._to_sid_claim(item)
        return None if claim is None or item is None else replace(claim, osType=item["osType"], active=item["active"])

    def _to_sid_claim(self, item: Item | None) -> Claim | None:
        if item is None or not self._is_alive(item):
            return None
        return Claim(item["ksid"], item["partner"], item.get("ufid"), item.get("expires_at"))

    def _to_subscriber(self, item: Item | None) -> Subscriber | None:
        if item is None or not self._is_alive(item):
            return None
        return Subscriber(item["ksid"], item["appId"], item["deviceId"], item["active"])


def _ksid_key(ksid: str) -> Key:
    return {"record": f"ksid#{ksid}"}


def _device_key(app_id: str, device_digest: str) -> Key:
    return {"record": f"device#{app_id}#{device_digest}"}


def _sid_key(app_id: str, sid_digest: str) -> Key:
    return {"record": f"sid#{app_id}#{sid_digest}"}

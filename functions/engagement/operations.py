"""What subscribe and unsubscribe mean (spec/engagement.md section 4)."""

from __future__ import annotations

import secrets

from pushreg.errors import PushregError, StaleReadError, WriteConflictError
from pushreg.models.engagement import Subscribe, Unsubscribe, strip_hex_prefix
from pushreg.schema import MAX_KSID, MIN_NEW_KSID
from pushreg.stores.subscribers import Claim, Subscriber, Subscribers


class UnclearError(PushregError):
    """Sid and device, or KSID and device, lead to different subscribers."""


class NoSubscriptionError(PushregError):
    """Nothing is known by what the request names."""


def subscribe(subscribers: Subscribers, form: Subscribe) -> tuple[str, str]:
    """Create, update or find the one subscriber of the device and the sid; return its KSID and the outcome's name.

    UnclearError if they lead to two.
    """
    # Contention for the claims ends with the session's deadline, by StoreError.
    while True:
        device, sid = subscribers.find(form)
        if _is_unclear(device, sid):
            # BatchGetItem is not a snapshot. Read both claims again in a transaction before answering 403.
            device, sid = subscribers.find_snapshot(form)
            if _is_unclear(device, sid):
                raise UnclearError
        try:
            if device is None and sid is None:
                ksid = new_ksid()
                subscribers.create(form, ksid)
                return ksid, "created"
            if device is not None and subscribers.is_duplicate(form, device):
                if subscribers.is_due(device):
                    subscribers.update(form, device, sid)
                return device.ksid, "duplicate"
            return subscribers.update(form, device, sid), "updated"
        except StaleReadError:
            continue


def unsubscribe(subscribers: Subscribers, form: Unsubscribe, known: Subscriber | None) -> tuple[str, str]:
    """Make the subscriber inactive and return its KSID and the outcome's name; `known` is one already read by KSID.

    NoSubscriptionError if nothing is known by the KSID, or by the device where no KSID is given; UnclearError if both
    are given and disagree.
    """
    ksid, app_id, device_id = _resolve(subscribers, form, known)
    # Each round follows a change of the subscriber's device; the session's deadline ends them, by StoreError.
    while True:
        try:
            subscribers.deactivate(ksid, app_id, device_id)
            return ksid, "unsubscribed"
        except WriteConflictError as error:
            stored = error.stored
            if stored is None or stored.appId != app_id:
                raise NoSubscriptionError from error
            if form.deviceId is not None and stored.deviceId not in _variants(form.deviceId):
                raise UnclearError if form.ksid is not None else NoSubscriptionError from error
            if not stored.active:
                return ksid, "already"
            device_id = stored.deviceId


def new_ksid() -> str:
    """Return a random KSID that fits a signed 64-bit integer."""
    return str(MIN_NEW_KSID + secrets.randbelow(MAX_KSID - MIN_NEW_KSID + 1))


def _resolve(subscribers: Subscribers, form: Unsubscribe, known: Subscriber | None) -> tuple[str, str, str]:
    """Return KSID, application and device as they are to be found, by at most one read."""
    if form.ksid is None:
        # parse() guarantees appId and deviceId when there is no KSID.
        app_id, variants = form.appId or "", _variants(form.deviceId or "")
        claims = subscribers.find_device(app_id, *variants)
        for variant, claim in zip(variants, claims, strict=True):
            if claim is not None and (variant == form.deviceId or claim.osType == "blackberry"):
                return claim.ksid, app_id, variant
        raise NoSubscriptionError
    if form.appId is not None and form.deviceId is not None:
        return form.ksid, form.appId, form.deviceId
    known = known or subscribers.get(form.ksid)
    if known is None or form.appId not in (None, known.appId):
        raise NoSubscriptionError
    if form.deviceId is not None and known.deviceId not in _variants(form.deviceId):
        raise UnclearError
    return form.ksid, known.appId, known.deviceId


def _variants(device_id: str) -> tuple[str, ...]:
    # An unsubscribe request names no osType, so a BlackBerry id may come with the prefix that subscribing dropped.
    stripped = strip_hex_prefix(device_id)
    return (device_id,) if stripped == device_id else (device_id, stripped)


def _is_unclear(device: Claim | None, sid: Claim | None) -> bool:
    return device is not None and sid is not None and device.ksid != sid.ksid

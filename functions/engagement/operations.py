"""What subscribe and unsubscribe mean (docs/spec/engagement.md#4-which-outcome-when)."""

from __future__ import annotations

import secrets

from pushreg.errors import PushregError, WriteConflictError
from pushreg.models.engagement import Subscribe, Unsubscribe, strip_hex_prefix
from pushreg.schema import MAX_KSID, MIN_NEW_KSID, digest, is_ksid
from pushreg.stores.subscribers import Found, Subscriber, Subscribers


class UnclearError(PushregError):
    """Sid and device, or KSID and device, belong to different subscribers."""


class NoSubscriptionError(PushregError):
    """No subscriber has the KSID, or the device, that the request names."""


class UnprovenError(PushregError):
    """The application is strict, and the request names neither the KSID nor the sid of the device's subscriber."""


def subscribe(
    subscribers: Subscribers, form: Subscribe, *, device_wins: bool = False, is_strict: bool = False
) -> tuple[str, str]:
    """Create, update or find the one subscriber of the device and the sid; return its KSID and the outcome's name.

    If they lead to two subscribers, the device's is used, unless only the sid's is active; UnclearError if both
    are active and the device does not win. UnprovenError in a strict application.
    """
    found = subscribers.find(form)
    # Contention for the claims ends with the session's limits, by StoreError.
    while True:
        device, sid = found.device, found.sid
        is_duplicate = device is not None and subscribers.is_duplicate(form, device)
        if device is not None and is_duplicate and not subscribers.is_due(device):
            return device.ksid, "duplicate"
        if sid is not None and _needs_snapshot(found, device_wins):
            # BatchGetItem and refused writes are no snapshots. Read both claims and the sid's subscriber in one
            # transaction before deciding between two.
            found = subscribers.find_snapshot(form, sid.ksid)
            continue
        if device is None and sid is None:
            ksid, outcome = new_ksid(), "created"
        else:
            ksid, outcome = _choose(found, device_wins), "duplicate" if is_duplicate else "updated"
            if is_strict and not _is_proven(form, found):
                raise UnprovenError
        try:
            if outcome == "created":
                subscribers.create(form, ksid)
            else:
                subscribers.update(form, found, ksid)
            return ksid, outcome
        except WriteConflictError as error:
            found = error.stored


def unsubscribe(subscribers: Subscribers, form: Unsubscribe, known: Subscriber | None) -> tuple[str, str]:
    """Make the subscriber inactive and return its KSID and the outcome's name; `known` is it if it was read before.

    NoSubscriptionError if there is no subscriber with the KSID, or with the device if no KSID is given; UnclearError
    if both are given and belong to different subscribers.
    """
    ksid, app_id, device_id, ufid, sid_digest = _resolve(subscribers, form, known)
    # Each round follows a change of the subscriber; the session's limits end them, by StoreError.
    while True:
        try:
            subscribers.deactivate(ksid, app_id, device_id, ufid, sid_digest)
            return ksid, "unsubscribed"
        except WriteConflictError as error:
            stored = error.stored
            if stored is None or stored.appId != app_id:
                raise NoSubscriptionError from error
            if form.deviceId is not None and stored.deviceId not in _variants(form.deviceId):
                if form.ksid is not None:
                    raise UnclearError from error
                # Another subscriber may have the device by now.
                ksid, app_id, device_id, ufid, sid_digest = _resolve(subscribers, form, None)
                continue
            if not stored.active:
                return ksid, "already"
            device_id, ufid, sid_digest = stored.deviceId, stored.ufid, digest(stored.sid)


def new_ksid() -> str:
    """Return a random KSID that fits a signed 64-bit integer."""
    return str(MIN_NEW_KSID + secrets.randbelow(MAX_KSID - MIN_NEW_KSID + 1))


def _resolve(
    subscribers: Subscribers, form: Unsubscribe, known: Subscriber | None
) -> tuple[str, str, str, str | None, str | None]:
    """Return KSID, application, device, ufid and the sid's digest as they are to be found, by at most one read.

    Given KSID, application and device there is no read: most subscribers without a user have no ufid.
    """
    if form.ksid is None:
        # parse() guarantees appId and deviceId when there is no KSID.
        app_id, variants = form.appId or "", _variants(form.deviceId or "")
        claims = subscribers.find_device(app_id, *variants)
        for variant, claim in zip(variants, claims, strict=True):
            if claim is not None and (variant == form.deviceId or claim.osType == "blackberry"):
                return claim.ksid, app_id, variant, claim.ufid, claim.other_claim_digest
        raise NoSubscriptionError
    if not is_ksid(form.ksid):
        raise NoSubscriptionError
    if form.appId is not None and form.deviceId is not None:
        return form.ksid, form.appId, form.deviceId, None, None
    known = known or subscribers.get(form.ksid)
    if known is None or form.appId not in (None, known.appId):
        raise NoSubscriptionError
    if form.deviceId is not None and known.deviceId not in _variants(form.deviceId):
        raise UnclearError
    return form.ksid, known.appId, known.deviceId, known.ufid, digest(known.sid)


def _variants(device_id: str) -> tuple[str, ...]:
    # An unsubscribe request has no osType, so a BlackBerry id may have the prefix that subscribing removes.
    stripped = strip_hex_prefix(device_id)
    return (device_id,) if stripped == device_id else (device_id, stripped)


def _needs_snapshot(found: Found, device_wins: bool) -> bool:
    if not found.is_split:
        return False
    return found.sid_subscriber is None or (_is_unclear(found, device_wins) and not found.is_snapshot)


def _is_unclear(found: Found, device_wins: bool) -> bool:
    are_active = (
        found.device is not None and found.device.active and found.sid_subscriber and found.sid_subscriber.active
    )
    return found.is_split and bool(are_active) and not device_wins


def _choose(found: Found, device_wins: bool) -> str:
    """Return the KSID of the subscriber to follow."""
    if _is_unclear(found, device_wins):
        raise UnclearError
    device, sid_subscriber = found.device, found.sid_subscriber
    if device is None and found.sid is not None:
        return found.sid.ksid
    if device is None:
        raise ValueError("no claim to follow")
    if found.is_split and not device_wins and sid_subscriber is not None and sid_subscriber.active:
        return sid_subscriber.ksid
    return device.ksid


def _is_proven(form: Subscribe, found: Found) -> bool:
    """Whether the request names the sid or the KSID of the device's subscriber, which a stranger cannot know."""
    return found.device is None or form.ksid == found.device.ksid or (found.sid is not None and not found.is_split)

"""What the verbs mean for a device's subscription (docs/spec/kazoo.md)."""

from __future__ import annotations

from pushreg.errors import PushregError, WriteConflictError
from pushreg.models.kazoo import Content, Precondition, Subscription
from pushreg.stores.devices import Devices, MobileClaim


class ExistsError(PushregError):
    """The device has a subscription already, under any app."""


class UnknownDeviceError(PushregError):
    """The device has no subscription under the app."""


class PreconditionError(PushregError):
    """The stored revision does not satisfy If-Match or If-None-Match."""


def fetch(devices: Devices, device_id: str, app_name: str) -> Subscription:
    """Return the device's subscription; UnknownDeviceError if it has none or another app's."""
    subscription = devices.get(device_id)
    if subscription is None or subscription.content.app_name != app_name:
        raise UnknownDeviceError
    return subscription


def create(devices: Devices, device_id: str, content: Content, precondition: Precondition) -> Subscription:
    """Store a device's first subscription; if another device has the mobile device, take it over.

    ExistsError if the device has one; PreconditionError for any If-Match, since there is nothing to match.
    """
    if precondition.wanted is not None:
        if devices.get(device_id) is not None:
            raise ExistsError
        raise PreconditionError
    owner_device_id: str | None = None
    # Contention for the claim ends with the session's deadline, by StoreError.
    while True:
        try:
            return devices.create(device_id, content, owner_device_id)
        except WriteConflictError as error:
            if not isinstance(error.stored, MobileClaim):
                raise ExistsError from error
            owner_device_id = error.stored.owner_device_id


def replace(devices: Devices, device_id: str, content: Content, precondition: Precondition) -> tuple[Subscription, str]:
    """Replace the device's subscription, whatever its app, and return it with the outcome's name.

    Equal content is not written and keeps its revision. UnknownDeviceError if the device has none; PreconditionError if
    its revision does not satisfy the precondition. A new mobile device is taken over from the device that has it.
    """
    stored = devices.get_cached(device_id)
    # A cached subscription may be out of date: base a conditional write on it, but no decision against writing.
    if stored is None or stored.content.digest == content.digest or not precondition.holds(stored.revision):
        stored = devices.get(device_id)
    owner_device_id: str | None = None
    # Contention for the device or the claim ends with the session's deadline, by StoreError.
    while stored is not None:
        if not precondition.holds(stored.revision):
            raise PreconditionError
        if stored.content.digest == content.digest:
            return stored, "unchanged"
        try:
            replaced = devices.replace(stored, content, owner_device_id)
            same = stored.content.mobile_device_id == content.mobile_device_id
            return replaced, "updated" if same else "moved"
        except WriteConflictError as error:
            if isinstance(error.stored, MobileClaim):
                owner_device_id = error.stored.owner_device_id
            else:
                stored, owner_device_id = error.stored, None
    raise UnknownDeviceError


def remove(devices: Devices, device_id: str, app_name: str, precondition: Precondition) -> Subscription:
    """Delete the device's subscription under the app and return it.

    UnknownDeviceError if there is none; PreconditionError if its revision does not satisfy the precondition.
    """
    stored = devices.get(device_id)
    # Contention for the device ends with the session's deadline, by StoreError.
    while stored is not None and stored.content.app_name == app_name:
        if not precondition.holds(stored.revision):
            raise PreconditionError
        try:
            devices.remove(stored)
            return stored
        except WriteConflictError as error:
            stored = error.stored
    raise UnknownDeviceError

"""What the verbs mean for a device's subscription (seed 000, spec/kazoo.md section 5)."""

from __future__ import annotations

import uuid

from pushreg.errors import PushregError, StoreError
from pushreg.models.kazoo import Content, Precondition, Subscription
from pushreg.stores.devices import Devices, StandingError


class ExistsError(PushregError):
    """The device has a subscription already, under whatever app."""


class UnknownDeviceError(PushregError):
    """The device has no subscription under the app."""


class PreconditionError(PushregError):
    """The stored revision is not one the caller asked for."""


def fetch(devices: Devices, device_id: str, app_name: str) -> Subscription:
    """Return the device's subscription; UnknownDeviceError if it has none or another app's."""
    subscription = devices.get(device_id)
    if subscription is None or subscription.content.app_name != app_name:
        raise UnknownDeviceError
    return subscription


def create(devices: Devices, device_id: str, content: Content, precondition: Precondition) -> Subscription:
    """Store a device's first subscription, taking the mobile device from whichever device has it.

    ExistsError if the device has one; PreconditionError for any If-Match, since there is nothing to match.
    """
    if precondition.wanted is not None:
        if devices.get(device_id) is not None:
            raise ExistsError
        raise PreconditionError
    holder: str | None = None
    while True:
        try:
            return devices.create(device_id, content, holder, uuid.uuid4().hex)
        except StandingError as error:
            if error.own:
                raise ExistsError from error
            holder = error.holder


def replace(devices: Devices, device_id: str, content: Content, precondition: Precondition) -> tuple[Subscription, str]:
    """Replace the device's subscription, whatever its app, and return it with the outcome's name.

    Equal content is left alone and keeps its revision. UnknownDeviceError if the device has none; PreconditionError if
    its revision does not fit. A new mobile device is taken from whichever device has it.
    """
    standing = devices.get_cached(device_id)
    if standing is None or standing.content.digest == content.digest or not precondition.holds(standing.revision):
        standing = devices.get(device_id)
    holder: str | None = None
    while standing is not None:
        if not precondition.holds(standing.revision):
            raise PreconditionError
        if standing.content.digest == content.digest:
            return standing, "unchanged"
        try:
            replaced = devices.replace(standing, content, holder, uuid.uuid4().hex)
            same = standing.content.mobile_device_id == content.mobile_device_id
            return replaced, "updated" if same else "moved"
        except StandingError as error:
            if error.own:
                standing, holder = error.subscription, None
            else:
                holder = error.holder
    raise UnknownDeviceError


def remove(devices: Devices, device_id: str, app_name: str, precondition: Precondition) -> Subscription:
    """Delete the device's subscription under the app and return it.

    UnknownDeviceError if there is none; PreconditionError if its revision does not fit.
    """
    standing = devices.get(device_id)
    while standing is not None and standing.content.app_name == app_name:
        if not precondition.holds(standing.revision):
            raise PreconditionError
        try:
            devices.remove(standing, uuid.uuid4().hex)
            return standing
        except StandingError as error:
            if not error.own:
                raise StoreError("InvariantViolated") from error
            standing = error.subscription
    raise UnknownDeviceError

"""What the verbs mean for a device's subscription (docs/spec/kazoo.md#5-semantics)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pushreg.errors import PushregError, WriteConflictError
from pushreg.models.kazoo import Content, Precondition, Subscription
from pushreg.stores.devices import Devices, MobileClaim


class Call(NamedTuple):
    """What a request asks for: the subscription's names, the envelope's `data`, and the preconditions."""

    device_id: str
    app_name: str
    data: Any
    precondition: Precondition


class Result(NamedTuple):
    """What an operation did: the outcome's name, and the document and revision to answer with."""

    outcome: str
    document: Mapping[str, Any]
    revision: str


class ExistsError(PushregError):
    """The device has a subscription already, under any app."""


class UnknownDeviceError(PushregError):
    """The device has no subscription under the app."""

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id)
        self.device_id = device_id


class PreconditionError(PushregError):
    """The stored revision does not satisfy If-Match or If-None-Match."""


def fetch(devices: Devices, call: Call) -> Result:
    """Return the device's subscription, `unchanged` if If-None-Match names its revision.

    UnknownDeviceError if the device has none or another app's; PreconditionError if If-Match names another revision.
    """
    stored = devices.get(call.device_id)
    if stored is None or stored.content.app_name != call.app_name:
        raise UnknownDeviceError(call.device_id)
    if not call.precondition.matches(stored.revision):
        raise PreconditionError
    return _to_result("unchanged" if call.precondition.excludes(stored.revision) else "found", stored)


def create(devices: Devices, call: Call) -> Result:
    """Store a device's first subscription; if another device has the mobile device, take it over.

    InvalidError if the data breaks a rule; ExistsError if the device has a subscription; PreconditionError for any
    If-Match, since there is nothing to match.
    """
    content = _read_content(call)
    if call.precondition.wanted is not None:
        raise PreconditionError if devices.get(call.device_id) is None else ExistsError
    owner_device_id: str | None = None
    # Contention for the claim ends with the session's deadline, by StoreError.
    while True:
        try:
            created = devices.create(call.device_id, content, owner_device_id)
            return _to_result("created" if owner_device_id is None else "takeover", created)
        except WriteConflictError as error:
            if not isinstance(error.stored, MobileClaim):
                raise ExistsError from error
            owner_device_id = error.stored.owner_device_id


def replace(devices: Devices, call: Call) -> Result:
    """Replace the device's subscription, whatever its app.

    `unchanged` content keeps its revision and is refreshed once a day. A new mobile device is taken over from the
    device that has it. InvalidError if the data breaks a rule; UnknownDeviceError if the device has no subscription;
    PreconditionError if its revision does not satisfy the preconditions.
    """
    content = _read_content(call)
    stored = devices.get_cached(call.device_id)
    # A cached subscription may be out of date: base a conditional write on it, but no decision against writing.
    if stored is None or stored.content.digest == content.digest or not call.precondition.holds(stored.revision):
        stored = devices.get(call.device_id)
    owner_device_id: str | None = None
    # Contention for the device or the claim ends with the session's deadline, by StoreError.
    while stored is not None:
        if not call.precondition.holds(stored.revision):
            raise PreconditionError
        try:
            if stored.content.digest == content.digest:
                if devices.is_due(stored):
                    devices.refresh(stored)
                return _to_result("unchanged", stored)
            replaced = devices.replace(stored, content, owner_device_id)
        except WriteConflictError as error:
            if isinstance(error.stored, MobileClaim):
                owner_device_id = error.stored.owner_device_id
            else:
                stored, owner_device_id = error.stored, None
        else:
            if owner_device_id is not None:
                return _to_result("takeover", replaced)
            is_same = stored.content.mobile_device_id == content.mobile_device_id
            return _to_result("updated" if is_same else "moved", replaced)
    raise UnknownDeviceError(call.device_id)


def remove(devices: Devices, call: Call) -> Result:
    """Delete the device's subscription under the app.

    UnknownDeviceError if there is none; PreconditionError if its revision does not satisfy the preconditions.
    """
    stored = devices.get(call.device_id)
    # Contention for the device ends with the session's deadline, by StoreError.
    while stored is not None and stored.content.app_name == call.app_name:
        if not call.precondition.holds(stored.revision):
            raise PreconditionError
        try:
            devices.remove(stored)
        except WriteConflictError as error:
            stored = error.stored
        else:
            return Result("deleted", {"id": call.device_id, "_read_only": {"deleted": True}}, stored.revision)
    raise UnknownDeviceError(call.device_id)


def _read_content(call: Call) -> Content:
    content = Content.from_data(call.data, call.app_name)
    content.check_identifiers(call.device_id)
    return content


def _to_result(outcome: str, subscription: Subscription) -> Result:
    return Result(outcome, subscription.content.document, subscription.revision)

"""What consoles and senders do with an application's subscribers.

docs/spec/engagement-v1.md#7-read-list-change-delete-management is the source.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from engagement.operations import NoSubscriptionError
from pushreg.errors import PushregError, StaleReadError
from pushreg.models.directory import EVERY_APPLICATION, Credential
from pushreg.models.engagement import FormError
from pushreg.models.engagement_v1 import MAX_DELETED, ListQuery
from pushreg.schema import DIGEST, KSID, TAKEN, user_index_prefix, user_index_sort
from pushreg.stores.managed_subscribers import Filter, Listing, ManagedSubscribers
from pushreg.stores.subscribers import Subscriber

_SORT = f"(-|{DIGEST})#{KSID}"


class UnnamedApplicationError(PushregError):
    """The listing names no application, and the credential is not for a single one."""


class NotInactiveError(PushregError):
    """One of the subscribers to delete is active or unknown."""


class NoKsidsError(PushregError):
    """No subscriber to delete is named."""


class TooManyKsidsError(PushregError):
    """More subscribers are to be deleted than one transaction holds."""


def read(subscribers: ManagedSubscribers, credential: Credential, ksid: str) -> Subscriber:
    """Return the subscriber; NoSubscriptionError if there is none within the credential's reach."""
    subscriber = subscribers.get(ksid)
    if subscriber is None or not credential.reaches_application(subscriber.appId):
        raise NoSubscriptionError
    return subscriber


def list_subscribers(subscribers: ManagedSubscribers, credential: Credential, query: ListQuery) -> Listing:
    """Return the page of the subscribers that match; FormError for a bad cursor.

    UnnamedApplicationError if no application is named and the credential is not for a single one, UncountableError if
    counting takes too long.
    """
    app_id = query.appId or _single_application(credential)
    skipped, after = (query.start, None) if isinstance(query.start, int) else (0, _read_cursor(query.start, query.ufid))
    if not credential.reaches_application(app_id):
        return Listing(0, [], has_more=False)
    wanted = Filter(app_id, query.ufid, query.osType, query.subscriptionStatus, query.cloudStatus)
    if query.deviceId is not None:
        found = [each for each in _find_device(subscribers, app_id, query.deviceId) if wanted.matches(each)]
        return Listing(len(found), found[skipped:], has_more=False)
    return subscribers.find_page(wanted, query.pageSize, skipped, after)


def set_active(subscribers: ManagedSubscribers, credential: Credential, ksid: str, active: bool) -> str:
    """Set the subscriptionStatus and return the outcome's name.

    NoSubscriptionError as for `read`, or if it is to be activated and has lost its sid or device to another.
    """
    # Each round follows a change of the subscriber; the session's limits end them, by StoreError.
    while True:
        subscriber = read(subscribers, credential, ksid)
        if subscriber.active == active:
            return "unchanged"
        if active and TAKEN in (subscriber.sid, subscriber.deviceId):
            raise NoSubscriptionError
        try:
            subscribers.set_active(subscriber, active)
        except StaleReadError:
            continue
        return "updated"


def delete(subscribers: ManagedSubscribers, credential: Credential, ksids: Sequence[str]) -> None:
    """Delete the subscribers, all or none; NotInactiveError if one is active, or unknown within the credential's reach.

    NoKsidsError for none, TooManyKsidsError for more than MAX_DELETED.
    """
    distinct = list(dict.fromkeys(ksids))
    if not distinct:
        raise NoKsidsError
    if len(distinct) > MAX_DELETED:
        raise TooManyKsidsError
    # Each round follows a change of one of them; the session's limits end them, by StoreError.
    while True:
        found: list[Subscriber] = []
        for subscriber in subscribers.get_many_by_ksid(distinct):
            if subscriber is None or subscriber.active or not credential.reaches_application(subscriber.appId):
                raise NotInactiveError
            found.append(subscriber)
        try:
            subscribers.delete(found)
        except StaleReadError:
            continue
        return


def make_cursor(listing: Listing) -> str | None:
    """Return the text by which the next page is asked for, None if there is none."""
    if not listing.has_more or not listing.subscribers:
        return None
    last = listing.subscribers[-1]
    return base64.urlsafe_b64encode(user_index_sort(last.ufid, last.ksid).encode()).decode().rstrip("=")


def _read_cursor(text: str, ufid: str | None) -> str:
    try:
        sort = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise FormError("no cursor") from error
    # DynamoDB refuses to go on from a key outside the queried range.
    prefix = "" if ufid is None else user_index_prefix(ufid)
    if re.fullmatch(_SORT, sort, re.ASCII) is None or not sort.startswith(prefix):
        raise FormError("no cursor")
    return sort


def _single_application(credential: Credential) -> str:
    if len(credential.applications) == 1 and EVERY_APPLICATION not in credential.applications:
        return next(iter(credential.applications))
    raise UnnamedApplicationError


def _find_device(subscribers: ManagedSubscribers, app_id: str, device_id: str) -> list[Subscriber]:
    (claim,) = subscribers.find_device(app_id, device_id)
    subscriber = None if claim is None else subscribers.get(claim.ksid)
    return [] if subscriber is None or subscriber.deviceId != device_id else [subscriber]

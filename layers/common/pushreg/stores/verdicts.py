"""What a provider's verdict on a token changes in the three tables, each by one conditional write.

A verdict never ends a registration that was made after the message was sent
(docs/data-model.md#invariant-7-a-verdict-never-removes-a-later-registration). Stored times are in whole seconds, so a
registration of the same second counts as the later one. Methods return the outcome's name: `removed`, `renewed`,
`newer` if the registration is later than the message, `absent` if there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, update
from pushreg.errors import ConditionFailedError, StoreError
from pushreg.models.kazoo import Content
from pushreg.schema import (
    ALIVE,
    DAY,
    DEVICES,
    PLACES,
    SUBSCRIBERS,
    TABLE_KEYS,
    TAKEN,
    Item,
    device_claim_key,
    device_key,
    digest,
    is_alive,
    ksid_key,
    mobile_claim_key,
    place_key,
    subscriber_claims,
)

# Positions in the list of writes of a transaction.
_REGISTRATION = 0
_OLDER_DEVICE = "updated_at < :at AND (attribute_not_exists(refreshed_at) OR refreshed_at < :at)"
_UNCHANGED = "mobile_device_id = :mobile AND digest = :digest AND writes = :writes"


class Verdicts:
    """The registrations in the tables, given by their logical ids; `lifetimes` are in seconds, 0 is for ever.

    `reaches` tells the applications whose subscribers the caller may touch; None is all.
    """

    def __init__(
        self,
        session: Session,
        tables: Mapping[str, str],
        epoch: int,
        lifetimes: Mapping[str, int],
        reaches: Callable[[str], bool] | None,
    ) -> None:
        self._session = session
        self._tables = tables
        self._epoch = epoch
        self._lifetimes = lifetimes
        self._reaches = reaches

    def remove_token(self, place_id: str, token: str, at: str) -> str:
        """Delete the row of a place's token if it was not refreshed at or after `at`."""
        condition = f"attribute_exists(place_id) AND {ALIVE} AND updated_at < :at"
        key = place_key(place_id, token)
        try:
            self._session.transact([delete(self._tables[PLACES], key, condition, epoch=self._epoch, at=at)])
        except ConditionFailedError as error:
            return "absent" if self._is_absent(error.items[_REGISTRATION]) else "newer"
        return "removed"

    def renew_token(self, place_id: str, token: str) -> str:
        """Renew the expiry of a place's token, at most once a day; never creates a row."""
        change, due, values = self._renewal(PLACES)
        condition = f"attribute_exists(place_id) AND {ALIVE} AND {due}"
        key = place_key(place_id, token)
        write = update(self._tables[PLACES], key, change, condition, epoch=self._epoch, **values)
        try:
            self._session.update(write)
        except ConditionFailedError as error:
            return "absent" if self._is_absent(error.items[_REGISTRATION]) else "renewed"
        return "renewed"

    def mark_sid_dead(self, ksid: str, sid: str, at: str) -> str:
        """Set `cloud` to false if the subscriber still has the sid and was not updated at or after `at`.

        The claim of its device gets it too, so that the next subscribe request is no duplicate. `updated_at` stays: a
        verdict is no registration.
        """
        table, key = self._tables[SUBSCRIBERS], ksid_key(ksid)
        change, condition = "SET cloud = :dead", f"sid = :sid AND deviceId = :device AND {ALIVE} AND updated_at < :at"
        subscriber = self._session.get(table, key)
        # Each round follows a change of the subscriber; the session's limits end them.
        while True:
            if subscriber is None or self._is_out_of_reach(subscriber):
                return "absent"
            if subscriber["sid"] != sid or subscriber["updated_at"] >= at:
                return "newer"
            device_id = subscriber["deviceId"]
            pinned = {"sid": sid, "device": device_id, "epoch": self._epoch, "at": at}
            writes = [update(table, key, change, condition, dead=False, **pinned)]
            if device_id != TAKEN:
                claim = device_claim_key(subscriber["appId"], digest(device_id))
                writes.append(update(table, claim, change, "ksid = :ksid", dead=False, ksid=ksid))
            try:
                self._session.transact(writes)
            except ConditionFailedError as error:
                subscriber = _refusing(error)
            else:
                return "removed"

    def renew_subscriber(self, ksid: str, sid: str) -> str:
        """Renew the expiry of a subscriber and of its claims, at most once a day, if it still has the sid."""
        table, key = self._tables[SUBSCRIBERS], ksid_key(ksid)
        change, due, values = self._renewal(SUBSCRIBERS)
        subscriber = self._session.get(table, key)
        # Each round follows a change of the subscriber; the session's limits end them.
        while True:
            if subscriber is None or self._is_out_of_reach(subscriber):
                return "absent"
            if subscriber["sid"] != sid:
                return "newer"
            if not self._is_due(SUBSCRIBERS, subscriber):
                return "renewed"
            condition = f"sid = :sid AND deviceId = :device AND {ALIVE} AND {due}"
            pinned = {"sid": sid, "device": subscriber["deviceId"], "epoch": self._epoch}
            own = {name: value for name, value in values.items() if name in change}
            writes = [update(table, key, change, condition, **pinned, **values)]
            for claim in subscriber_claims(subscriber):
                claim_key = {name: claim[name] for name in TABLE_KEYS[SUBSCRIBERS]}
                writes.append(update(table, claim_key, change, "ksid = :ksid", ksid=ksid, **own))
            try:
                self._session.transact(writes)
            except ConditionFailedError as error:
                subscriber = _refusing(error)
            else:
                return "renewed"

    def remove_registration(self, account_id: str, device_id: str, registration_id: str, at: str) -> str:
        """Drop one registration id of a device, and with its last one the subscription and its claim.

        `updated_at` stays: a verdict is no registration, and others on the same device may follow.
        """
        key = device_key(account_id, device_id)
        item = self._session.get(self._tables[DEVICES], key)
        # Each round follows a change of the subscription; the session's limits end them.
        while True:
            content = self._find_registration(item, registration_id)
            if item is None or content is None:
                return "absent"
            if item["updated_at"] >= at or item.get("refreshed_at", "") >= at:
                return "newer"
            try:
                self._session.transact(self._drop(item, content.without(registration_id), at))
            except ConditionFailedError as error:
                item = _refusing(error)
            else:
                return "removed"

    def renew_registration(self, account_id: str, device_id: str, registration_id: str) -> str:
        """Renew the expiry of a device's subscription and of its claim, at most once a day, if it still has the id."""
        table, key = self._tables[DEVICES], device_key(account_id, device_id)
        change, _, values = self._renewal(DEVICES)
        item = self._session.get(table, key)
        # Each round follows a change of the subscription; the session's limits end them.
        while True:
            if item is None or self._find_registration(item, registration_id) is None:
                return "absent"
            if not self._is_due(DEVICES, item):
                return "renewed"
            own = {name: value for name, value in values.items() if name in change}
            claim = mobile_claim_key(account_id, digest(item["mobile_device_id"]))
            writes = [
                update(table, key, change, f"{_UNCHANGED} AND {ALIVE}", epoch=self._epoch, **_pin(item), **own),
                update(table, claim, change, "device_id = :device", device=device_id, **own),
            ]
            try:
                self._session.transact(writes)
            except ConditionFailedError as error:
                item = _refusing(error)
            else:
                return "renewed"

    def _drop(self, item: Item, kept: Content | None, at: str) -> list[dict[str, object]]:
        table = self._tables[DEVICES]
        key = device_key(item["account_id"], item["device_id"])
        # The same content may have been deleted and registered anew since it was read, hence the time as well.
        condition = f"{_UNCHANGED} AND {_OLDER_DEVICE}"
        values = {**_pin(item), "at": at}
        if kept is None:
            claim = mobile_claim_key(item["account_id"], digest(item["mobile_device_id"]))
            is_own = "attribute_not_exists(device_id) OR device_id = :device"
            return [delete(table, key, condition, **values), delete(table, claim, is_own, device=item["device_id"])]
        change = "SET document = :document, digest = :new, writes = :count"
        values |= {"document": json.encode(kept.document).decode(), "new": kept.digest, "count": item["writes"] + 1}
        return [update(table, key, change, condition, **values)]

    def _find_registration(self, item: Item | None, registration_id: str) -> Content | None:
        """Return the content of a living subscription that has the registration id."""
        if item is None or self._is_absent(item):
            return None
        document = json.decode(item["document"].encode())
        if registration_id not in document["notification_registration_ids"]:
            return None
        return Content(item["app_name"], item["mobile_device_id"], document, item["digest"])

    def _renewal(self, table: str) -> tuple[str, str, dict[str, int]]:
        """Return the change that renews an expiry, the condition that it is due, and the values of both."""
        lifetime = self._lifetimes[table]
        if not lifetime:
            return "REMOVE expires_at", "attribute_exists(expires_at)", {}
        expires_at = self._epoch + lifetime
        due = "(attribute_not_exists(expires_at) OR expires_at < :due)"
        return "SET expires_at = :expires_at", due, {"expires_at": expires_at, "due": expires_at - DAY}

    def _is_due(self, table: str, item: Item) -> bool:
        lifetime, expires_at = self._lifetimes[table], item.get("expires_at")
        if not lifetime or expires_at is None:
            return bool(lifetime) is (expires_at is None)
        return bool(expires_at < self._epoch + lifetime - DAY)

    def _is_absent(self, item: Item | None) -> bool:
        return item is None or not is_alive(item.get("expires_at"), self._epoch)

    def _is_out_of_reach(self, subscriber: Item | None) -> bool:
        # A subscriber of another application and none at all get the same answer.
        if subscriber is None or self._is_absent(subscriber):
            return True
        return self._reaches is not None and not self._reaches(subscriber["appId"])


def _pin(item: Item) -> dict[str, str | int]:
    return {"mobile": item["mobile_device_id"], "digest": item["digest"], "writes": item["writes"]}


def _refusing(error: ConditionFailedError) -> Item | None:
    """Return the registration that is stored by now; StoreError if a claim alone was in the way."""
    if not error.failed[_REGISTRATION]:
        # The claim belongs to another registration: `pushreg verify` reports it.
        raise StoreError("InvariantViolated") from error
    return error.items[_REGISTRATION]

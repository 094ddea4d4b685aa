"""The Places table: one row per place and token."""

from __future__ import annotations

import uuid

from pushreg.dynamodb import Key, Session, delete, put, update
from pushreg.errors import ConditionFailedError
from pushreg.models.directory import digest

_ALIVE = "attribute_exists(place_id) AND (attribute_not_exists(expires_at) OR expires_at > :epoch)"


class Places:
    """Registrations of one table, written at `moment` (ISO 8601) and gone `lifetime` seconds after their last refresh.

    A lifetime of 0 is for ever. DynamoDB removes what has expired hours later, so every condition looks for itself.
    """

    def __init__(self, session: Session, table: str, moment: str, epoch: int, lifetime: int) -> None:
        self._session = session
        self._table = table
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None

    def refresh(self, place_id: str, token: str) -> bool:
        """Renew the row's `updated_at` and expiry, and tell whether there was a row; never makes one.

        So a repeated or belated attempt cannot bring back what was deleted meanwhile.
        """
        change = "SET updated_at = :moment"
        values: dict[str, str | int] = {"moment": self._moment, "epoch": self._epoch}
        if self._expires_at is None:
            change += " REMOVE expires_at"
        else:
            change += ", expires_at = :expires_at"
            values["expires_at"] = self._expires_at
        try:
            self._session.update(update(self._table, _key(place_id, token), change, _ALIVE, **values))
        except ConditionFailedError:
            return False
        return True

    def create(self, place_id: str, token: str) -> None:
        """Make the row, exactly once even if the answer is lost and the call repeated."""
        item = {
            **_key(place_id, token),
            "device_token": token,
            "created_at": self._moment,
            "updated_at": self._moment,
            "expires_at": self._expires_at,
        }
        self._session.transact([put(self._table, item)], uuid.uuid4().hex)

    def remove(self, place_id: str, token: str) -> bool:
        """Delete the row and tell whether there was one; a repeated call gives the first one's answer."""
        write = delete(self._table, _key(place_id, token), _ALIVE, epoch=self._epoch)
        try:
            self._session.transact([write], uuid.uuid4().hex)
        except ConditionFailedError:
            return False
        return True


def _key(place_id: str, token: str) -> Key:
    return {"place_id": place_id, "token_digest": digest(token)}

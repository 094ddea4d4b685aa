"""The Places table: one row per place and registration token."""

from __future__ import annotations

from typing import NamedTuple

from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError
from pushreg.schema import ALIVE, is_alive, place_key, place_key_of_digest

_EXISTS = f"attribute_exists(place_id) AND {ALIVE}"


class Row(NamedTuple):
    """The registration of one token."""

    device_token: str
    created_at: str
    updated_at: str


class Places:
    """Registrations of one table, written at `moment` (ISO 8601); they expire `lifetime` seconds after their refresh.

    A lifetime of 0 means that they never expire. Expired rows count as absent before DynamoDB removes them.
    """

    def __init__(self, session: Session, table: str, moment: str, epoch: int, lifetime: int) -> None:
        self._session = session
        self._table = table
        self._moment = moment
        self._epoch = epoch
        self._expires_at = epoch + lifetime if lifetime else None

    def refresh(self, place_id: str, token: str) -> bool:
        """Renew `updated_at` and the expiry of an existing row, and return whether there was one.

        It never creates the row, so a delayed request that arrives after its retry cannot restore a deleted row. After
        a lost response it may be applied twice (docs/decisions/transactions-for-single-writes.md#consequences).
        """
        change = "SET updated_at = :moment"
        values: dict[str, str | int] = {"moment": self._moment, "epoch": self._epoch}
        if self._expires_at is None:
            change += " REMOVE expires_at"
        else:
            change += ", expires_at = :expires_at"
            values["expires_at"] = self._expires_at
        try:
            self._session.update(update(self._table, place_key(place_id, token), change, _EXISTS, **values))
        except ConditionFailedError:
            self._session.expect_refusal()
            return False
        return True

    def create(self, place_id: str, token: str) -> None:
        """Store the row; the idempotency token makes a retry after a lost response write nothing."""
        item = {
            **place_key(place_id, token),
            "device_token": token,
            "created_at": self._moment,
            "updated_at": self._moment,
            "expires_at": self._expires_at,
        }
        self._session.transact([put(self._table, item)])

    def remove(self, place_id: str, token: str) -> bool:
        """Delete the row and return whether there was one, also when the call is retried after a lost response."""
        try:
            self._session.transact([delete(self._table, place_key(place_id, token), _EXISTS, epoch=self._epoch)])
        except ConditionFailedError:
            return False
        return True

    def list(self, place_id: str, limit: int, after: str | None) -> tuple[list[Row], str | None]:
        """Return rows of the place behind the token digest `after`, and the digest to go on behind, None at the end.

        One call reads at most `limit` rows and at most 1 MB; expired ones among them are left out, so that fewer, or
        none, may come before the end.
        """
        start = None if after is None else place_key_of_digest(place_id, after)
        page = self._session.query(
            self._table, "place_id = :place", start, ConsistentRead=True, Limit=limit, place=place_id
        )
        rows = [
            Row(item["device_token"], item["created_at"], item["updated_at"])
            for item in page.items
            if is_alive(item.get("expires_at"), self._epoch)
        ]
        return rows, None if page.last is None else page.last["token_digest"]

"""Registration tokens of places, as rows of CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pushreg.models.places import TokenBody
from pushreg.schema import PLACES, place_key, to_place_id
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.rows import ImportRun, RowError, explain
from pushreg_ops.records.items import StoredToken

PLACE_NAMES = ("place_id", "placeId", "place")
TOKEN_NAMES = ("device_token", "deviceToken", "token")


class PlacesConverter:
    """Converts rows of a place and a token, with or without times."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run

    def __call__(self, row: Any) -> Candidate:
        """Return the row's registration."""
        if not isinstance(row, dict):
            raise RowError("the row is not an object")
        if not any(name in row for name in PLACE_NAMES):
            raise RowError("no place_id")
        created_at, updated_at = (self._run.read_moment(row.get(name)) for name in ("created_at", "updated_at"))
        moment = updated_at or created_at
        return create_token(
            _first(row, PLACE_NAMES),
            _first(row, TOKEN_NAMES),
            created_at=created_at or moment or self._run.moment,
            updated_at=moment or self._run.moment,
            expires_at=self._run.find_expiry(PLACES, moment),
            is_timed=moment is not None,
        )


def create_token(
    place: Any, token: Any, *, created_at: str, updated_at: str, expires_at: int | None, is_timed: bool
) -> Candidate:
    """Return the registration of a token for a place; RowError if the API would refuse it."""
    place_id = to_place_id(place.strip()) if isinstance(place, str) else None
    if place_id is None:
        raise RowError("place_id: not a UUID")
    try:
        device_token = TokenBody.model_validate({"device_token": token}).device_token
        entity = StoredToken(
            **place_key(place_id, device_token),
            device_token=device_token,
            created_at=created_at,
            updated_at=updated_at,
            expires_at=expires_at,
        )
    except ValidationError as error:
        raise explain(error) from error
    return Candidate.from_entity(entity, ("place", place_id), is_timed=is_timed)


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)

"""Conversion of rows of place and token."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import digest
from pushreg_local.demo import PLACE_ID
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.records.items import StoredToken
from tests.support.rows import EPOCH, RUN, read_entity, reason


@pytest.mark.parametrize(
    "row",
    [
        {"place_id": PLACE_ID.upper(), "device_token": "tok:1"},
        {"placeId": PLACE_ID, "token": "tok:1"},
        {"place": f" {PLACE_ID} ", "deviceToken": "tok:1"},
    ],
)
def test_places_import_accepts_usual_column_names(row: dict[str, Any]) -> None:
    candidate = PlacesConverter(RUN)(row)
    assert candidate.entity == StoredToken(
        place_id=PLACE_ID,
        token_digest=digest("tok:1"),
        device_token="tok:1",
        created_at="2100-01-01T00:00:00Z",
        updated_at="2100-01-01T00:00:00Z",
        expires_at=EPOCH + 270 * 86_400,
    )
    assert not candidate.is_timed


def test_places_import_keeps_times_in_utc() -> None:
    times = {"created_at": "2025-01-01T00:00:00+02:00", "updated_at": "2025-06-01T12:00:00.5Z"}
    entity = read_entity(PlacesConverter(RUN), {"place_id": PLACE_ID, "device_token": "t", **times})
    assert (entity.created_at, entity.updated_at) == ("2024-12-31T22:00:00Z", "2025-06-01T12:00:00Z")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"place_id": "here", "device_token": "t"}, "UUID"),
        ({"place_id": PLACE_ID, "device_token": " "}, "device_token: "),
        ({"place_id": PLACE_ID, "device_token": "x" * 4097}, "device_token: "),
        ({"place_id": PLACE_ID}, "device_token: "),
        ({"id": PLACE_ID, "device_token": "t"}, "no place_id"),
        ({"place_id": PLACE_ID, "device_token": "t", "updated_at": "yesterday"}, "ISO 8601"),
        ({"place_id": PLACE_ID, "device_token": "t", "updated_at": "9999-12-31T23:59:59-12:00"}, "ISO 8601"),
        ({"place_id": PLACE_ID, "device_token": "t", "created_at": "0001-01-01T00:00:00+12:00"}, "ISO 8601"),
        ([PLACE_ID, "t"], "not an object"),
    ],
)
def test_places_import_invalid_row_is_refused(row: Any, wanted: str) -> None:
    assert wanted in reason(PlacesConverter(RUN), row)

"""Conversion of lines that `pushreg export` wrote."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.migrate.formats.kazoo import GREGORIAN_EPOCH, KazooConverter
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.migrate.formats.pushreg import PushregConverter, to_line
from pushreg_ops.migrate.formats.rows import Converter
from tests.support.rows import EPOCH, FOREVER, RUN, document, listed, read_entity, reason


def exported() -> list[Any]:
    heads = [
        read_entity(KazooConverter(RUN), document()),
        read_entity(EngagementConverter(RUN), listed()),
        read_entity(EngagementConverter(FOREVER), listed(subscriptionStatus=False)),
        read_entity(PlacesConverter(RUN), {"place_id": PLACE_ID, "device_token": "t"}),
    ]
    entries = [
        {"record": f"account#{ACCOUNT_ID}", "created_at": "2026-01-01T00:00:00Z"},
        {"record": "application#app#1", "auth_token_digest": "0" * 64, "created_at": "2026-01-01T00:00:00Z"},
        {
            "record": f"credential#{'1' * 64}",
            "key_id": "1" * 16,
            "family": "places",
            "scope": "write",
            "places": [PLACE_ID],
            "created_at": "2026-01-01T00:00:00Z",
        },
    ]
    return [*heads, *(read_entity(PushregConverter(RUN), {"family": "directory", "entry": entry}) for entry in entries)]


@pytest.mark.parametrize("entity", exported(), ids=lambda entity: type(entity).__name__)
def test_pushreg_import_of_exported_line_is_identical(entity: Any) -> None:
    run = RUN if getattr(entity, "expires_at", None) else FOREVER
    assert read_entity(PushregConverter(run), to_line(entity)) == entity


LATER = "2100-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("converter", "row"),
    [
        (
            KazooConverter(RUN),
            document(pvt_created=GREGORIAN_EPOCH + EPOCH + 1, pvt_modified=GREGORIAN_EPOCH + 2 * EPOCH),
        ),
        (EngagementConverter(RUN), listed(createdDateStr="01/01/2100 05:30:01 AM IST")),
        (PlacesConverter(RUN), {"place_id": PLACE_ID, "device_token": "t", "created_at": LATER, "updated_at": LATER}),
        (
            PushregConverter(RUN),
            {"family": "places", "place_id": PLACE_ID, "device_token": "t", "created_at": LATER, "updated_at": LATER},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_import_time_in_the_future_counts_as_the_import(converter: Converter, row: Any) -> None:
    entity = read_entity(converter, row)
    assert entity.created_at == entity.updated_at == RUN.moment


def test_pushreg_import_of_expiring_line_never_expires_where_nothing_does() -> None:
    line = to_line(read_entity(EngagementConverter(RUN), listed()))
    assert read_entity(PushregConverter(FOREVER), line).expires_at is None


@pytest.mark.parametrize(
    ("refreshed", "days"), [("2099-12-22T00:00:00Z", 260), ("2020-01-01T00:00:00Z", 30), ("2110-01-01T00:00:00Z", 270)]
)
def test_pushreg_import_expiry_counts_from_last_refresh_with_thirty_days_left(refreshed: str, days: int) -> None:
    rows: list[tuple[Converter, Any]] = [
        (PlacesConverter(RUN), {"place_id": PLACE_ID, "device_token": "t", "updated_at": refreshed}),
        (
            PushregConverter(RUN),
            {"family": "places", "place_id": PLACE_ID, "device_token": "t", "updated_at": refreshed},
        ),
    ]
    for converter, row in rows:
        assert read_entity(converter, row).expires_at == EPOCH + days * 86_400


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"family": "fax"}, "family"),
        ({"expires_at": EPOCH}, "expired"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"expires_at": 10**12}, "expires_at"),
        ({"updated_at": 5}, "ISO 8601"),
        ({"active": 1}, "active"),
    ],
)
def test_pushreg_import_invalid_line_is_refused(change: dict[str, Any], wanted: str) -> None:
    line = to_line(read_entity(EngagementConverter(RUN), listed()))
    assert wanted in reason(PushregConverter(RUN), {**line, **change})

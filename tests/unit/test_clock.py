from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushreg.clock import now, to_iso


def test_now_is_timezone_aware_utc() -> None:
    assert now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), "2024-02-29T23:59:59Z"),
        (datetime(2024, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), "2023-12-31T22:30:00Z"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=-30))), "2024-01-01T05:30:00Z"),
    ],
)
def test_to_iso_truncates_to_seconds_in_utc(moment: datetime, text: str) -> None:
    assert to_iso(moment) == text


# Bounds without a zone, as hypothesis wants them: it draws the zone by itself.
@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_to_iso_round_trips_and_sorts(moment: datetime) -> None:
    read = datetime.fromisoformat(to_iso(moment))
    assert timedelta(0) <= moment - read < timedelta(seconds=1)
    assert to_iso(read) == to_iso(moment)

"""The one source of time: aware UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def to_iso(moment: datetime) -> str:
    """Return the moment as ISO 8601 in whole seconds, `YYYY-MM-DDTHH:MM:SSZ`."""
    # strftime writes years before 1000 with fewer digits, which nothing reads back.
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"

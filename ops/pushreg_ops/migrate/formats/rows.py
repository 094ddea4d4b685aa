"""What the converters share: the import run, the row error and the parsing of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pushreg.clock import to_iso
from pushreg.errors import PushregError
from pushreg.schema import DAY
from pushreg_ops.migrate.formats.candidates import Candidate

# However long ago a row was refreshed, its app has this long to do it again.
MIN_REMAINING = 30 * DAY


class RowError(PushregError):
    """The row is not a valid registration; the message gives the reason and contains no token."""


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import: its start time and the lifetime of registrations in seconds by their table; 0 or none for unlimited.

    A resumed import keeps its start time, so that rows written twice are identical.
    """

    epoch: int
    lifetimes: Mapping[str, int]

    @property
    def moment(self) -> str:
        """The start time, ISO 8601."""
        return to_iso(datetime.fromtimestamp(self.epoch, UTC))

    def bound(self, moment: str) -> str:
        """Return the moment, or the start time if the moment is later.

        No verdict would end a registration that says it was made after the message was sent.
        """
        return min(moment, self.moment)

    def read_moment(self, value: Any) -> str | None:
        """Return an ISO 8601 time in the registry's form, bounded; None if it is empty, RowError if it is invalid."""
        if value is None or value == "":
            return None
        try:
            moment = datetime.fromisoformat(value)
            # A time without a zone is taken as UTC, so that the result does not depend on the machine.
            return self.bound(to_iso(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)))
        except (TypeError, ValueError, OverflowError):
            raise RowError("a time is not ISO 8601, or not within the years 1 to 9999") from None

    def find_expiry(self, table: str, refreshed_at: str | None) -> int | None:
        """Return when a registration expires, counted from its last refresh, or from the import if that is unknown.

        None means never.
        """
        lifetime = self.lifetimes.get(table, 0)
        if not lifetime:
            return None
        start = self.epoch
        if refreshed_at is not None:
            start = min(start, int(datetime.fromisoformat(refreshed_at).timestamp()))
        return max(start + lifetime, self.epoch + min(lifetime, MIN_REMAINING))


# Returns None for rows that hold no registration.
Converter = Callable[[Any], Candidate | None]


def explain(error: ValidationError) -> RowError:
    """Return a RowError that names the faulty fields but not their values."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    problems = {
        f"{'.'.join(map(str, each['loc'])) or 'row'}: {each['msg'].removeprefix('Value error, ')}" for each in details
    }
    return RowError("; ".join(sorted(problems)))

"""What the importers share: a row that cannot be taken, and the moments that sources write in their own ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pushreg.clock import to_iso
from pushreg.errors import PushregError
from pushreg_ops.records.entities import Candidate


class RowError(PushregError):
    """The row is no registration that the registry could hold; the message says why and quotes no token."""


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import: when it began, and for how many seconds a registration lives; 0 is for ever.

    Resumed, it is the same run, so that what it writes twice is the same.
    """

    epoch: int
    lifetime: int

    @property
    def moment(self) -> str:
        """When it began, ISO 8601."""
        return to_iso(datetime.fromtimestamp(self.epoch, UTC))

    @property
    def expires_at(self) -> int | None:
        """When a registration ends of which the source does not say."""
        return self.epoch + self.lifetime if self.lifetime else None


# Returns None for a row that is about something else.
Converter = Callable[[Any], Candidate | None]


def read_moment(value: Any) -> str | None:
    """Return an ISO 8601 moment in the registry's own form, None for none; RowError if it is not one."""
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise RowError("a time that is not ISO 8601") from None
    # A time without zone would mean another moment on every machine.
    return to_iso(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def explain(error: ValidationError) -> RowError:
    """Return the row's error, naming fields but not their values."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return RowError(
        "; ".join(sorted({f"{'.'.join(map(str, each['loc'])) or 'row'}: {each['msg']}" for each in details}))
    )

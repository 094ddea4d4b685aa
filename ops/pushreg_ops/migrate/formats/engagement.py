"""Subscribers as the engagement server lists them (docs/spec/engagement-v1.md#7-read-list-change-delete-management)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydantic import ValidationError

from pushreg.clock import to_iso
from pushreg.models.engagement import Subscribe, match_names, to_text
from pushreg.schema import MAX_CALLER_TEXT, SUBSCRIBERS, TAKEN, is_ksid, ksid_key, user_index_sort
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.rows import ImportRun, RowError, explain
from pushreg_ops.records.items import StoredSubscriber

# strptime is several times slower, which is noticeable in an import.
_MOMENT = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) (0?[1-9]|1[0-2]):([0-9]{2}):([0-9]{2}) (AM|PM) (\S+)",
    re.ASCII | re.IGNORECASE,
)
_INVALID_TIME = "createdDateStr: not MM/dd/yyyy hh:mm:ss AM|PM ZONE"
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})", re.ASCII)
# The server abbreviates time zones. IST is India's, as in the vendor's samples.
ZONES = {
    "UTC": "+00:00",
    "GMT": "+00:00",
    "Z": "+00:00",
    "IST": "+05:30",
    "EST": "-05:00",
    "EDT": "-04:00",
    "CST": "-06:00",
    "CDT": "-05:00",
    "MST": "-07:00",
    "MDT": "-06:00",
    "PST": "-08:00",
    "PDT": "-07:00",
    "CET": "+01:00",
    "CEST": "+02:00",
}

# Members of a listed subscriber, whose names are matched without letter case.
_NAMES = frozenset(
    {
        "ksid",
        "appId",
        "ufid",
        "deviceId",
        "deviceName",
        "sid",
        "osType",
        "isGCM",
        "isJpush",
        "createdDateStr",
        "userAgent",
        "ipAddress",
        "subscriptionStatus",
        "cloudStatus",
    }
)


class EngagementConverter:
    """Turns listed subscribers into registrations; `zones` adds offsets for time zones by their abbreviations."""

    def __init__(self, run: ImportRun, zones: Mapping[str, str] | None = None) -> None:
        self._run = run
        self._zones = ZONES | dict(zones or {})

    def __call__(self, row: Any) -> Candidate:
        """Return the row's subscriber."""
        if not isinstance(row, dict):
            raise RowError("the row is not an object")
        row = match_names(row, _NAMES)
        created_at = self._read_moment(row.get("createdDateStr"))
        moment = created_at or self._run.moment
        return create_subscriber(
            row,
            active=_read_flag(row, "subscriptionStatus"),
            cloud=_read_flag(row, "cloudStatus"),
            created_at=moment,
            updated_at=moment,
            # The list has the time of the subscriber's creation, not of its last refresh.
            expires_at=self._run.find_expiry(SUBSCRIBERS, None),
            is_timed=created_at is not None,
        )

    def _read_moment(self, text: Any) -> str | None:
        """Return the moment of `MM/dd/yyyy hh:mm:ss AM|PM ZONE`."""
        if text is None or text == "":
            return None
        match = _MOMENT.fullmatch(str(text).strip())
        if match is None:
            raise RowError(_INVALID_TIME)
        month, day, year, hour, minute, second = map(int, match.groups()[:6])
        zone = match[8]
        offset = self._zones.get(zone.upper(), zone)
        shift = _OFFSET.fullmatch(offset)
        if shift is None:
            raise RowError(f"createdDateStr: time zone {zone} is unknown: define it with --time-zone {zone}=+00:00")
        east = timedelta(hours=int(shift[2]), minutes=int(shift[3]))
        try:
            # 12 AM is midnight and 12 PM is noon.
            hour = hour % 12 + 12 * (match[7].upper() == "PM")
            moment = datetime(
                year, month, day, hour, minute, second, tzinfo=timezone(east if shift[1] == "+" else -east)
            )
            return self._run.bound(to_iso(moment.astimezone(UTC)))
        except (ValueError, OverflowError):
            raise RowError(_INVALID_TIME) from None


def create_subscriber(
    row: Mapping[str, Any],
    *,
    active: bool,
    cloud: bool = True,
    created_at: str,
    updated_at: str,
    expires_at: int | None,
    is_timed: bool,
) -> Candidate:
    """Return the subscriber of a row with the wire's names; RowError if the API would refuse it.

    An inactive one may lack its sid or deviceId, which another subscriber took.
    """
    ksid = to_text(row.get("ksid"))
    if not isinstance(ksid, str) or not is_ksid(ksid):
        raise RowError("ksid: not a positive signed 64-bit integer")
    try:
        taken = {name for name in ("sid", "deviceId") if not active and row.get(name) in (TAKEN, None)}
        form = Subscribe.model_validate({**row, **dict.fromkeys(taken, "taken")})
        entity = StoredSubscriber(
            record=ksid_key(ksid)["record"],
            ksid=ksid,
            appId=form.appId,
            deviceId=TAKEN if "deviceId" in taken else form.deviceId,
            sid=TAKEN if "sid" in taken else form.sid,
            osType=form.osType,
            ufid=form.ufid,
            ufid_ksid=user_index_sort(form.ufid, ksid),
            deviceName=form.deviceName,
            userAgent=_read_text(row, "userAgent"),
            ipAddress=_read_text(row, "ipAddress"),
            active=active,
            # Only a negative verdict is stored.
            cloud=None if cloud else False,
            created_at=created_at,
            updated_at=updated_at,
            expires_at=expires_at,
        )
    except ValidationError as error:
        raise explain(error) from error
    return Candidate.from_entity(entity, ("application", form.appId), is_timed=is_timed)


def _read_flag(row: Mapping[str, Any], name: str) -> bool:
    flag = row.get(name, True)
    if not isinstance(flag, bool):
        raise RowError(f"{name}: neither true nor false")
    return flag


def _read_text(row: Mapping[str, Any], name: str) -> str | None:
    text = row.get(name) or None
    if text is not None and not isinstance(text, str):
        raise RowError(f"{name}: not a string")
    return text[:MAX_CALLER_TEXT] if text is not None else None

"""What the providers' codes mean, what reports and addresses are, and which tokens name an installation."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pushreg.models.engagement import OS_TYPES
from pushreg.models.senders import (
    CODES,
    PROVIDERS,
    EntryError,
    PlaceAddress,
    TokenReport,
    installation_of,
    judge,
    read_address,
)

GUIDE = Path(__file__).parents[2] / "docs" / "sending.md"
ROW = re.compile(r"^\| (\w+) \| `([^`]+)` \| (dead|kept) \|", re.MULTILINE)
NOW = datetime(2026, 11, 27, 4, 0, 0, tzinfo=UTC)
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"


def test_codes_are_those_of_the_guide() -> None:
    rows = ROW.findall(GUIDE.read_text("utf-8"))
    assert len(rows) == len({row[:2] for row in rows})
    listed: dict[str, dict[str, str]] = {}
    for provider, code, meaning in rows:
        listed.setdefault(provider, {})[code] = meaning
    assert listed == CODES


def test_providers_cover_every_ostype() -> None:
    assert PROVIDERS.keys() == OS_TYPES


def report(**members: Any) -> TokenReport:
    return TokenReport.model_validate({"place_id": PLACE, "device_token": "t", **members})


@pytest.mark.parametrize(
    ("at", "second"),
    [
        ("2026-11-27T03:59:59.999999Z", "2026-11-27T03:59:59Z"),
        ("2026-11-27T04:59:58+01:00", "2026-11-27T03:59:58Z"),
        ("2026-11-26t22:00:00-05:30", "2026-11-27T03:30:00Z"),
        ("2026-11-27T04:05:00Z", "2026-11-27T04:00:00Z"),
        ("1970-01-01T00:00:00+01:00", "1969-12-31T23:00:00Z"),
        ("2026-11-27T03:59:59.9999999Z", "2026-11-27T03:59:59Z"),
        ("2026-11-27T03:59:59.123456789+00:00", "2026-11-27T03:59:59Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2017-01-01T05:29:60.5+05:30", "2016-12-31T23:59:59Z"),
    ],
)
def test_judge_dead_code_returns_second_not_after_now(at: str, second: str) -> None:
    assert judge(report(provider="fcm", code="UNREGISTERED", at=at), NOW) == ("dead", second)


def test_report_from_year_without_four_digits_is_malformed() -> None:
    for at in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "1000-01-01T00:00:00+23:59"):
        with pytest.raises(ValidationError):
            report(provider="fcm", code="UNREGISTERED", at=at)


@pytest.mark.parametrize(
    "at", ["2026-11-27T03:59:59.Z", "2026-11-27T03:59:61Z", "2026-11-27T24:00:00Z", "2026-11-27T03:59:59Z\n"]
)
def test_report_with_time_of_other_form_is_malformed(at: str) -> None:
    with pytest.raises(ValidationError):
        report(provider="fcm", code="UNREGISTERED", at=at)


@pytest.mark.parametrize("at", ["2026-11-27T04:05:01Z", "2999-12-31T23:59:59-23:59"])
def test_judge_time_ahead_of_clock_raises(at: str) -> None:
    with pytest.raises(EntryError):
        judge(report(provider="fcm", code="UNREGISTERED", at=at), NOW)


@pytest.mark.parametrize(
    ("token", "installation"),
    [
        ("eGCgkKMKFHQ:APA91bEhSO-XOvT8_x", "eGCgkKMKFHQ"),
        ("eGCgkKMKFHQ:APA91b", None),
        ("eGCgkKMKFHQ:other", None),
        ("eGCgkKMKFHQ", None),
        (":APA91bEh", None),
        ("a b:APA91bEh", None),
        ("a:b:APA91bEh", None),
    ],
)
def test_installation_of_token_is_text_before_first_colon(token: str, installation: str | None) -> None:
    assert installation_of(token) == installation


def test_address_of_two_kinds_is_malformed() -> None:
    for data in (
        {"place_id": PLACE, "ksid": "1"},
        {"application": "a", "ufid": "u", "device_id": "d"},
        {"application": "a", "account_id": "a" * 32, "device_id": "d"},
    ):
        with pytest.raises(EntryError):
            read_address(data)


def test_address_with_null_members_of_other_kinds_is_read() -> None:
    data = {"place_id": PLACE, "ksid": None, "application": None, "ufid": None, "device_id": None, "account_id": None}
    assert read_address(data) == PlaceAddress(place_id=PLACE)
    for nothing in ({"ksid": None}, {"application": "a", "ufid": None}):
        with pytest.raises(EntryError):
            read_address(nothing)

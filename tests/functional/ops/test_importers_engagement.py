"""What listed subscribers are taken for."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.records.items import Subscriber
from tests.support.rows import EPOCH, FOREVER, RUN, listed, read_head, reason


def test_a_listed_subscriber_keeps_its_ksid_and_its_time() -> None:
    candidate = EngagementConverter(RUN)(listed())
    assert candidate.head == Subscriber(
        record="ksid#4927562634448402412",
        ksid="4927562634448402412",
        appId="20096-6548262167",
        deviceId="800ABC1",
        sid="9002390C",
        osType="windows",
        ufid="user@example.com",
        active=True,
        created_at="2016-06-22T07:12:20Z",
        updated_at="2016-06-22T07:12:20Z",
        # When it was last refreshed nobody knows, so its time begins now.
        expires_at=EPOCH + 270 * 86_400,
    )
    assert len(candidate.claims) == 2


def test_an_inactive_subscriber_stays_inactive_and_for_ever_has_no_end() -> None:
    head = read_head(
        EngagementConverter(FOREVER), listed(subscriptionStatus=False, ufid="", ksid="4927562634448402412")
    )
    assert (head.active, head.ufid, head.expires_at) == (False, None, None)


def test_a_zone_that_is_told_counts() -> None:
    row = listed(createdDateStr="01/02/2024 12:00:00 AM AEST")
    assert read_head(EngagementConverter(RUN, {"AEST": "+10:00"}), row).created_at == "2024-01-01T14:00:00Z"
    assert "--time-zone AEST=" in reason(EngagementConverter(RUN), row)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("06/22/2016 12:42:20 PM UTC", "2016-06-22T12:42:20Z"),
        ("06/22/2016 12:42:20 AM UTC", "2016-06-22T00:42:20Z"),
        ("6/2/2016 1:02:03 pm est", "2016-06-02T18:02:03Z"),
        ("02/29/2024 11:59:59 AM -0330", "2024-02-29T15:29:59Z"),
    ],
)
def test_the_server_tells_the_time_by_twelve_hours(text: str, wanted: str) -> None:
    assert read_head(EngagementConverter(RUN), listed(createdDateStr=text)).created_at == wanted


def test_a_blackberry_is_the_device_that_its_own_requests_name() -> None:
    row = listed(osType="BlackBerry", deviceId="0x2100000A")
    assert read_head(EngagementConverter(RUN), row).deviceId == "2100000A"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"ksid": 42}, "19 digits"),
        ({"ksid": True}, "19 digits"),
        ({"ksid": None}, "19 digits"),
        ({"ksid": 4.9e18}, "19 digits"),
        ({"osType": "toaster"}, "osType: "),
        ({"sid": None}, "sid: "),
        ({"sid": "  "}, "sid: "),
        ({"deviceId": "x" * 256}, "deviceId: "),
        ({"subscriptionStatus": "yes"}, "subscriptionStatus"),
        ({"createdDateStr": "2016-06-22"}, "createdDateStr"),
        ({"createdDateStr": "22/06/2016 12:42:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 13:42:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 00:42:20 AM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 12:60:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "01/01/0001 12:00:00 AM IST"}, "createdDateStr"),
    ],
)
def test_a_subscriber_that_the_functions_would_not_take_is_refused(change: dict[str, Any], wanted: str) -> None:
    assert wanted in reason(EngagementConverter(RUN), listed(**change))

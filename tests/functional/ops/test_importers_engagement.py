"""Conversion of subscribers listed by an engagement server."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import digest, user_index_sort
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.records.items import DeviceClaim, StoredSubscriber
from tests.support.rows import EPOCH, FOREVER, RUN, listed, read_entity, reason


def test_engagement_import_keeps_ksid_and_times() -> None:
    candidate = EngagementConverter(RUN)(listed())
    assert candidate.entity == StoredSubscriber(
        record="ksid#4927562634448402412",
        ksid="4927562634448402412",
        appId="20096-6548262167",
        deviceId="800ABC1",
        sid="9002390C",
        osType="windows",
        ufid="user@example.com",
        ufid_ksid=user_index_sort("user@example.com", "4927562634448402412"),
        deviceName="Second Device",
        userAgent="agent",
        ipAddress="10.10.30.89",
        active=True,
        created_at="2016-06-22T07:12:20Z",
        updated_at="2016-06-22T07:12:20Z",
        # When it was last refreshed nobody knows, so its time begins now.
        expires_at=EPOCH + 270 * 86_400,
    )
    assert len(candidate.claims) == 2


def test_engagement_import_negative_cloud_status_is_kept() -> None:
    assert read_entity(EngagementConverter(RUN), listed(cloudStatus=False)).cloud is False


def test_engagement_import_inactive_subscriber_stays_inactive_without_ttl() -> None:
    entity = read_entity(
        EngagementConverter(FOREVER), listed(subscriptionStatus=False, ufid="", ksid="4927562634448402412")
    )
    assert (entity.active, entity.ufid, entity.expires_at) == (False, None, None)


def test_engagement_import_takes_what_functions_take() -> None:
    row = {"KSID": " 42\n", "appid": 7, "deviceID": 1, "sid": 2**63, "ostype": " iPod ", "cloudStatus": False}
    entity = read_entity(EngagementConverter(RUN), row)
    stored = (entity.ksid, entity.appId, entity.deviceId, entity.sid, entity.osType, entity.cloud, entity.active)
    assert stored == ("42", "7", "1", "9223372036854775808", "ipod", False, True)
    assert read_entity(EngagementConverter(RUN), listed(userAgent="x" * 300)).userAgent == "x" * 256
    assert read_entity(EngagementConverter(RUN), listed(osType="android", isgcm="TRUE")).osType == "androidgcm"
    assert read_entity(EngagementConverter(RUN), listed(osType="Android", isJpush=True)).osType == "androidjpush"


def test_engagement_import_inactive_subscriber_without_sid_has_one_claim() -> None:
    (claim,) = EngagementConverter(RUN)(listed(sid="", subscriptionStatus=False)).claims
    assert isinstance(claim, DeviceClaim)
    assert claim.other_claim_digest == digest("")


def test_engagement_import_named_time_zone_is_applied() -> None:
    row = listed(createdDateStr="01/02/2024 12:00:00 AM AEST")
    assert read_entity(EngagementConverter(RUN, {"AEST": "+10:00"}), row).created_at == "2024-01-01T14:00:00Z"
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
def test_engagement_import_parses_twelve_hour_times(text: str, wanted: str) -> None:
    assert read_entity(EngagementConverter(RUN), listed(createdDateStr=text)).created_at == wanted


def test_engagement_import_blackberry_device_id_loses_hex_prefix() -> None:
    row = listed(osType="BlackBerry", deviceId="0x2100000A")
    assert read_entity(EngagementConverter(RUN), row).deviceId == "2100000A"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"ksid": 2**63}, "64-bit integer"),
        ({"ksid": True}, "64-bit integer"),
        ({"ksid": None}, "64-bit integer"),
        ({"ksid": 4.9e18}, "64-bit integer"),
        ({"ksid": 0}, "64-bit integer"),
        ({"ksid": -5}, "64-bit integer"),
        ({"sid": "null"}, "sid: "),
        ({"sid": ""}, "sid: "),
        ({"userAgent": 5}, "userAgent"),
        ({"osType": "toaster"}, "osType: "),
        ({"sid": None}, "sid: "),
        ({"sid": "  "}, "sid: "),
        ({"deviceId": "x" * 256}, "deviceId: "),
        ({"subscriptionStatus": "yes"}, "subscriptionStatus"),
        ({"cloudStatus": "yes"}, "cloudStatus"),
        ({"createdDateStr": "2016-06-22"}, "createdDateStr"),
        ({"createdDateStr": "22/06/2016 12:42:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 13:42:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 00:42:20 AM IST"}, "createdDateStr"),
        ({"createdDateStr": "06/22/2016 12:60:20 PM IST"}, "createdDateStr"),
        ({"createdDateStr": "01/01/0001 12:00:00 AM IST"}, "createdDateStr"),
    ],
)
def test_engagement_import_invalid_subscriber_is_refused(change: dict[str, Any], wanted: str) -> None:
    assert wanted in reason(EngagementConverter(RUN), listed(**change))

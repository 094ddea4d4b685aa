"""Rows as other servers write them, and their conversion."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import PLACES, SUBSCRIBERS
from pushreg_local.demo import ACCOUNT_ID
from pushreg_ops.migrate.formats.kazoo import GREGORIAN_EPOCH
from pushreg_ops.migrate.formats.rows import Converter, ImportRun, RowError
from tests.support.calls import kazoo_data

# 2100-01-01T00:00:00Z: in the future, because DynamoDB Local deletes what has expired by its own clock.
EPOCH = 4_102_444_800
RUN = ImportRun(EPOCH, dict.fromkeys((PLACES, SUBSCRIBERS), 270 * 86_400))
FOREVER = ImportRun(EPOCH, {})


def document(**changes: Any) -> dict[str, Any]:
    whole = {
        "_id": "a" * 32,
        "_rev": "7-3f2a91c05d6e4b788a90b1c2d3e4f506",
        "pvt_type": "device",
        "pvt_account_id": ACCOUNT_ID,
        "pvt_created": GREGORIAN_EPOCH + 1_580_550_000,
        "pvt_modified": GREGORIAN_EPOCH + 1_580_551_872,
        "name": "Phone",
        "push_notification_subscriptions": {**kazoo_data("m-1"), "app_name": "com.acme.app", "locale": "en"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def listed(**changes: Any) -> dict[str, Any]:
    """A row of the vendor's own documentation."""
    row = {
        "ksid": 4927562634448402412,
        "appId": "20096-6548262167",
        "ufid": "user@example.com",
        "deviceId": "800ABC1",
        "deviceName": "Second Device",
        "sid": "9002390C",
        "osType": "windows",
        "phoneNo": "",
        "createdDateStr": "06/22/2016 12:42:20 PM IST",
        "userAgent": "agent",
        "ipAddress": "10.10.30.89",
        "subscriptionStatus": True,
        "cloudStatus": True,
    }
    return {name: value for name, value in (row | changes).items() if value is not None}


def read_entity(converter: Converter, row: Any) -> Any:
    candidate = converter(row)
    assert candidate is not None
    return candidate.entity


def reason(converter: Converter, row: Any) -> str:
    with pytest.raises(RowError) as caught:
        converter(row)
    return str(caught.value)

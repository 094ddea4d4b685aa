"""Conversion of device documents from Kazoo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pushreg.schema import DAY, DEVICES, digest
from pushreg_local.demo import ACCOUNT_ID
from pushreg_ops.migrate.formats.kazoo import KazooConverter
from pushreg_ops.migrate.formats.rows import ImportRun
from pushreg_ops.records.items import MobileClaim, StoredDevice
from tests.support.rows import EPOCH, RUN, document, read_entity, reason


def test_kazoo_import_keeps_ids_times_and_write_count() -> None:
    candidate = KazooConverter(RUN)({"id": "a" * 32, "key": "a" * 32, "value": {"rev": "7-x"}, "doc": document()})
    assert candidate is not None
    entity = candidate.entity
    assert isinstance(entity, StoredDevice)
    assert (entity.account_id, entity.device_id, entity.app_name) == (ACCOUNT_ID, "a" * 32, "com.acme.app")
    assert (entity.created_at, entity.updated_at) == ("2020-02-01T09:40:00Z", "2020-02-01T10:11:12Z")
    assert entity.writes == 7
    assert '"locale":"en"' in entity.document
    claim = MobileClaim(account_id=ACCOUNT_ID, record=f"mobile#{digest('m-1')}", device_id="a" * 32)
    assert candidate.claims == (claim,)
    assert candidate.owner == ("account", ACCOUNT_ID)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "x", "doc": {"_id": "x", "pvt_type": "callflow"}},
        {"id": "x", "doc": None},
        {"id": "x", "error": "not_found"},
        {"id": "_design/devices", "doc": {"_id": "_design/devices", "language": "javascript"}},
        {"doc": document(push_notification_subscriptions=None)},
        {"doc": document(pvt_deleted=True)},
    ],
    ids=["callflow", "deleted", "missing", "design", "no subscription", "soft-deleted"],
)
def test_kazoo_import_other_document_is_skipped(row: Any) -> None:
    assert KazooConverter(RUN)(row) is None


def test_kazoo_import_without_account_uses_named_account() -> None:
    row = document(pvt_account_id=None)
    assert read_entity(KazooConverter(RUN, ACCOUNT_ID), row).account_id == ACCOUNT_ID
    assert "--account" in reason(KazooConverter(RUN), row)


def test_kazoo_import_keeps_ancient_time() -> None:
    """As a server with a broken clock wrote it: in seconds since the year 0."""
    ancient = 366 * DAY + 5
    candidate = KazooConverter(ImportRun(EPOCH, {DEVICES: 30 * DAY}))(
        document(pvt_created=ancient, pvt_modified=ancient)
    )
    assert candidate is not None
    assert isinstance(candidate.entity, StoredDevice)
    assert candidate.entity.updated_at == "0001-01-01T00:00:05Z"
    assert candidate.entity.expires_at == EPOCH + 30 * DAY


def test_kazoo_import_without_times_is_untimed() -> None:
    candidate = KazooConverter(RUN)(document(pvt_created=None, pvt_modified=None))
    assert candidate is not None
    assert isinstance(candidate.entity, StoredDevice)
    assert (candidate.entity.updated_at, candidate.is_timed) == ("2100-01-01T00:00:00Z", False)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"platform": "web"}, "platform: enum"),
        ({"sip_proxy_server": None}, "sip_proxy_server: "),
        ({"mobile_device_id": ""}, "mobile_device_id: minLength"),
        ({"app_name": "a/b"}, "app_name: "),
        ({"app_name": None}, "app_name: "),
        ({"note": "\ud800"}, "invalid Unicode"),
        ({"note": Decimal("1e400")}, "a number out of range"),
        ({"app_name": Decimal("1.5")}, "app_name: "),
        ({"note": "x\x00"}, "NUL"),
        ({"note": "x" * 70_000}, "64 KiB"),
        (
            {"notification_registration_ids": {"secret": {"notification_type": "sms", "notification_preferences": []}}},
            "notification_registration_ids: enum",
        ),
    ],
)
def test_kazoo_import_invalid_subscription_is_refused_without_tokens(change: dict[str, Any], wanted: str) -> None:
    data = {**document()["push_notification_subscriptions"], **change}
    found = reason(KazooConverter(RUN), document(push_notification_subscriptions=data))
    assert wanted in found
    assert "secret" not in found


def test_kazoo_import_device_id_unsafe_in_path_is_refused() -> None:
    assert "path" in reason(KazooConverter(RUN), document(_id="a/b"))

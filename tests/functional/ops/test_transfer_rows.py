"""What each source's rows are taken for."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.models.directory import digest
from pushreg_ops.importers.engagement import EngagementConverter
from pushreg_ops.importers.kazoo import GREGORIAN_EPOCH, KazooConverter
from pushreg_ops.importers.places import PlacesConverter
from pushreg_ops.importers.pushreg import PushregConverter, to_line
from pushreg_ops.importers.rows import Converter, RowError, Run
from pushreg_ops.items import Device, Mobile, PlaceToken, Subscriber
from tests.support.calls import subscription

ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
# 2026-11-22T00:00:00Z
EPOCH = 1_795_305_600
RUN = Run(EPOCH, 270 * 86_400)
FOREVER = Run(EPOCH, 0)


def document(**changes: Any) -> dict[str, Any]:
    whole = {
        "_id": "a" * 32,
        "_rev": "7-3f2a91c05d6e4b788a90b1c2d3e4f506",
        "pvt_type": "device",
        "pvt_account_id": ACCOUNT,
        "pvt_created": GREGORIAN_EPOCH + 1_580_550_000,
        "pvt_modified": GREGORIAN_EPOCH + 1_580_551_872,
        "name": "Phone",
        "push_notification_subscriptions": {**subscription("m-1"), "app_name": "com.acme.app", "locale": "en"},
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


def read_head(converter: Converter, row: Any) -> Any:
    candidate = converter(row)
    assert candidate is not None
    return candidate.head


def reason(converter: Converter, row: Any) -> str:
    with pytest.raises(RowError) as caught:
        converter(row)
    return str(caught.value)


def test_a_device_document_keeps_ids_times_and_the_count_of_its_revision() -> None:
    candidate = KazooConverter(RUN)({"id": "a" * 32, "key": "a" * 32, "value": {"rev": "7-x"}, "doc": document()})
    assert candidate is not None
    head = candidate.head
    assert isinstance(head, Device)
    assert (head.account_id, head.device_id, head.app_name) == (ACCOUNT, "a" * 32, "com.acme.app")
    assert (head.created_at, head.updated_at) == ("2020-02-01T09:40:00Z", "2020-02-01T10:11:12Z")
    assert head.writes == 7
    assert '"locale":"en"' in head.document
    assert candidate.claims == (Mobile(account_id=ACCOUNT, record=f"mobile#{digest('m-1')}", device_id="a" * 32),)
    assert candidate.owner == ("account", ACCOUNT)


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
def test_what_is_no_subscribed_device_is_passed_over(row: Any) -> None:
    assert KazooConverter(RUN)(row) is None


def test_a_document_without_account_is_of_the_account_that_is_named() -> None:
    row = document(pvt_account_id=None)
    assert read_head(KazooConverter(RUN, ACCOUNT), row).account_id == ACCOUNT
    assert "--account" in reason(KazooConverter(RUN), row)


def test_a_document_without_times_is_stored_as_of_now_and_replaces_nothing() -> None:
    candidate = KazooConverter(RUN)(document(pvt_created=None, pvt_modified=None))
    assert candidate is not None
    assert isinstance(candidate.head, Device)
    assert (candidate.head.updated_at, candidate.is_timed) == ("2026-11-22T00:00:00Z", False)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"platform": "web"}, "platform: enum"),
        ({"sip_proxy_server": None}, "sip_proxy_server: "),
        ({"mobile_device_id": ""}, "mobile_device_id: minLength"),
        ({"app_name": "a/b"}, "app_name: "),
        ({"app_name": None}, "app_name: "),
        ({"note": "\ud800"}, "no Unicode"),
        ({"note": "x\x00"}, "NUL"),
        ({"note": "x" * 70_000}, "64 KiB"),
        (
            {"notification_registration_ids": {"secret": {"notification_type": "sms", "notification_preferences": []}}},
            "notification_registration_ids: enum",
        ),
    ],
)
def test_a_subscription_that_the_api_would_refuse_is_refused_without_its_tokens(
    change: dict[str, Any], wanted: str
) -> None:
    data = {**document()["push_notification_subscriptions"], **change}
    found = reason(KazooConverter(RUN), document(push_notification_subscriptions=data))
    assert wanted in found
    assert "secret" not in found


def test_a_device_whose_id_no_path_can_carry_is_refused() -> None:
    assert "path" in reason(KazooConverter(RUN), document(_id="a/b"))


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
    ],
)
def test_a_subscriber_that_the_functions_would_not_take_is_refused(change: dict[str, Any], wanted: str) -> None:
    assert wanted in reason(EngagementConverter(RUN), listed(**change))


@pytest.mark.parametrize(
    "row",
    [
        {"place_id": PLACE.upper(), "device_token": "tok:1"},
        {"placeId": PLACE, "token": "tok:1"},
        {"place": f" {PLACE} ", "deviceToken": "tok:1"},
    ],
)
def test_a_place_and_a_token_are_known_by_their_usual_names(row: dict[str, Any]) -> None:
    candidate = PlacesConverter(RUN)(row)
    assert candidate.head == PlaceToken(
        place_id=PLACE,
        token_digest=digest("tok:1"),
        device_token="tok:1",
        created_at="2026-11-22T00:00:00Z",
        updated_at="2026-11-22T00:00:00Z",
        expires_at=EPOCH + 270 * 86_400,
    )
    assert not candidate.is_timed


def test_a_token_with_times_keeps_them_in_utc() -> None:
    times = {"created_at": "2025-01-01T00:00:00+02:00", "updated_at": "2025-06-01T12:00:00.5Z"}
    head = read_head(PlacesConverter(RUN), {"place_id": PLACE, "device_token": "t", **times})
    assert (head.created_at, head.updated_at) == ("2024-12-31T22:00:00Z", "2025-06-01T12:00:00Z")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"place_id": "here", "device_token": "t"}, "UUID"),
        ({"place_id": PLACE, "device_token": " "}, "device_token: "),
        ({"place_id": PLACE, "device_token": "x" * 4097}, "device_token: "),
        ({"place_id": PLACE}, "device_token: "),
        ({"id": PLACE, "device_token": "t"}, "names its columns"),
        ({"place_id": PLACE, "device_token": "t", "updated_at": "yesterday"}, "ISO 8601"),
        ([PLACE, "t"], "no object"),
    ],
)
def test_a_row_without_place_or_token_is_refused(row: Any, wanted: str) -> None:
    assert wanted in reason(PlacesConverter(RUN), row)


def exported() -> list[Any]:
    heads = [
        read_head(KazooConverter(RUN), document()),
        read_head(EngagementConverter(RUN), listed()),
        read_head(EngagementConverter(FOREVER), listed(subscriptionStatus=False)),
        read_head(PlacesConverter(RUN), {"place_id": PLACE, "device_token": "t"}),
    ]
    entries = [
        {"record": f"account#{ACCOUNT}", "created_at": "2026-01-01T00:00:00Z"},
        {"record": "application#app#1", "auth_token_digest": "0" * 64, "created_at": "2026-01-01T00:00:00Z"},
        {
            "record": f"credential#{'1' * 64}",
            "key_id": "1" * 16,
            "family": "places",
            "scope": "write",
            "places": [PLACE],
            "created_at": "2026-01-01T00:00:00Z",
        },
    ]
    return [*heads, *(read_head(PushregConverter(RUN), {"family": "directory", "entry": entry}) for entry in entries)]


@pytest.mark.parametrize("head", exported(), ids=lambda head: type(head).__name__)
def test_what_is_exported_is_read_again_as_the_same(head: Any) -> None:
    assert read_head(PushregConverter(FOREVER), to_line(head)) == head


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"family": "fax"}, "family"),
        ({"expires_at": EPOCH}, "expired"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"updated_at": 5}, "ISO 8601"),
        ({"active": 1}, "active"),
    ],
)
def test_a_line_that_is_no_registration_any_more_is_refused(change: dict[str, Any], wanted: str) -> None:
    line = to_line(read_head(EngagementConverter(RUN), listed()))
    assert wanted in reason(PushregConverter(RUN), {**line, **change})

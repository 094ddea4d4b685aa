from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushreg.models.engagement import OS_TYPES, FormError, Subscribe, Unsubscribe, parse, strip_hex_prefix

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["appId", "appID", "deviceId", "sid", "osType", "ufid", "isGCM", "authToken", "ksid"])
FORM = {"appId": "app", "deviceId": "phone", "sid": "token", "osType": "iphone"}


def subscribe(**fields: Any) -> Subscribe:
    form = {name: value for name, value in (FORM | fields).items() if value != "left out"}
    parsed = parse({"subscriptionService": {"subscribe": form}})
    assert isinstance(parsed, Subscribe)
    return parsed


def unsubscribe(**fields: Any) -> Unsubscribe:
    parsed = parse({"subscriptionService": {"unsubscribe": fields}})
    assert isinstance(parsed, Unsubscribe)
    return parsed


@given(data=JSON)
def test_engagement_parse_any_data_raises_only_form_error(data: Any) -> None:
    for sent in (data, {"subscriptionService": data}, {"subscriptionService": {"subscribe": data}}):
        with contextlib.suppress(FormError):
            parse(sent)


@given(action=st.sampled_from(["subscribe", "unsubscribe"]), fields=st.dictionaries(FIELDS, JSON))
def test_engagement_parse_any_fields_raise_only_form_error(action: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(FormError):
        parse({"subscriptionService": {action: FORM | fields}})


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "subscribe",
        {},
        {"subscriptionService": None},
        {"subscriptionService": {}},
        {"subscriptionService": {"subscribe": None}},
        {"subscriptionService": {"subscribe": []}},
        {"subscriptionService": {"subscribe": [FORM, FORM]}},
        {"subscriptionService": {"subscribe": FORM, "unsubscribe": {"ksid": "1"}}},
        {"subscriptionService": [{"subscribe": FORM}, {"subscribe": FORM}]},
        {"subscribe": FORM},
        {"subscription_service": {"subscribe": FORM}},
        {"subscriptionService": {"Subscribe": FORM, "unsubscribe": {"ksid": "1"}}},
    ],
)
def test_engagement_parse_wrong_shape_is_refused(data: Any) -> None:
    with pytest.raises(FormError):
        parse(data)


def test_engagement_parse_array_of_one_is_unwrapped() -> None:
    assert parse({"subscriptionService": {"subscribe": [FORM]}}) == subscribe()
    assert parse({"subscriptionService": [{"subscribe": FORM}]}) == subscribe()


def test_engagement_member_names_match_in_any_letter_case() -> None:
    form = {"APPID": "app", "deviceID": "phone", "Sid": "token", "ostype": "iphone", "UFID": "me"}
    assert parse({"subscriptionService": {"subscribe": form}}) == subscribe(ufid="me")
    assert subscribe(SID="other") == subscribe()


@pytest.mark.parametrize("field", ["appId", "deviceId", "sid", "ufid"])
def test_engagement_integer_is_taken_as_text_with_all_digits(field: str) -> None:
    assert getattr(subscribe(**{field: 9223372036854775807123}), field) == "9223372036854775807123"


@pytest.mark.parametrize("field", ["appId", "deviceId", "sid", "osType", "ufid"])
def test_engagement_blanks_around_values_are_trimmed(field: str) -> None:
    value = FORM.get(field, "me")
    assert getattr(subscribe(**{field: f" {value}\n"}), field) == value
    assert unsubscribe(ksid=" 7 ").ksid == "7"


@pytest.mark.parametrize("text", ["null", "Undefined", "(null)", "BLACKLISTED", "[object Object]", " NaN "])
def test_engagement_text_that_stands_for_no_value_is_refused_as_sid_and_device(text: str) -> None:
    for field in ("sid", "deviceId"):
        with pytest.raises(FormError) as raised:
            subscribe(**{field: text})
        assert raised.value.fields == {field}
    assert unsubscribe(ksid="1", deviceId=text).deviceId is None
    with pytest.raises(FormError):
        unsubscribe(appId="app", deviceId=text)
    with pytest.raises(FormError):
        unsubscribe(ksid=text)


def test_engagement_blank_ufid_is_told_from_an_absent_one() -> None:
    assert subscribe().keeps_ufid
    assert not subscribe(ufid="me").keeps_ufid
    assert [subscribe(ufid=blank).keeps_ufid for blank in ("", " ", None)] == [False] * 3
    parsed = parse({"subscriptionService": {"subscribe": FORM | {"ufid": ""}}}, blank_is_absent=True)
    assert isinstance(parsed, Subscribe)
    assert parsed.keeps_ufid


@pytest.mark.parametrize("field", FORM)
@pytest.mark.parametrize("value", ["left out", None, "", " \n", 5.5, True, ["x"], {"x": "y"}])
def test_engagement_subscribe_missing_or_non_text_field_is_refused(field: str, value: Any) -> None:
    with pytest.raises(FormError):
        subscribe(**{field: value})


@pytest.mark.parametrize(("field", "longest"), [("appId", 255), ("deviceId", 255), ("ufid", 255), ("sid", 4096)])
def test_engagement_subscribe_too_long_field_is_refused(field: str, longest: int) -> None:
    assert getattr(subscribe(**{field: "x" * longest}), field) == "x" * longest
    with pytest.raises(FormError):
        subscribe(**{field: "x" * (longest + 1)})


def test_engagement_sid_limit_counts_bytes() -> None:
    assert subscribe(sid="ä" * 2048).sid
    with pytest.raises(FormError):
        subscribe(sid="ä" * 2049)


def test_engagement_app_id_is_accepted_under_both_names() -> None:
    assert subscribe(appId="left out", appID="other").appId == "other"
    assert subscribe(appID="other").appId == "app"


@pytest.mark.parametrize("os_type", sorted(OS_TYPES))
def test_engagement_os_type_is_lower_cased(os_type: str) -> None:
    assert subscribe(osType=os_type.upper()).osType == os_type


@pytest.mark.parametrize(
    ("os_type", "flag", "stored"),
    [
        ("android", "true", "androidgcm"),
        ("android", True, "androidgcm"),
        ("Android", "true", "androidgcm"),
        ("android", "false", "android"),
        ("android", False, "android"),
        ("android", "", "android"),
        ("android", None, "android"),
        ("webfcm", "true", "webfcm"),
        ("iphone", True, "iphone"),
        ("android", "TRUE", "androidgcm"),
        ("android", " False ", "android"),
    ],
)
def test_engagement_android_with_gcm_becomes_androidgcm(os_type: str, flag: Any, stored: str) -> None:
    assert subscribe(osType=os_type, isGCM=flag).osType == stored


@pytest.mark.parametrize("flag", ["true", True])
def test_engagement_android_with_jpush_becomes_androidjpush(flag: Any) -> None:
    assert subscribe(osType="android", isJpush=flag).osType == "androidjpush"
    assert subscribe(osType="android", isJpush=flag, isGCM=True).osType == "androidgcm"
    assert subscribe(osType="iphone", isJpush=flag).osType == "iphone"


def test_engagement_device_name_is_kept() -> None:
    assert subscribe(deviceName=" Second Device ").deviceName == "Second Device"
    assert subscribe(deviceName="").deviceName is None


@pytest.mark.parametrize("ksid", [None, [], 1.5, True])
def test_engagement_subscribe_ksid_of_other_type_is_ignored(ksid: Any) -> None:
    assert subscribe(ksid=ksid).ksid is None
    assert subscribe(ksid=7).ksid == "7"


@pytest.mark.parametrize("flag", ["yes", "t", 1, 0, []])
def test_engagement_non_boolean_gcm_flag_is_refused(flag: Any) -> None:
    with pytest.raises(FormError):
        subscribe(osType="android", isGCM=flag)


@pytest.mark.parametrize(
    ("device_id", "stripped"),
    [("0x2100", "2100"), ("0X2100", "2100"), ("2100", "2100"), ("0x", "0x"), ("0x0x1", "0x1")],
)
def test_engagement_blackberry_device_id_loses_hex_prefix(device_id: str, stripped: str) -> None:
    assert strip_hex_prefix(device_id) == stripped
    assert subscribe(osType="BlackBerry", deviceId=device_id).deviceId == stripped
    assert subscribe(deviceId=device_id).deviceId == device_id


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_engagement_blank_optional_field_is_none(blank: str | None) -> None:
    form = subscribe(ufid=blank, authToken=blank)
    assert (form.ufid, form.authToken) == (None, None)
    assert unsubscribe(ksid="1", appId=blank, deviceId=blank).appId is None


def test_engagement_ksid_keeps_all_digits() -> None:
    assert unsubscribe(ksid=9223372036854775807).ksid == "9223372036854775807"
    assert unsubscribe(ksid="9223372036854775807").ksid == "9223372036854775807"


@pytest.mark.parametrize("ksid", [True, 1.5, [], {}])
def test_engagement_ksid_of_other_type_is_refused(ksid: Any) -> None:
    with pytest.raises(FormError):
        unsubscribe(ksid=ksid)


@pytest.mark.parametrize("form", [{}, {"appId": "app"}, {"deviceId": "phone"}, {"ksid": " "}, {"authToken": "t"}])
def test_engagement_unsubscribe_without_subscriber_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(FormError):
        unsubscribe(**form)


def test_engagement_unknown_fields_are_ignored() -> None:
    assert subscribe(phoneNo="1") == subscribe()
    assert unsubscribe(ksid="1", deviceName="mine") == unsubscribe(ksid="1")


def test_engagement_form_repr_hides_auth_token() -> None:
    assert "hush" not in repr(subscribe(authToken="hush")) + repr(unsubscribe(ksid="1", authToken="hush"))

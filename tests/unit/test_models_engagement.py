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
def test_anything_is_a_form_or_is_refused(data: Any) -> None:
    for sent in (data, {"subscriptionService": data}, {"subscriptionService": {"subscribe": data}}):
        with contextlib.suppress(FormError):
            parse(sent)


@given(action=st.sampled_from(["subscribe", "unsubscribe"]), fields=st.dictionaries(FIELDS, JSON))
def test_any_fields_are_a_form_or_are_refused(action: str, fields: dict[str, Any]) -> None:
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
        {"subscriptionService": [{"subscribe": FORM}]},
        {"subscribe": FORM},
    ],
)
def test_other_shapes_are_refused(data: Any) -> None:
    with pytest.raises(FormError):
        parse(data)


def test_an_array_of_one_is_taken_for_its_element() -> None:
    assert parse({"subscriptionService": {"subscribe": [FORM]}}) == subscribe()


@pytest.mark.parametrize("field", FORM)
@pytest.mark.parametrize("value", ["left out", None, "", " \n", 5, True, ["x"], {"x": "y"}])
def test_each_field_is_needed_and_is_text(field: str, value: Any) -> None:
    with pytest.raises(FormError):
        subscribe(**{field: value})


@pytest.mark.parametrize(("field", "longest"), [("appId", 255), ("deviceId", 255), ("ufid", 255), ("sid", 4096)])
def test_fields_have_a_longest(field: str, longest: int) -> None:
    assert getattr(subscribe(**{field: "x" * longest}), field) == "x" * longest
    with pytest.raises(FormError):
        subscribe(**{field: "x" * (longest + 1)})


def test_a_sid_is_measured_in_bytes() -> None:
    assert subscribe(sid="ä" * 2048).sid
    with pytest.raises(FormError):
        subscribe(sid="ä" * 2049)


def test_the_application_goes_by_two_names() -> None:
    assert subscribe(appId="left out", appID="other").appId == "other"
    assert subscribe(appID="other").appId == "app"


@pytest.mark.parametrize("os_type", sorted(OS_TYPES))
def test_os_types_are_stored_in_lower_case(os_type: str) -> None:
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
    ],
)
def test_android_with_gcm_is_androidgcm(os_type: str, flag: Any, stored: str) -> None:
    assert subscribe(osType=os_type, isGCM=flag).osType == stored


@pytest.mark.parametrize("flag", ["yes", "True", 1, 0, []])
def test_gcm_is_true_or_false(flag: Any) -> None:
    with pytest.raises(FormError):
        subscribe(osType="android", isGCM=flag)


@pytest.mark.parametrize(
    ("device_id", "stripped"),
    [("0x2100", "2100"), ("0X2100", "2100"), ("2100", "2100"), ("0x", "0x"), ("0x0x1", "0x1")],
)
def test_blackberry_ids_lose_their_prefix(device_id: str, stripped: str) -> None:
    assert strip_hex_prefix(device_id) == stripped
    assert subscribe(osType="BlackBerry", deviceId=device_id).deviceId == stripped
    assert subscribe(deviceId=device_id).deviceId == device_id


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_option_says_nothing(blank: str | None) -> None:
    form = subscribe(ufid=blank, authToken=blank)
    assert (form.ufid, form.authToken) == (None, None)
    assert unsubscribe(ksid="1", appId=blank, deviceId=blank).appId is None


def test_a_ksid_keeps_all_its_digits() -> None:
    assert unsubscribe(ksid=9223372036854775807).ksid == "9223372036854775807"
    assert unsubscribe(ksid="9223372036854775807").ksid == "9223372036854775807"


@pytest.mark.parametrize("ksid", [True, 1.5, [], {}])
def test_a_ksid_is_text_or_a_whole_number(ksid: Any) -> None:
    with pytest.raises(FormError):
        unsubscribe(ksid=ksid)


@pytest.mark.parametrize("form", [{}, {"appId": "app"}, {"deviceId": "phone"}, {"ksid": " "}, {"authToken": "t"}])
def test_who_unsubscribes_is_named(form: dict[str, str]) -> None:
    with pytest.raises(FormError):
        unsubscribe(**form)


def test_unknown_fields_are_ignored() -> None:
    assert subscribe(deviceName="mine") == subscribe()
    assert unsubscribe(ksid="1", deviceName="mine") == unsubscribe(ksid="1")


def test_the_auth_token_stays_out_of_sight() -> None:
    assert "hush" not in repr(subscribe(authToken="hush")) + repr(unsubscribe(ksid="1", authToken="hush"))

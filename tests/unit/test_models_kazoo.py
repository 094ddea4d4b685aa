from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushreg.codecs import json
from pushreg.models.kazoo import (
    MAX_ECHO,
    MAX_PROBLEMS,
    Content,
    InvalidError,
    Precondition,
    Subscription,
    shorten,
)
from pushreg.schema import is_path_id
from tests.support.calls import kazoo_data

APP = "com.example.app"
MOMENT = "2024-01-01T00:00:00Z"
REVISION = "3-00112233445566778899aabbccddeeff"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=8,
)
EXTRAS = st.dictionaries(TEXT.filter(lambda name: not name.startswith(("_", "pvt_"))), JSON, max_size=4)


def content(**members: Any) -> Content:
    return Content.from_data(kazoo_data("phone") | members, APP)


def problems(**members: Any) -> dict[str, dict[str, Any]]:
    with pytest.raises(InvalidError) as caught:
        content(**members)
    return caught.value.problems


def registrations(*each: tuple[str, list[str]]) -> dict[str, Any]:
    return {
        f"token-{index}": {"notification_type": kind, "notification_preferences": preferences}
        for index, (kind, preferences) in enumerate(each)
    }


@given(extras=EXTRAS, seed=st.integers())
def test_kazoo_digest_ignores_member_order(extras: dict[str, Any], seed: int) -> None:
    data = {**extras, **kazoo_data("phone")}
    shuffled = list(data.items())
    random.Random(seed).shuffle(shuffled)
    assert Content.from_data(dict(shuffled), APP).digest == Content.from_data(data, APP).digest


@given(extras=EXTRAS, more=EXTRAS)
def test_kazoo_digest_differs_for_different_content(extras: dict[str, Any], more: dict[str, Any]) -> None:
    one = Content.from_data({**extras, **kazoo_data("phone")}, APP)
    other = Content.from_data({**more, **kazoo_data("phone")}, APP)
    assert (one.digest == other.digest) == (json.encode(sort(one.document)) == json.encode(sort(other.document)))


def sort(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: sort(data[name]) for name in sorted(data)}
    return [sort(each) for each in data] if isinstance(data, list) else data


@given(extras=EXTRAS)
def test_kazoo_stored_document_round_trips(extras: dict[str, Any]) -> None:
    kept = Content.from_data({**extras, **kazoo_data("phone")}, APP)
    assert Content.from_data(kept.document, APP) == kept
    assert Content.from_data(json.decode(json.encode(kept.document)), APP) == kept
    assert kept.document == {**extras, **kazoo_data("phone"), "app_name": APP}


def test_kazoo_private_members_are_dropped_and_app_name_is_from_path() -> None:
    given_data = {"_id": "1", "pvt_type": "device", "app_name": "other", "pvtx": 1, "nested": {"_kept": 1}}
    kept = content(**given_data)
    assert kept.app_name == APP
    assert kept.document == {**kazoo_data("phone"), "pvtx": 1, "nested": {"_kept": 1}, "app_name": APP}


def test_kazoo_content_does_not_modify_input() -> None:
    data = {**kazoo_data("phone"), "_id": "1", "app_name": "other"}
    before = copy.deepcopy(data)
    Content.from_data(data, APP)
    assert data == before


def damage(data: Any, draw: Any) -> None:
    """Replace, remove or add one member somewhere."""
    place = data
    while True:
        name = draw(st.sampled_from(sorted(place))) if place else draw(TEXT)
        inner = place.get(name)
        if isinstance(inner, dict) and draw(st.booleans()):
            place = inner
            continue
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove":
            place.pop(name, None)
        else:
            place[name if action == "replace" else draw(TEXT)] = draw(JSON)
        return


@given(data=st.data())
def test_kazoo_damaged_data_is_accepted_or_problems_are_named(data: st.DataObject) -> None:
    sent = kazoo_data("phone")
    for _ in range(data.draw(st.integers(1, 3))):
        damage(sent, data.draw)
    try:
        Content.from_data(sent, APP)
    except InvalidError as error:
        assert error.message in ("validation error", "invalid data")  # noqa: PT017 Most damage is none.
        assert error.problems  # noqa: PT017
        json.encode(error.problems)


def test_kazoo_problems_are_keyed_by_flattened_path() -> None:
    found = problems(
        mobile_device_id="",
        platform=5,
        sip_proxy_server=None,
        notification_registration_ids={
            "a.b": {"notification_type": "sms", "notification_preferences": ["chat", "sms"]},
            "c": {"notification_preferences": "chat"},
            "d": [],
            "": {"notification_type": "apns", "notification_preferences": []},
        },
    )
    assert {path: list(fault) for path, fault in found.items()} == {
        "mobile_device_id": ["minLength"],
        "platform": ["type"],
        "sip_proxy_server": ["type"],
        "notification_registration_ids": ["minLength"],
        "notification_registration_ids.a%2Eb.notification_type": ["enum"],
        "notification_registration_ids.a%2Eb.notification_preferences.1": ["enum"],
        "notification_registration_ids.c.notification_type": ["required"],
        "notification_registration_ids.c.notification_preferences": ["type"],
        "notification_registration_ids.d": ["type"],
    }
    assert found["platform"]["type"]["target"] == "string"
    assert found["notification_registration_ids.d"]["type"]["target"] == "object"
    assert found["notification_registration_ids.c.notification_preferences"]["type"]["target"] == "array"


@pytest.mark.parametrize(
    ("platform", "each", "evidence"),
    [
        ("android", [("fcm", ["chat", "chat"])], {"duplicates": ["chat"]}),
        ("android", [("fcm", ["chat"]), ("apns", ["chat", "incoming_call"])], {"duplicates": ["chat"]}),
        ("ios", [("apns", ["chat"]), ("fcm", ["incoming_call"])], {"notification_type": "fcm"}),
        ("ios", [("fcm", ["chat", "incoming_call"]), ("apns", ["chat"])], {"duplicates": ["chat"]}),
    ],
)
def test_kazoo_conflicting_preferences_are_refused(
    platform: str, each: list[tuple[str, list[str]]], evidence: dict[str, Any]
) -> None:
    found = problems(platform=platform, notification_registration_ids=registrations(*each))
    fault = found["notification_preferences"]["invalid"]
    assert {name: value for name, value in fault.items() if name != "message"} == evidence


@pytest.mark.parametrize(
    ("platform", "each"),
    [
        ("android", [("fcm", ["incoming_call"])]),
        ("ios", [("apns", ["incoming_call"]), ("fcm", ["chat"])]),
        ("ios", []),
        ("android", [("fcm", [])]),
    ],
)
def test_kazoo_compatible_preferences_are_accepted(platform: str, each: list[tuple[str, list[str]]]) -> None:
    assert content(platform=platform, notification_registration_ids=registrations(*each)).digest


def test_kazoo_revision_is_write_count_and_digest() -> None:
    kept = content()
    assert Subscription("desk", kept, 7, MOMENT, MOMENT, None).revision == f"7-{kept.digest}"
    assert len(kept.digest) == 32


@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({}, True),
        ({"if-match": f'"{REVISION}"'}, True),
        ({"if-match": "*"}, True),
        ({"if-match": f' "1-a" , "{REVISION}"'}, True),
        ({"if-match": '"1-a"'}, False),
        ({"if-match": REVISION}, False),
        ({"if-match": f'W/"{REVISION}"'}, False),
        ({"if-match": ""}, False),
        ({"if-none-match": '"1-a"'}, True),
        ({"if-none-match": f'"{REVISION}"'}, False),
        ({"if-none-match": f'W/"{REVISION}"'}, False),
        ({"if-none-match": "*"}, False),
        ({"if-match": f'"{REVISION}"', "if-none-match": f'"{REVISION}"'}, False),
        ({"if-match": ",".join(f'"{n}-a"' for n in range(200)) + f',"{REVISION}"'}, True),
    ],
)
def test_kazoo_precondition_compares_revision(headers: dict[str, str], holds: bool) -> None:
    assert Precondition.from_headers(headers).holds(REVISION) is holds


@pytest.mark.parametrize("text", ["a", "desk-1", "com.example.app", "x" * 255, "a b", "~!$&'()*+,;=:@"])
def test_kazoo_printable_ascii_id_is_accepted(text: str) -> None:
    assert is_path_id(text)


@pytest.mark.parametrize("text", ["", "x" * 256, "a/b", "a#b", "a%b", "a?b", 'a"b', "a\\b", "ä", "a\n", "\x7f", "\x00"])
def test_kazoo_id_unsafe_in_path_is_refused(text: str) -> None:
    assert not is_path_id(text)


def test_kazoo_problems_are_limited() -> None:
    found = problems(
        notification_registration_ids={
            "t" * 30_000: {"notification_type": "fcm", "notification_preferences": ["x" * 300] * 5_000},
        }
        | {str(index): {"notification_type": "fcm"} for index in range(100)}
    )
    assert len(found) <= MAX_PROBLEMS
    assert max(map(len, found)) == MAX_ECHO
    assert len(json.encode(found)) < MAX_PROBLEMS * 2 * MAX_ECHO + 10_000


@pytest.mark.parametrize(
    ("value", "echoed"),
    [
        ("x" * 201, "x" * 200),
        ({"a": 1}, {"a": 1}),
        (5, 5),
        (None, None),
        (["x" * 300], '["' + "x" * 198),
    ],
)
def test_kazoo_echoed_value_is_cut(value: Any, echoed: Any) -> None:
    assert shorten(value) == echoed

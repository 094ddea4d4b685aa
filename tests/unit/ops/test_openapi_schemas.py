"""The schemas of the OpenAPI document accept what the models accept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pushreg.models.engagement import FormError, parse
from pushreg.models.kazoo import Content, InvalidError
from pushreg.models.places import TokenBody
from pushreg.models.text import PLACEHOLDERS, is_placeholder
from tests.support.contract.declaration import FILE, Document

DOCUMENT = Document(FILE.read_text("utf-8"))
PREFERENCES = ["chat", "incoming_call", "new_unowned_voicemail", "new_voicemail"]

texts = st.text(st.sampled_from("aZ0 _ж\U0001f600\t\n"), max_size=5)
long_texts = st.sampled_from(["x" * 255, "x" * 256, "x" * 4096, "x" * 4097])
# 1.0 is left out: JSON Schema takes it for an integer, a KSID has no point.
others = st.sampled_from([None, True, 5, 1.5, [], {}, [""], {"a": 1}])
anything = st.one_of(texts, long_texts, others)


def fits(name: str, value: Any) -> bool:
    return not DOCUMENT.check({"$ref": f"#/components/schemas/{name}"}, value)


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any], times: int = 12) -> st.SearchStrategy[Any]:
    return st.integers(0, times).flatmap(lambda number: usual if number else odd)


def objects(
    required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    """Mostly complete, with members that are mostly what they are to be, and some that nobody knows."""
    members = {name: mostly(each, anything) for name, each in (required | optional).items()}
    rest = {name: members[name] for name in optional} | {"other": anything}
    complete = st.fixed_dictionaries({name: members[name] for name in required}, optional=rest)
    return mostly(complete, st.fixed_dictionaries({}, optional=members))


words = st.text(st.sampled_from("aZ0_ж\U0001f600"), min_size=1, max_size=5)
placeholders = st.sampled_from([*PLACEHOLDERS, " NULL ", "nullx", "(nil)", "{length = 1, bytes = 0x1}"])
ids = mostly(words, texts | long_texts | placeholders)
values = ids | st.integers(0, 2**63)
os_types = mostly(st.sampled_from(["iphone", "iPad", "ANDROID", "windows8", " iPod ", "iwatch\n"]), texts)
flags = st.sampled_from(["true", "false", " True", "", " ", False, None, "t"])
subscribe = objects(
    {"appId": values, "deviceId": values, "sid": values, "osType": os_types},
    {"ufid": values, "deviceName": values, "ksid": values, "isGCM": flags, "isJpush": flags, "authToken": texts},
)
unsubscribe = objects({}, {"ksid": values, "appId": values, "deviceId": values, "authToken": texts})


services = st.one_of(
    st.fixed_dictionaries({"subscribe": subscribe}, optional={"other": anything}),
    st.fixed_dictionaries({"unsubscribe": unsubscribe}),
)
both = st.fixed_dictionaries({"subscribe": subscribe, "unsubscribe": unsubscribe})


@given(objects({"subscriptionService": mostly(services, both)}, {}))
def test_openapi_engagement_schema_agrees_with_parser(body: Any) -> None:
    try:
        parse(body)
        accepted = True
    except FormError:
        accepted = False
    assert fits("SubscriptionRequest", body) == accepted


@given(texts | placeholders)
def test_openapi_no_token_agrees_with_rule(text: str) -> None:
    assert fits("NoToken", text) == is_placeholder(text)


@given(objects({"device_token": ids}, {}))
def test_openapi_places_schema_agrees_with_model(body: Any) -> None:
    try:
        TokenBody.model_validate(body)
        accepted = True
    except ValidationError:
        accepted = False
    assert fits("PlaceRegistration", body) == accepted


registration = objects(
    {
        "notification_preferences": st.lists(mostly(st.sampled_from(PREFERENCES), texts), max_size=2),
        "notification_type": mostly(st.sampled_from(["apns", "fcm"]), texts),
    },
    {},
)
data = objects(
    {
        "mobile_device_id": ids,
        "notification_registration_ids": st.dictionaries(ids, registration, max_size=2),
        "platform": mostly(st.sampled_from(["android", "ios"]), texts),
        "sip_proxy_server": ids,
    },
    {"app_name": anything},
)


@given(data)
def test_openapi_kazoo_schema_agrees_with_model(body: dict[str, Any]) -> None:
    try:
        Content.from_data(body, "an-app").check_identifiers("a-device")
        accepted = True
    except InvalidError as error:
        # The one rule that JSON Schema has no word for: what stands in one registration must not in another.
        if error.message == "invalid data" and "duplicates" in str(error.problems) and not repeats_within(body):
            return
        accepted = False
    assert fits("KazooEnvelope", {"data": body}) == accepted


def repeats_within(body: dict[str, Any]) -> bool:
    registrations = body["notification_registration_ids"].values()
    return any(max(Counter(each["notification_preferences"]).values(), default=0) > 1 for each in registrations)


@pytest.mark.parametrize(
    ("verb", "needs_data"),
    [("GET", False), ("delete", False), ("Put", True), ("POST", True), ("", True), (5, True), (None, True)],
)
def test_openapi_kazoo_tunnelled_verb_requires_data(verb: Any, needs_data: bool) -> None:
    assert fits("KazooTunnel", {"verb": verb}) != needs_data


def test_openapi_kazoo_unknown_verb_is_invalid() -> None:
    assert not fits("KazooTunnel", {"verb": "PATCH", "data": {}})

"""Feedback and lookup: what becomes of the registrations that a sender reports, and what it finds (docs/sending.md)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pushreg.clock import to_iso
from pushreg.models.directory import Credential
from pushreg.schema import DAY, DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest, ksid_key, place_key
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.calls import APPLICATION, Engagement, Kazoo, Modern, Places, Senders, answered
from tests.support.clients import overtake_writes
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire, interpose, refuse

DAYS = {f"{family}_STALE_AFTER_DAYS": "270" for family in ("KAZOO", "ENGAGEMENT", "PLACES")}
ENVIRONMENT = {"STALE_AFTER_DAYS": "270", **DAYS}
DEAD = {"provider": "fcm", "code": "UNREGISTERED"}


class Api:
    """All families, over a clock that stands still."""

    def __init__(self, client: Any, time: Time) -> None:
        self.send = Gateway(client, ENVIRONMENT, **time.options()).send
        self.kazoo = Kazoo(self.send)
        self.engagement = Engagement(self.send)
        self.places = Places(self.send)
        self.senders = Senders(self.send)
        self._time = time

    def at(self, seconds: int = 0) -> str:
        """Return the time so many seconds from now."""
        return to_iso(self._time.moment + timedelta(seconds=seconds))

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self._time.moment += timedelta(seconds=seconds)

    def report(self, **entry: Any) -> dict[str, Any]:
        """Report one result and return what became of it."""
        reply = self.senders.report(entry)
        assert reply.status == 200
        (result,) = reply.json["results"]
        assert isinstance(result, dict)
        return result

    def find(self, **address: Any) -> list[dict[str, Any]]:
        """Look one address up and return its tokens."""
        reply = self.senders.look_up(address)
        assert reply.status == 200
        assert reply.json["cursor"] is None
        (result,) = reply.json["results"]
        assert (result["address"], result["status"]) == (0, "ok")
        tokens: list[dict[str, Any]] = result["tokens"]
        return tokens


@pytest.fixture
def api(client: Any, empty: Stored, time: Time) -> Api:
    return Api(client, time)


def place_report(token: str = "token", **members: Any) -> dict[str, Any]:
    return {"place_id": PLACE_ID, "device_token": token, **DEAD, **members}


def test_feedback_on_dead_token_of_place_removes_row(api: Api, empty: Stored) -> None:
    api.places.put("token")
    api.places.put("other")
    api.wait(1)
    assert api.report(**place_report(at=api.at())) == {"status": "removed"}
    assert [row["device_token"] for row in empty.settled(PLACES)] == ["other"]
    assert api.report(**place_report(at=api.at())) == {"status": "absent"}


@pytest.mark.parametrize("seconds", [0, -1, -3600])
def test_feedback_on_place_token_registered_since_keeps_row(seconds: int, api: Api, empty: Stored) -> None:
    api.places.put("token")
    before = empty.snapshot(PLACES)
    assert api.report(**place_report(at=api.at(seconds))) == {"status": "newer"}
    assert empty.snapshot(PLACES) == before


def test_feedback_on_place_token_refreshed_since_keeps_row(api: Api, empty: Stored) -> None:
    api.places.put("token")
    api.wait(10)
    sent_at = api.at()
    api.wait(1)
    api.places.put("token")
    assert api.report(**place_report(at=sent_at)) == {"status": "newer"}
    assert len(empty.settled(PLACES)) == 1


def test_feedback_from_clock_ahead_never_removes_registration_of_now(api: Api, empty: Stored) -> None:
    api.places.put("token")
    assert api.report(**place_report(at=api.at(200))) == {"status": "newer"}
    assert api.report(**place_report(at=api.at(301))) == {"status": "invalid", "reason": "at is in the future"}
    assert len(empty.settled(PLACES)) == 1


def test_feedback_on_expired_token_of_place_returns_absent(api: Api) -> None:
    api.places.put("token")
    api.wait(271 * DAY)
    assert api.report(**place_report(at=api.at())) == {"status": "absent"}
    assert api.report(**place_report(code="ok")) == {"status": "absent"}


def test_feedback_ok_on_place_token_renews_expiry_once_a_day(api: Api, empty: Stored) -> None:
    api.places.put("token")
    before = empty.token("token") or {}
    api.wait(3600)
    assert api.report(**place_report(code="ok")) == {"status": "renewed"}
    assert empty.token("token") == before
    api.wait(DAY)
    assert api.report(**place_report(code="ok")) == {"status": "renewed"}
    assert empty.token("token") == {**before, "expires_at": before["expires_at"] + DAY + 3600}
    assert api.report(**place_report("unknown", code="ok")) == {"status": "absent"}
    assert len(empty.settled(PLACES)) == 1


def test_feedback_on_dead_sid_leaves_subscriber_out_until_new_sid(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid", ufid="me"))[1]
    api.wait(1)
    report = {"ksid": ksid, "sid": "sid", "provider": "apns", "code": "Unregistered", "at": api.at()}
    assert api.report(**report) == {"status": "removed"}
    assert api.report(**report) == {"status": "removed"}
    assert (empty.subscriber(ksid) or {})["cloud"] is False
    empty.settled(SUBSCRIBERS)
    assert api.find(ksid=ksid) == api.find(application=APPLICATION, ufid="me") == []
    api.wait(1)
    api.engagement.subscribe("phone", "new-sid", ufid="me")
    assert [token["sid"] for token in api.find(ksid=ksid)] == ["new-sid"]
    assert api.report(**report) == {"status": "newer"}
    assert [token["sid"] for token in api.find(ksid=ksid)] == ["new-sid"]


@pytest.mark.parametrize("changes", [{}, {"ufid": "other"}, {"deviceId": "tablet"}], ids=["same", "user", "device"])
def test_subscribe_with_dead_sid_makes_subscriber_living_again(
    changes: dict[str, str], api: Api, empty: Stored
) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid", ufid="me"))[1]
    api.wait(2)
    report = {"ksid": ksid, "sid": "sid", **DEAD, "at": api.at(-1)}
    assert api.report(**report) == {"status": "removed"}
    again = api.engagement.subscribe("phone", "sid", **{"ufid": "me", **changes})
    assert answered(again) == ("200", ksid, "Update successful.")
    assert "cloud" not in (empty.subscriber(ksid) or {})
    assert [token["sid"] for token in api.find(ksid=ksid)] == ["sid"]
    assert api.report(**report) == {"status": "newer"}
    assert len(api.find(ksid=ksid)) == 1
    assert len(empty.settled(SUBSCRIBERS)) == 3
    repeated = api.engagement.subscribe("phone", "sid", **{"ufid": "me", **changes})
    assert answered(repeated)[::2] == ("201", "Duplicate subscription. SID element has ID of existing subscription.")


def test_operator_activating_subscriber_keeps_verdict(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    api.wait(1)
    assert api.report(ksid=ksid, sid="sid", **DEAD, at=api.at()) == {"status": "removed"}
    modern = Modern(api.send)
    marks = set()
    for active in (False, True):
        assert modern.set_active(ksid, active).status == 200
        marks.add((empty.subscriber(ksid) or {})["operator_write"])
    assert len(marks) == 2
    assert api.find(ksid=ksid) == []
    api.engagement.subscribe("phone", "sid")
    assert (empty.subscriber(ksid) or {})["operator_write"] in marks
    empty.settled(SUBSCRIBERS)


def test_feedback_on_subscriber_whose_device_was_taken_marks_sid_dead(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    api.engagement.unsubscribe(ksid=ksid)
    api.engagement.subscribe("tablet", "other")
    api.engagement.subscribe("phone", "other")
    assert (empty.subscriber(ksid) or {})["deviceId"] == ""
    api.wait(1)
    assert api.report(ksid=ksid, sid="sid", **DEAD, at=api.at()) == {"status": "removed"}
    assert (empty.subscriber(ksid) or {})["cloud"] is False
    empty.settled(SUBSCRIBERS)


def test_feedback_on_sid_taken_back_since_keeps_subscriber(api: Api) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    api.wait(1)
    sent_at = api.at()
    api.wait(1)
    api.engagement.subscribe("phone", "new-sid")
    api.engagement.subscribe("phone", "sid")
    assert api.report(ksid=ksid, sid="sid", **DEAD, at=sent_at) == {"status": "newer"}
    assert len(api.find(ksid=ksid)) == 1


def test_feedback_on_subscriber_updated_before_the_write_keeps_it(
    api: Api, empty: Stored, wire: Wire, time: Time
) -> None:
    others = Api(empty.client, time)
    ksid = answered(others.engagement.subscribe("phone", "sid"))[1]
    api.wait(10)
    wire.fail(interpose(lambda: others.engagement.subscribe("phone", "sid", deviceName="Mine")), "TransactWriteItems")
    assert api.report(ksid=ksid, sid="sid", at=api.at(-5), **DEAD) == {"status": "newer"}
    assert wire.pending == 0
    assert len(empty.settled(SUBSCRIBERS)) == 3
    assert [token["sid"] for token in api.find(ksid=ksid)] == ["sid"]


def test_feedback_ok_on_subscriber_renews_it_with_claims(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid", ufid="me"))[1]
    expiries = {item["expires_at"] for item in empty.settled(SUBSCRIBERS)}
    api.wait(3600)
    assert api.report(ksid=ksid, sid="sid", code="ok") == {"status": "renewed"}
    assert {item["expires_at"] for item in empty.settled(SUBSCRIBERS)} == expiries
    api.wait(DAY)
    assert api.report(ksid=int(ksid), sid="sid", code="ok") == {"status": "renewed"}
    assert {item["expires_at"] - DAY - 3600 for item in empty.settled(SUBSCRIBERS)} == expiries
    assert api.report(ksid=ksid, sid="old-sid", code="ok") == {"status": "newer"}
    assert api.report(ksid="1" * 19, sid="sid", code="ok") == {"status": "absent"}


def kazoo_report(registration_id: str, **members: Any) -> dict[str, Any]:
    address = {"account_id": ACCOUNT_ID, "device_id": "desk", "registration_id": registration_id}
    return {**address, **DEAD, **members}


def subscribe_desk(api: Api, *registration_ids: str, verb: str = "PUT") -> None:
    preferences = iter(["chat", "incoming_call", "new_voicemail"])
    data = {
        "mobile_device_id": "phone",
        "notification_registration_ids": {
            each: {"notification_preferences": [next(preferences)], "notification_type": "fcm"}
            for each in registration_ids
        },
        "platform": "android",
        "sip_proxy_server": "192.0.2.9",
    }
    assert api.kazoo.call(verb, "desk", data).status == {"PUT": 201, "POST": 200}[verb]


def test_feedback_on_kazoo_registration_ids_drops_each_then_subscription(api: Api, empty: Stored) -> None:
    subscribe_desk(api, "one", "two", "three")
    api.wait(1)
    reply = api.senders.report(kazoo_report("one", at=api.at()), kazoo_report("two", at=api.at()))
    assert reply.json["results"] == [{"status": "removed"}, {"status": "removed"}]
    found = api.kazoo.get("desk").json
    assert list(found["data"]["notification_registration_ids"]) == ["three"]
    assert found["revision"].startswith("3-")
    empty.settled(DEVICES)
    assert api.report(**kazoo_report("one", at=api.at())) == {"status": "absent"}
    assert api.report(**kazoo_report("three", at=api.at())) == {"status": "removed"}
    assert empty.settled(DEVICES) == []
    assert api.report(**kazoo_report("three", at=api.at())) == {"status": "absent"}


def test_feedback_on_kazoo_device_registered_since_keeps_it(api: Api, empty: Stored) -> None:
    subscribe_desk(api, "one", "two")
    before = empty.snapshot(DEVICES)
    assert api.report(**kazoo_report("one", at=api.at())) == {"status": "newer"}
    assert api.report(**kazoo_report("one", code="ok")) == {"status": "renewed"}
    assert api.report(**kazoo_report("none", code="ok")) == {"status": "absent"}
    assert empty.snapshot(DEVICES) == before


@pytest.mark.parametrize("days", [0, 2])
def test_feedback_on_kazoo_device_registered_anew_before_the_write_keeps_it(
    days: int, api: Api, empty: Stored, wire: Wire, time: Time
) -> None:
    others = Api(empty.client, time)
    subscribe_desk(others, "one")
    api.wait(days * DAY + 10)

    def register_anew() -> None:
        if not days:
            others.kazoo.delete("desk")
        # After a day, an unchanged subscription is refreshed.
        subscribe_desk(others, "one", verb="POST" if days else "PUT")

    wire.fail(interpose(register_anew), "TransactWriteItems")
    assert api.report(**kazoo_report("one", at=api.at(-5))) == {"status": "newer"}
    assert wire.pending == 0
    assert len(empty.settled(DEVICES)) == 2
    assert len(api.find(account_id=ACCOUNT_ID, device_id="desk")) == 1


def test_feedback_ok_on_kazoo_device_renews_it_with_claim(api: Api, empty: Stored) -> None:
    subscribe_desk(api, "one")
    before = {item["record"]: item["expires_at"] for item in empty.settled(DEVICES)}
    api.wait(3600)
    assert api.report(**kazoo_report("one", code="ok")) == {"status": "renewed"}
    assert {item["record"]: item["expires_at"] for item in empty.settled(DEVICES)} == before
    api.wait(DAY)
    assert api.report(**kazoo_report("one", code="ok")) == {"status": "renewed"}
    renewed = {record: expires_at + DAY + 3600 for record, expires_at in before.items()}
    assert {item["record"]: item["expires_at"] for item in empty.settled(DEVICES)} == renewed
    assert len(renewed) == 2
    api.wait(271 * DAY)
    assert api.report(**kazoo_report("one", code="ok")) == {"status": "absent"}
    assert api.find(account_id=ACCOUNT_ID, device_id="desk") == []


def test_feedback_on_kazoo_leaves_revision_of_full_replacement(api: Api) -> None:
    subscribe_desk(api, "one", "two")
    api.wait(1)
    api.report(**kazoo_report("one", at=api.at()))
    document = api.kazoo.get("desk").json
    unchanged = api.kazoo.call("POST", "desk", document["data"])
    assert unchanged.json["revision"] == document["revision"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"code": "INVALID_ARGUMENT"}, "not a verdict on the token"),
        ({"code": "QUOTA_EXCEEDED"}, "not a verdict on the token"),
        ({"provider": "apns", "code": "TooManyRequests"}, "not a verdict on the token"),
        ({"provider": "webpush", "code": 429}, "not a verdict on the token"),
        ({"provider": "wns", "code": "503"}, "not a verdict on the token"),
        ({"code": "unregistered"}, "unknown code"),
        ({"provider": "apns", "code": "UNREGISTERED"}, "unknown code"),
        ({"provider": "mpns", "code": "404"}, "unknown provider"),
        ({"provider": "FCM"}, "unknown provider"),
    ],
)
def test_feedback_with_other_code_keeps_registration(
    members: dict[str, Any], reason: str, api: Api, empty: Stored
) -> None:
    api.places.put("token")
    api.wait(1)
    assert api.report(**place_report(**{"at": api.at(), **members})) == {"status": "kept", "reason": reason}
    assert len(empty.settled(PLACES)) == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("text", "not an object"),
        ({}, "an entry has exactly one of: place_id, ksid, account_id"),
        ({"place_id": PLACE_ID, "ksid": "1"}, "an entry has exactly one of: place_id, ksid, account_id"),
        (place_report(at="yesterday"), "at must be a time in ISO 8601 with its offset, as in 2026-11-26T23:24:09Z"),
        (place_report(at="2026-11-26T23:24:09"), "at must be a time in ISO 8601 with its offset"),
        (place_report(at="2026-13-26T23:24:09Z"), "at must be a time in ISO 8601 with its offset"),
        (place_report(at=1), "at is malformed"),
        (place_report(), "at is missing"),
        ({**place_report(), "provider": None}, "provider is missing"),
        ({"place_id": PLACE_ID, "device_token": "token"}, "code is missing"),
        ({**place_report(), "place_id": "kitchen"}, "place_id must be a UUID"),
        ({**place_report(), "device_token": ""}, "device_token is malformed"),
        ({**place_report(), "device_token": "x" * 4097}, "device_token must not be longer than 4096 bytes"),
        ({"ksid": "0", "sid": "sid", **DEAD}, "ksid must be a KSID"),
        ({"ksid": 1.5, "sid": "sid", **DEAD}, "ksid is malformed"),
        ({"ksid": "1", **DEAD}, "sid is missing"),
        ({**kazoo_report("one"), "account_id": "short"}, "account_id must be an account id"),
        ({**kazoo_report("one"), "device_id": "a/b"}, "device_id must be a device id"),
    ],
)
def test_feedback_malformed_entry_does_not_touch_others(entry: Any, reason: str, api: Api, empty: Stored) -> None:
    api.places.put("good")
    api.wait(1)
    reply = api.senders.report(entry, place_report("good", at=api.at()))
    assert reply.status == 200
    first, second = reply.json["results"]
    assert first["status"] == "invalid"
    assert first["reason"].startswith(reason)
    assert second == {"status": "removed"}
    assert empty.settled(PLACES) == []


def test_feedback_entry_with_null_members_of_other_kinds_is_applied(api: Api, empty: Stored) -> None:
    api.places.put("token")
    api.wait(1)
    others: dict[str, Any] = dict.fromkeys(("ksid", "sid", "account_id", "device_id", "registration_id"))
    assert api.report(**place_report(at=api.at(), **others)) == {"status": "removed"}
    assert empty.settled(PLACES) == []


@pytest.mark.parametrize("body", [[], {}, {"results": {}}, {"results": []}, {"results": [{}] * 101}, 1, None])
def test_feedback_body_of_other_form_returns_400(body: Any, api: Api) -> None:
    reply = api.senders._call("feedback", body)
    assert (reply.status, reply.json["error"]) == (400, "Bad Request")


def issue(stored: Stored, name: str, **reach: Any) -> str:
    """Store a sender's key of this reach and return its secret."""
    credential = Credential(digest(name), "senders", "sender", "2026-01-01T00:00:00Z", **reach)
    DirectoryWriter(stored.client, DIRECTORY).add(credential)
    return name


def test_sender_key_of_one_application_reaches_only_it(api: Api, empty: Stored) -> None:
    other = Engagement(api.send, "VoltMX Foundry MessagingDEV")
    own, foreign = (answered(each.subscribe("phone", "sid", ufid="me"))[1] for each in (api.engagement, other))
    api.places.put("token")
    api.wait(1)
    senders = Senders(api.send, issue(empty, "one application's", applications=frozenset({APPLICATION})))
    addresses = (
        {"ksid": own},
        {"ksid": foreign},
        {"application": APPLICATION, "ufid": "me"},
        {"application": "VoltMX Foundry MessagingDEV", "ufid": "me"},
        {"application": "VoltMX Foundry MessagingDEV", "device_id": "phone"},
        {"place_id": PLACE_ID},
        {"account_id": ACCOUNT_ID, "device_id": "desk"},
    )
    results = senders.look_up(*addresses).json["results"]
    assert [result["status"] for result in results] == ["ok", "ok", "ok", "denied", "denied", "denied", "denied"]
    assert [len(result.get("tokens", ())) for result in results] == [1, 0, 1, 0, 0, 0, 0]
    verdict = {**DEAD, "at": api.at()}
    results = senders.report(
        {"ksid": foreign, "sid": "sid", **verdict},
        {"ksid": foreign, "sid": "sid", "code": "ok"},
        place_report(at=api.at()),
        kazoo_report("one", at=api.at()),
        {"ksid": own, "sid": "sid", "code": "ok"},
        {"ksid": own, "sid": "sid", **verdict},
    ).json["results"]
    assert [each["status"] for each in results[:4]] == ["absent", "absent", "denied", "denied"]
    assert len(api.find(ksid=foreign)) == 1
    assert len(empty.settled(PLACES)) == 1
    assert api.find(ksid=own) == []


def test_sender_key_of_one_place_or_account_reaches_only_it(api: Api, empty: Stored) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    api.places.put("token")
    subscribe_desk(api, "one")
    of_place = Senders(api.send, issue(empty, "one place's", places=frozenset({PLACE_ID})))
    of_account = Senders(api.send, issue(empty, "one account's", account_id=ACCOUNT_ID))
    of_others = Senders(api.send, issue(empty, "others'", places=frozenset({PLACE_ID[::-1]}), account_id="x" * 32))
    addresses = ({"place_id": PLACE_ID}, {"account_id": ACCOUNT_ID, "device_id": "desk"}, {"ksid": ksid})
    for senders, statuses in (
        (of_place, ["ok", "denied", "denied"]),
        (of_account, ["denied", "ok", "denied"]),
        (of_others, ["denied", "denied", "denied"]),
    ):
        results = senders.look_up(*addresses).json["results"]
        assert [result["status"] for result in results] == statuses
        assert [len(result.get("tokens", ())) for result in results] == [int(each == "ok") for each in statuses]
    assert of_place.list_place().status == 200
    assert (of_account.list_place().status, of_others.list_place().status) == (403, 403)


def test_lookup_returns_what_a_sender_needs(api: Api) -> None:
    api.places.put("token")
    ksid = answered(api.engagement.subscribe("phone", "sid", ufid="me", osType="iphone"))[1]
    subscribe_desk(api, "one")
    now = {"created_at": api.at(), "updated_at": api.at()}
    assert api.find(place_id=PLACE_ID.upper()) == [
        {"place_id": PLACE_ID, "device_token": "token", "provider": "fcm", **now}
    ]
    subscriber = {
        "ksid": ksid,
        "sid": "sid",
        "provider": "apns",
        "platform": "iphone",
        "application": APPLICATION,
        "device_id": "phone",
        "ufid": "me",
        **now,
    }
    assert api.find(ksid=ksid) == [subscriber]
    assert api.find(application=APPLICATION, ufid="me") == [subscriber]
    assert api.find(application=APPLICATION, device_id="phone") == [subscriber]
    assert api.find(account_id=ACCOUNT_ID, device_id="desk") == [
        {
            "account_id": ACCOUNT_ID,
            "device_id": "desk",
            "registration_id": "one",
            "provider": "fcm",
            "platform": "android",
            "preferences": ["chat"],
            "app_name": "com.example.softphone",
            "sip_proxy_server": "192.0.2.9",
            **now,
        }
    ]


def test_lookup_leaves_out_inactive_and_expired(api: Api) -> None:
    gone = answered(api.engagement.subscribe("phone", "sid", ufid="me"))[1]
    api.engagement.unsubscribe(ksid=gone)
    old = answered(api.engagement.subscribe("old-phone", "old-sid", ufid="me"))[1]
    api.places.put("old")
    api.wait(271 * DAY)
    fresh = answered(api.engagement.subscribe("new-phone", "new-sid", ufid="me"))[1]
    api.places.put("new")
    assert [token["ksid"] for token in api.find(application=APPLICATION, ufid="me")] == [fresh]
    assert api.find(ksid=gone) == api.find(ksid=old) == api.find(ksid="1" * 19) == []
    assert api.find(application=APPLICATION, device_id="old-phone") == []
    assert api.find(application=APPLICATION, device_id="nobody's") == []
    assert [token["device_token"] for token in api.find(place_id=PLACE_ID)] == ["new"]
    assert api.find(account_id=ACCOUNT_ID, device_id="nobody's") == []


def test_lookup_keeps_newest_row_of_each_firebase_installation(api: Api) -> None:
    for token in (
        "F3",
        "F3:APA91bNew",
        "F1:APA91bOld",
        "F1:APA91bNew",
        "F2:APA91bOnly",
        "F1:other",
        "F1:else",
        "F1",
        "F4",
    ):
        api.places.put(token)
        api.wait(1)
    tokens = {token["device_token"] for token in api.find(place_id=PLACE_ID)}
    assert tokens == {"F3:APA91bNew", "F2:APA91bOnly", "F1:other", "F1:else", "F1", "F4"}


def test_lookup_keeps_every_row_of_an_installation_refreshed_in_one_second(api: Api) -> None:
    api.places.put("F1:APA91bOld")
    api.wait(1)
    for token in ("F1:APA91bCached", "F1:APA91bRotated", "F1"):
        api.places.put(token)
    tokens = {token["device_token"] for token in api.find(place_id=PLACE_ID)}
    assert tokens == {"F1:APA91bCached", "F1:APA91bRotated", "F1"}


def test_lookup_answers_bad_addresses_beside_good_ones(api: Api) -> None:
    api.places.put("token")
    addresses = (
        {"place_id": "x"},
        {"place_id": PLACE_ID},
        {"application": APPLICATION},
        {"application": APPLICATION, "ufid": "u", "device_id": "d"},
        {"ksid": True},
        None,
    )
    results = api.senders.look_up(*addresses).json["results"]
    assert [result["address"] for result in results] == list(range(6))
    assert [result["status"] for result in results] == ["invalid", "ok", *["invalid"] * 4]
    assert {len(result.get("reason", "")) > 0 for result in results if result["status"] == "invalid"} == {True}


def store_tokens(stored: Stored, count: int) -> set[str]:
    tokens = {f"{number:04}{'x' * 4000}" for number in range(count)}
    for token in tokens:
        stored.put(
            PLACES,
            {**place_key(PLACE_ID, token), "device_token": token, "created_at": "2026", "updated_at": "2026"},
        )
    return tokens


@pytest.mark.slow
def test_lookup_of_many_tokens_is_paged_without_loss(api: Api, empty: Stored) -> None:
    stored = store_tokens(empty, 600)
    ksids = [answered(api.engagement.subscribe(f"phone-{number}", f"sid-{number}"))[1] for number in range(30)]
    addresses = [{"place_id": PLACE_ID}, *({"ksid": ksid} for ksid in ksids), {"place_id": PLACE_ID}]
    seen: dict[int, list[str]] = {}
    cursor, answers = None, 0
    while answers == 0 or cursor is not None:
        reply = api.senders.look_up(*addresses, cursor=cursor)
        assert reply.status == 200
        assert len(reply.body) < 1.1 * 1024 * 1024
        for result in reply.json["results"]:
            tokens = [token.get("device_token") or token["ksid"] for token in result["tokens"]]
            seen.setdefault(result["address"], []).extend(tokens)
        cursor, answers = reply.json["cursor"], answers + 1
    assert answers > 4
    assert sorted(seen) == list(range(len(addresses)))
    assert len(seen[0]) == len(seen[31]) == 600
    assert set(seen[0]) == set(seen[31]) == stored
    assert [seen[number + 1] for number in range(30)] == [[ksid] for ksid in ksids]


def test_lookup_of_most_addresses_finds_all(api: Api) -> None:
    api.places.put("token")
    api.engagement.subscribe("phone", "sid", ufid="me")
    addresses = [{"place_id": PLACE_ID}, {"application": APPLICATION, "ufid": "me"}] * 50
    reply = api.senders.look_up(*addresses)
    assert reply.status == 200
    assert [len(result["tokens"]) for result in reply.json["results"]] == [1] * 100
    assert reply.json["cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "1.", "-1.", "0", "0.x", "0." + "g" * 64, "1." + "0" * 64, "0.1", "99.1"])
@pytest.mark.parametrize("rest", ["", ".", "." + "0" * 16])
def test_lookup_with_foreign_cursor_returns_400(cursor: str, rest: str, api: Api) -> None:
    reply = api.senders.look_up({"place_id": PLACE_ID}, cursor=cursor + rest)
    assert (reply.status, reply.json["message"]) == (400, "cursor must be the one of the answer before")


def test_lookup_cursor_is_for_the_same_addresses_of_the_same_reach(api: Api, empty: Stored) -> None:
    store_tokens(empty, 300)
    addresses = [{"place_id": PLACE_ID}, {"ksid": "1"}]
    cursor = api.senders.look_up(*addresses).json["cursor"]
    assert cursor.startswith("0.")
    again: list[dict[str, Any]] = [{"place_id": PLACE_ID.upper(), "ufid": None}, {"ksid": 1}]
    assert api.senders.look_up(*again, cursor=cursor).status == 200
    of_place = Senders(api.send, issue(empty, "one place's", places=frozenset({PLACE_ID})))
    for senders, others in (
        (api.senders, addresses[:1]),
        (api.senders, addresses[::-1]),
        (api.senders, [{"place_id": PLACE_ID[::-1]}, {"ksid": "1"}]),
        (api.senders, [*addresses, {"ksid": "2"}]),
        (of_place, addresses),
    ):
        assert senders.look_up(*others, cursor=cursor).status == 400
    for tampered in (cursor.replace("0.", "1.", 1), f"0.{'g' * 64}.{cursor[-16:]}", f"2..{cursor[-16:]}"):
        assert api.senders.look_up(*addresses, cursor=tampered).status == 400


def test_report_some_entries_contended_is_no_fault(client: Any, empty: Stored, time: Time) -> None:
    lines: list[str] = []
    gateway = Gateway(overtake_writes(client), ENVIRONMENT, emit=lines.append, **time.options())
    reply = Senders(gateway.send).report(place_report(at=to_iso(time.moment)), place_report(code="QUOTA_EXCEEDED"))
    busy = {"status": "failed", "reason": "other callers kept changing the registration; report it again"}
    assert reply.json["results"] == [busy, {"status": "kept", "reason": "not a verdict on the token"}]
    (line,) = map(json.loads, lines)
    assert (line["outcome"], line["Faults"], line["Contended"]) == ("contended", 0, 1)


def test_report_entry_the_database_refuses_is_fault_though_another_is_contended(
    client: Any, empty: Stored, time: Time, wire: Wire
) -> None:
    lines: list[str] = []
    gateway = Gateway(overtake_writes(client), ENVIRONMENT, emit=lines.append, **time.options())
    wire.fail(refuse("AccessDeniedException"), "UpdateItem")
    reply = Senders(gateway.send).report(place_report(at=to_iso(time.moment)), place_report(code="ok"))
    assert reply.status == 503
    (line,) = map(json.loads, lines)
    assert (line["outcome"], line["store_code"]) == ("fault", "AllFailed")


def test_lookup_that_fails_midway_returns_cursor_for_the_rest(api: Api, empty: Stored, wire: Wire) -> None:
    tokens = store_tokens(empty, 2)
    addresses = [{"place_id": PLACE_ID}] * 30
    wire.fail(lambda _: None, "Query", 24)
    wire.fail(refuse("AccessDeniedException"), "Query", 1000)
    cut = api.senders.look_up(*addresses)
    cursor = cut.json["cursor"]
    assert (cut.status, cursor[:4]) == (200, "24..")
    failed = api.senders.look_up(*addresses, cursor=cursor)
    assert failed.status == 503
    wire.clear()
    rest = api.senders.look_up(*addresses, cursor=cursor)
    assert rest.json["cursor"] is None
    results = [*cut.json["results"], *rest.json["results"]]
    assert [result["address"] for result in results] == list(range(30))
    assert all({token["device_token"] for token in result["tokens"]} == tokens for result in results)


def test_lookup_returns_what_was_read_beside_a_call_that_failed(api: Api, empty: Stored, wire: Wire) -> None:
    ksid = answered(api.engagement.subscribe("phone", "sid"))[1]
    tokens = store_tokens(empty, 2)
    addresses = [{"ksid": ksid}, {"place_id": "x"}, {"place_id": PLACE_ID}, {"ksid": ksid}]
    wire.fail(refuse("AccessDeniedException"), "Query")
    cut = api.senders.look_up(*addresses)
    assert (cut.status, cut.json["cursor"][:3]) == (200, "2..")
    assert [result["status"] for result in cut.json["results"]] == ["ok", "invalid"]
    rest = api.senders.look_up(*addresses, cursor=cut.json["cursor"]).json
    assert [result["address"] for result in rest["results"]] == [2, 3]
    assert {token["device_token"] for token in rest["results"][0]["tokens"]} == tokens
    assert rest["cursor"] is None


def test_lookup_of_large_places_reads_few_beyond_the_answer(api: Api, empty: Stored, wire: Wire) -> None:
    store_tokens(empty, 240)
    reply = api.senders.look_up(*[{"place_id": PLACE_ID}] * 100)
    assert (len(reply.json["results"]), reply.json["cursor"][:2]) == (2, "1.")
    assert wire.calls.count("Query") == 8


def test_lookup_and_list_with_empty_cursor_return_first_page(api: Api, empty: Stored) -> None:
    tokens = store_tokens(empty, 2)
    reply = api.senders.look_up({"place_id": PLACE_ID}, cursor="")
    assert {token["device_token"] for token in reply.json["results"][0]["tokens"]} == tokens
    listed = api.senders.list_place(query="?limit=&cursor=").json["message"]["data"]
    assert {row["device_token"] for row in listed} == tokens


def test_places_list_is_paged_and_skips_expired(api: Api, empty: Stored) -> None:
    api.places.put("old")
    api.wait(271 * DAY)
    tokens = {f"token-{number}" for number in range(5)}
    for token in tokens:
        api.places.put(token)
    seen: list[str] = []
    query = "?limit=2"
    while query:
        message = api.senders.list_place(query=query).json["message"]
        seen += [row["device_token"] for row in message["data"]]
        assert all(row["place_id"] == PLACE_ID and row["created_at"] == api.at() for row in message["data"])
        cursor = message["extra"]["cursor"]
        query = cursor and f"?limit=2&cursor={cursor}"
    assert len(seen) == 5
    assert set(seen) == tokens


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?limit=x", "?limit=-1", "?cursor=x", "?limit=٣"])
def test_places_list_with_bad_page_returns_400(query: str, api: Api) -> None:
    assert api.senders.list_place(query=query).status == 400


def test_feedback_and_lookup_repair_nothing_of_taken_subscriber(api: Api, empty: Stored) -> None:
    """A subscriber whose sid was taken is inactive and has no token to find or to report."""
    first = answered(api.engagement.subscribe("phone", "sid"))[1]
    api.engagement.unsubscribe(ksid=first)
    second = answered(api.engagement.subscribe("phone-2", "sid-2"))[1]
    api.engagement.subscribe("phone-2", "sid")
    taken = empty.get(SUBSCRIBERS, ksid_key(first)) or {}
    assert taken["active"] is False
    assert api.find(ksid=first) == []
    assert [token["sid"] for token in api.find(ksid=second)] == ["sid"]
    assert api.report(ksid=first, sid="sid", code="ok")["status"] == "newer"
    empty.settled(SUBSCRIBERS)

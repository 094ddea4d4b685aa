from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pushreg.dynamodb import Session, to_attributes
from pushreg.models.directory import Account, Application, Credential, Place
from pushreg.schema import digest
from pushreg.stores.directory import Directory, to_item
from pushreg_local.client import AdminClient
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.clients import ReadOnlyClient, ScriptedClient
from tests.support.time import Time

MOMENT = "2024-01-01T00:00:00Z"


def applications(count: int) -> ReadOnlyClient:
    return ReadOnlyClient(to_item(Application(f"app-{number}", MOMENT)) for number in range(count))


def open_directory(client: ReadOnlyClient, time: Time) -> tuple[Directory, Session]:
    return Directory("directory", lambda: time.passed), Session(client.client, 1e9, lambda: time.passed, time.sleep)


@pytest.fixture
def time() -> Time:
    return Time()


def test_directory_find_returns_entries_in_order_in_one_call(time: Time) -> None:
    client = applications(3)
    directory, session = open_directory(client, time)
    names: list[tuple[Any, str]] = [("application", each) for each in ("app-2", "app-9", "app-0")]
    assert directory.find(session, *names) == [Application("app-2", MOMENT), None, Application("app-0", MOMENT)]
    assert client.calls == 1


def test_directory_find_reads_only_uncached_entries(time: Time) -> None:
    client = applications(2)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    directory.find(session, ("application", "app-0"), ("application", "app-1"))
    assert client.calls == 2
    directory.find(session, ("application", "app-0"), ("application", "app-1"))
    assert client.calls == 2


def test_directory_get_cached_makes_no_call(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    assert directory.get_cached("application", "app-0") is None
    directory.find(session, ("application", "app-0"))
    assert directory.get_cached("application", "app-0") == Application("app-0", MOMENT)
    assert client.calls == 1


def test_directory_credential_is_absent_once_it_has_expired(time: Time) -> None:
    key = Credential("d" * 64, "places", "write", MOMENT, expires_at=1000)
    client = ReadOnlyClient([to_item(key)])
    moments = iter([999, 999, 1000, 1000, 1000])
    session = Session(client.client, 1e9, lambda: time.passed, time.sleep)
    directory = Directory("directory", lambda: time.passed, lambda: datetime.fromtimestamp(next(moments), UTC))
    assert directory.find(session, ("credential", "d" * 64)) == [key]
    assert directory.get_cached("credential", "d" * 64) == key
    assert directory.get_cached("credential", "d" * 64) is None
    assert directory.find(session, ("credential", "d" * 64)) == [None]


def test_directory_entry_is_cached_for_one_minute(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    time.passed += 59.999
    assert directory.get_cached("application", "app-0") is not None
    time.passed += 0.001
    assert directory.get_cached("application", "app-0") is None


def test_directory_miss_is_not_cached(time: Time) -> None:
    client = ReadOnlyClient()
    directory, session = open_directory(client, time)
    assert directory.find(session, ("place", "somewhere")) == [None]
    client.items["place#somewhere"] = to_item(Place("somewhere", MOMENT))
    assert directory.find(session, ("place", "somewhere")) == [Place("somewhere", MOMENT)]


def test_directory_kinds_are_separate(time: Time) -> None:
    client = ReadOnlyClient([to_item(Account("x", MOMENT))])
    directory, session = open_directory(client, time)
    assert directory.find(session, ("place", "x"), ("account", "x")) == [None, Account("x", MOMENT)]


def test_directory_cache_is_bounded(time: Time) -> None:
    client = applications(2500)
    directory, session = open_directory(client, time)
    remembered = 0
    for number in range(2500):
        directory.find(session, ("application", f"app-{number}"))
        assert directory.get_cached("application", f"app-{number}") is not None
    remembered = sum(directory.get_cached("application", f"app-{number}") is not None for number in range(2500))
    assert remembered <= 1000


def test_directory_unknown_keys_do_not_evict_known_entries(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    for number in range(2500):
        directory.find(session, ("credential", digest(f"guess {number}")))
    assert directory.get_cached("application", "app-0") is not None


def test_directory_writer_list_reads_all_pages() -> None:
    places = [Place(name, MOMENT) for name in "abc"]
    first, second, third = ([to_attributes(to_item(place))] for place in places)
    key = {"record": {"S": "place#a"}}
    client = ScriptedClient(
        {"Items": first, "LastEvaluatedKey": key}, {"Items": [], "LastEvaluatedKey": key}, {"Items": second + third}
    )
    assert list(DirectoryWriter(cast("AdminClient", client.client), "directory").list("place")) == places
    assert [parameters.get("ExclusiveStartKey") for _, parameters in client.asked] == [None, key, key]


def test_directory_writer_remove_returns_whether_entry_existed() -> None:
    writer = DirectoryWriter(cast("AdminClient", ScriptedClient({"Attributes": {}}, {}).client), "directory")
    assert writer.remove("place", "a") is True
    assert writer.remove("place", "a") is False

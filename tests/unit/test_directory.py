from __future__ import annotations

from typing import Any

import pytest

from pushreg.dynamodb import Session, to_attributes
from pushreg.models.directory import Account, Application, Place, digest
from pushreg.stores.directory import Directory, DirectoryWriter, to_item
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


def test_entries_come_in_the_order_of_their_names_by_one_call(time: Time) -> None:
    client = applications(3)
    directory, session = open_directory(client, time)
    names: list[tuple[Any, str]] = [("application", each) for each in ("app-2", "app-9", "app-0")]
    assert directory.find(session, *names) == [Application("app-2", MOMENT), None, Application("app-0", MOMENT)]
    assert client.calls == 1


def test_only_what_is_not_remembered_is_read(time: Time) -> None:
    client = applications(2)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    directory.find(session, ("application", "app-0"), ("application", "app-1"))
    assert client.calls == 2
    directory.find(session, ("application", "app-0"), ("application", "app-1"))
    assert client.calls == 2


def test_looking_never_calls(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    assert directory.get_cached("application", "app-0") is None
    directory.find(session, ("application", "app-0"))
    assert directory.get_cached("application", "app-0") == Application("app-0", MOMENT)
    assert client.calls == 1


def test_an_entry_is_remembered_for_a_minute_from_before_it_was_read(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    time.passed += 59.999
    assert directory.get_cached("application", "app-0") is not None
    time.passed += 0.001
    assert directory.get_cached("application", "app-0") is None


def test_what_is_not_found_is_not_remembered(time: Time) -> None:
    client = ReadOnlyClient()
    directory, session = open_directory(client, time)
    assert directory.find(session, ("place", "somewhere")) == [None]
    client.items["place#somewhere"] = to_item(Place("somewhere", MOMENT))
    assert directory.find(session, ("place", "somewhere")) == [Place("somewhere", MOMENT)]


def test_kinds_do_not_mix(time: Time) -> None:
    client = ReadOnlyClient([to_item(Account("x", MOMENT))])
    directory, session = open_directory(client, time)
    assert directory.find(session, ("place", "x"), ("account", "x")) == [None, Account("x", MOMENT)]


def test_memory_is_bounded(time: Time) -> None:
    client = applications(2500)
    directory, session = open_directory(client, time)
    remembered = 0
    for number in range(2500):
        directory.find(session, ("application", f"app-{number}"))
        assert directory.get_cached("application", f"app-{number}") is not None
    remembered = sum(directory.get_cached("application", f"app-{number}") is not None for number in range(2500))
    assert remembered <= 1000


def test_unknown_keys_do_not_push_out_known_ones(time: Time) -> None:
    client = applications(1)
    directory, session = open_directory(client, time)
    directory.find(session, ("application", "app-0"))
    for number in range(2500):
        directory.find(session, ("credential", digest(f"guess {number}")))
    assert directory.get_cached("application", "app-0") is not None


def test_listing_follows_every_page_to_its_end() -> None:
    places = [Place(name, MOMENT) for name in "abc"]
    first, second, third = ([to_attributes(to_item(place))] for place in places)
    key = {"record": {"S": "place#a"}}
    client = ScriptedClient(
        {"Items": first, "LastEvaluatedKey": key}, {"Items": [], "LastEvaluatedKey": key}, {"Items": second + third}
    )
    assert list(DirectoryWriter(client.client, "directory").list("place")) == places
    assert [parameters.get("ExclusiveStartKey") for _, parameters in client.asked] == [None, key, key]


def test_removing_tells_whether_there_was_anything() -> None:
    writer = DirectoryWriter(ScriptedClient({"Attributes": {}}, {}).client, "directory")
    assert writer.remove("place", "a") is True
    assert writer.remove("place", "a") is False

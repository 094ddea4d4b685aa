"""Directory entries are cached for at most one minute, and misses not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pushreg.models.directory import Account, Application, Credential, Entry, Place
from pushreg.schema import DIRECTORY, digest
from pushreg.stores.directory import to_item
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.calls import Engagement, Kazoo, Places, Reply, Send
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire

MINUTE = 60.0
MOMENT = "2024-01-01T00:00:00Z"
ACCOUNT_ID = "f" * 32
PLACE_ID = "11111111-2222-4333-8444-555555555555"
ENTRIES: tuple[Entry, ...] = (
    Account(ACCOUNT_ID, MOMENT),
    Credential(digest("kazoo-key"), "kazoo", "write", MOMENT, account_id=ACCOUNT_ID),
    Place(PLACE_ID, MOMENT),
    Credential(digest("places-key"), "places", "write", MOMENT, places=frozenset({PLACE_ID})),
    Application("an-app", MOMENT),
)

Call = Callable[[Send], Reply]


def put(send: Send) -> Reply:
    return Kazoo(send, "kazoo-key", ACCOUNT_ID).put("desk", "phone")


def register(send: Send) -> Reply:
    return Places(send, "places-key", PLACE_ID).put("token")


def subscribe(send: Send) -> Reply:
    return Engagement(send, "an-app").subscribe("phone", "sid")


# Which entry each call needs, and what it is answered without it.
NEEDS = [(put, 0, 404), (put, 1, 401), (register, 2, 404), (register, 3, 401), (subscribe, 4, 404)]
each_need = pytest.mark.parametrize(("call", "entry", "refusal"), [(call, ENTRIES[i], code) for call, i, code in NEEDS])


@pytest.fixture
def directory(empty: Stored) -> Iterator[DirectoryWriter]:
    """The directory with entries of the test's own."""
    writer = DirectoryWriter(empty.client, DIRECTORY)
    for entry in ENTRIES:
        writer.add(entry)
    yield writer
    for entry in ENTRIES:
        take_away(writer, entry)


def take_away(writer: DirectoryWriter, entry: Entry) -> None:
    kind, _, key = to_item(entry)["record"].partition("#")
    writer.remove(kind, key)


@pytest.mark.parametrize("call", [put, register, subscribe])
def test_directory_entry_is_cached_for_one_minute(
    call: Call, client: Any, wire: Wire, time: Time, directory: DirectoryWriter
) -> None:
    send = Gateway(client, **time.options()).send

    def count() -> int:
        wire.clear()
        call(send)
        return len(wire.calls)

    count()
    warm = count()
    time.passed += MINUTE - 0.001
    assert count() == warm
    time.passed += 0.001
    assert count() == warm + 1
    assert count() == warm


@each_need
def test_directory_removed_entry_is_refused_within_one_minute(
    call: Call, entry: Entry, refusal: int, client: Any, time: Time, directory: DirectoryWriter
) -> None:
    send = Gateway(client, **time.options()).send
    assert call(send).status in (200, 201)
    take_away(directory, entry)
    assert call(Gateway(client).send).status == refusal
    time.passed += MINUTE
    assert call(send).status == refusal


@each_need
def test_directory_added_entry_is_found_at_once(
    call: Call, entry: Entry, refusal: int, client: Any, time: Time, directory: DirectoryWriter
) -> None:
    send = Gateway(client, **time.options()).send
    take_away(directory, entry)
    assert call(send).status == refusal
    directory.add(entry)
    assert call(send).status in (200, 201)


def test_engagement_changed_auth_token_is_required_within_one_minute(
    client: Any, time: Time, directory: DirectoryWriter
) -> None:
    send = Gateway(client, **time.options()).send
    assert subscribe(send).status == 200
    directory.add(Application("an-app", MOMENT, digest("auth-token")))
    time.passed += MINUTE
    assert subscribe(send).status == 401
    assert Engagement(send, "an-app").subscribe("phone", "sid", authToken="auth-token").status == 201

from __future__ import annotations

from typing import Any, Literal

import pytest

from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Session
from pushreg.errors import ForbiddenError, UnauthenticatedError
from pushreg.models.directory import Account, Credential, Entry, Place, digest
from pushreg.stores.directory import Directory, Kind, to_item
from tests.support.clients import ReadOnlyClient

MOMENT = "2024-01-01T00:00:00Z"
KEY = Credential(digest("kazoo-key"), "kazoo", "write", MOMENT, account_id="a" * 32)
ENTRIES = (
    KEY,
    Credential(digest("places-key"), "places", "write", MOMENT, places=frozenset({"all"})),
    Account("a" * 32, MOMENT),
    Account("b" * 32, MOMENT),
    Place("place", MOMENT),
)
ACCOUNT: tuple[Kind, str] = ("account", "a" * 32)
FOREIGN: tuple[Kind, str] = ("account", "b" * 32)
UNKNOWN: tuple[Kind, str] = ("account", "c" * 32)


class Door:
    """A directory, a client that counts, and what has been checked."""

    def __init__(self) -> None:
        self.client = ReadOnlyClient(to_item(entry) for entry in ENTRIES)
        self._directory = Directory("directory")
        self.checked: list[Credential] = []

    def knock(
        self,
        secret: str | None,
        target: tuple[Kind, str] | None = ACCOUNT,
        family: Literal["kazoo", "places"] = "kazoo",
    ) -> Entry | None:
        self.client.calls = 0
        session = Session(self.client.client)
        return authenticate(self._directory, session, family, secret, self.check, target)

    def check(self, credential: Credential) -> None:
        self.checked.append(credential)


class ClosedDoor(Door):
    """Lets nobody reach anything."""

    def check(self, credential: Credential) -> None:
        raise ForbiddenError("not this far")


def test_who_is_known_and_reaches_the_target_gets_it() -> None:
    door = Door()
    assert door.knock("kazoo-key") == Account("a" * 32, MOMENT)
    assert door.checked == [KEY]
    assert door.client.calls == 1


def test_a_target_that_is_not_there_is_none() -> None:
    assert Door().knock("kazoo-key", UNKNOWN) is None


def test_no_target_is_looked_up_where_none_is_named() -> None:
    door = Door()
    assert door.knock("kazoo-key", None) is None
    assert door.checked == [KEY]


def test_who_is_remembered_costs_no_call() -> None:
    door = Door()
    door.knock("kazoo-key")
    assert door.knock("kazoo-key") == Account("a" * 32, MOMENT)
    assert door.client.calls == 0
    assert door.checked == [KEY, KEY]


def test_a_new_target_costs_who_is_remembered_one_call() -> None:
    door = Door()
    door.knock("kazoo-key")
    assert door.knock("kazoo-key", FOREIGN) == Account("b" * 32, MOMENT)
    assert door.client.calls == 1


@pytest.mark.parametrize("secret", [None, ""])
def test_who_shows_nothing_costs_nothing(secret: str | None) -> None:
    door = Door()
    with pytest.raises(UnauthenticatedError):
        door.knock(secret)
    assert door.client.calls == 0
    assert door.checked == []


@pytest.mark.parametrize(
    "secret", ["unknown", "kazoo-key ", "Kazoo-key", digest("kazoo-key"), "places-key", "ключ", "x" * 10_000]
)
def test_who_shows_something_else_is_unknown(secret: str) -> None:
    door = Door()
    with pytest.raises(UnauthenticatedError):
        door.knock(secret)
    assert door.checked == []


def test_another_family_s_key_opens_nothing() -> None:
    with pytest.raises(UnauthenticatedError):
        Door().knock("kazoo-key", ("place", "place"), "places")


@pytest.mark.parametrize("target", [FOREIGN, UNKNOWN])
def test_who_may_not_reach_a_target_cannot_tell_whether_it_is_there(target: tuple[Kind, str]) -> None:
    door = ClosedDoor()
    with pytest.raises(ForbiddenError):
        door.knock("kazoo-key", target)
    assert door.client.calls == 1
    with pytest.raises(ForbiddenError):
        door.knock("kazoo-key", target)
    # The key is remembered by now, and nothing is looked up for whom the check refuses.
    assert door.client.calls == 0


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc  ", "abc"),
        ("Bearer a b", "a b"),
        ("Bearer", None),
        ("Bearer  ", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_bearer_s_secret_is_what_follows_the_word(header: str | None, secret: Any) -> None:
    assert bearer(header) == secret

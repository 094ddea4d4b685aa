from __future__ import annotations

from typing import Any, Literal

import pytest

from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Session
from pushreg.errors import ForbiddenError, UnauthenticatedError
from pushreg.models.directory import Account, Credential, Entry, Place
from pushreg.schema import EntryKind, digest
from pushreg.stores.directory import Directory, to_item
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
ACCOUNT: tuple[EntryKind, str] = ("account", "a" * 32)
FOREIGN: tuple[EntryKind, str] = ("account", "b" * 32)
UNKNOWN: tuple[EntryKind, str] = ("account", "c" * 32)


class Door:
    """A directory, a client that counts, and what has been checked."""

    def __init__(self) -> None:
        self.client = ReadOnlyClient(to_item(entry) for entry in ENTRIES)
        self._directory = Directory("directory")
        self.checked: list[Credential] = []

    def knock(
        self,
        secret: str | None,
        target: tuple[EntryKind, str] | None = ACCOUNT,
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


def test_authenticate_known_key_returns_target() -> None:
    door = Door()
    assert door.knock("kazoo-key") == Account("a" * 32, MOMENT)
    assert door.checked == [KEY]
    assert door.client.calls == 1


def test_authenticate_unknown_target_returns_none() -> None:
    assert Door().knock("kazoo-key", UNKNOWN) is None


def test_authenticate_without_target_looks_up_credential_only() -> None:
    door = Door()
    assert door.knock("kazoo-key", None) is None
    assert door.checked == [KEY]


def test_authenticate_cached_key_makes_no_call() -> None:
    door = Door()
    door.knock("kazoo-key")
    assert door.knock("kazoo-key") == Account("a" * 32, MOMENT)
    assert door.client.calls == 0
    assert door.checked == [KEY, KEY]


def test_authenticate_cached_key_with_new_target_makes_one_call() -> None:
    door = Door()
    door.knock("kazoo-key")
    assert door.knock("kazoo-key", FOREIGN) == Account("b" * 32, MOMENT)
    assert door.client.calls == 1


@pytest.mark.parametrize("secret", [None, ""])
def test_authenticate_without_secret_raises_without_call(secret: str | None) -> None:
    door = Door()
    with pytest.raises(UnauthenticatedError):
        door.knock(secret)
    assert door.client.calls == 0
    assert door.checked == []


@pytest.mark.parametrize(
    "secret", ["unknown", "kazoo-key ", "Kazoo-key", digest("kazoo-key"), "places-key", "ключ", "x" * 10_000]
)
def test_authenticate_wrong_secret_raises_unauthenticated(secret: str) -> None:
    door = Door()
    with pytest.raises(UnauthenticatedError):
        door.knock(secret)
    assert door.checked == []


def test_authenticate_key_of_other_family_raises_unauthenticated() -> None:
    with pytest.raises(UnauthenticatedError):
        Door().knock("kazoo-key", ("place", "place"), "places")


@pytest.mark.parametrize("target", [FOREIGN, UNKNOWN])
def test_authenticate_forbidden_target_costs_same_calls_as_unknown(target: tuple[EntryKind, str]) -> None:
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
def test_bearer_header_returns_secret(header: str | None, secret: Any) -> None:
    assert bearer(header) == secret

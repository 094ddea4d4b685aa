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


class Authenticator:
    """A directory, a client that counts, and what has been checked."""

    def __init__(self) -> None:
        self.client = ReadOnlyClient(to_item(entry) for entry in ENTRIES)
        self._directory = Directory("directory")
        self.checked: list[Credential] = []

    def authenticate(
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


class ForbiddingAuthenticator(Authenticator):
    """Lets nobody reach anything."""

    def check(self, credential: Credential) -> None:
        raise ForbiddenError("not this far")


def test_authenticate_known_key_returns_target() -> None:
    authenticator = Authenticator()
    assert authenticator.authenticate("kazoo-key") == Account("a" * 32, MOMENT)
    assert authenticator.checked == [KEY]
    assert authenticator.client.calls == 1


def test_authenticate_unknown_target_returns_none() -> None:
    assert Authenticator().authenticate("kazoo-key", UNKNOWN) is None


def test_authenticate_without_target_looks_up_credential_only() -> None:
    authenticator = Authenticator()
    assert authenticator.authenticate("kazoo-key", None) is None
    assert authenticator.checked == [KEY]


def test_authenticate_cached_key_makes_no_call() -> None:
    authenticator = Authenticator()
    authenticator.authenticate("kazoo-key")
    assert authenticator.authenticate("kazoo-key") == Account("a" * 32, MOMENT)
    assert authenticator.client.calls == 0
    assert authenticator.checked == [KEY, KEY]


def test_authenticate_cached_key_with_new_target_makes_one_call() -> None:
    authenticator = Authenticator()
    authenticator.authenticate("kazoo-key")
    assert authenticator.authenticate("kazoo-key", FOREIGN) == Account("b" * 32, MOMENT)
    assert authenticator.client.calls == 1


@pytest.mark.parametrize("secret", [None, ""])
def test_authenticate_without_secret_raises_without_call(secret: str | None) -> None:
    authenticator = Authenticator()
    with pytest.raises(UnauthenticatedError):
        authenticator.authenticate(secret)
    assert authenticator.client.calls == 0
    assert authenticator.checked == []


@pytest.mark.parametrize(
    "secret", ["unknown", "kazoo-key ", "Kazoo-key", digest("kazoo-key"), "places-key", "ключ", "x" * 10_000]
)
def test_authenticate_wrong_secret_raises_unauthenticated(secret: str) -> None:
    authenticator = Authenticator()
    with pytest.raises(UnauthenticatedError):
        authenticator.authenticate(secret)
    assert authenticator.checked == []


def test_authenticate_key_of_other_family_raises_unauthenticated() -> None:
    with pytest.raises(UnauthenticatedError):
        Authenticator().authenticate("kazoo-key", ("place", "place"), "places")


@pytest.mark.parametrize("target", [FOREIGN, UNKNOWN])
def test_authenticate_forbidden_target_costs_same_calls_as_unknown(target: tuple[EntryKind, str]) -> None:
    authenticator = ForbiddingAuthenticator()
    with pytest.raises(ForbiddenError):
        authenticator.authenticate("kazoo-key", target)
    assert authenticator.client.calls == 1
    with pytest.raises(ForbiddenError):
        authenticator.authenticate("kazoo-key", target)
    # The key is remembered by now, and nothing is looked up for whom the check refuses.
    assert authenticator.client.calls == 0


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

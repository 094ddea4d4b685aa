from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushreg.models.directory import Account, Application, Credential, Entry, Place, Scope
from pushreg.schema import digest
from pushreg.stores.directory import to_entry, to_item

MOMENT = "2024-01-01T00:00:00Z"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"


def credential(scope: Scope = "write", *places: str) -> Credential:
    return Credential(digest("secret"), "places", scope, MOMENT, places=frozenset(places))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_digest_is_sha256_in_hex(text: str) -> None:
    assert digest(text) == sha256(text.encode("utf-8")).hexdigest()


def test_credential_key_id_is_digest_prefix() -> None:
    assert credential().key_id == digest("secret")[:16]


@pytest.mark.parametrize(("scope", "may"), [("read", False), ("write", True), ("admin", True)])
def test_credential_scope_read_may_not_write(scope: Scope, may: bool) -> None:
    assert credential(scope).may_write is may


@pytest.mark.parametrize(
    ("places", "reaches"),
    [((PLACE,), True), (("all",), True), (("other", "all"), True), ((), False), (("other",), False)],
)
def test_credential_reaches_only_its_places(places: tuple[str, ...], reaches: bool) -> None:
    assert credential("admin", *places).reaches_place(PLACE) is reaches


@pytest.mark.parametrize(
    ("applications", "reaches"), [({"app"}, True), ({"all"}, True), ({"App", "other"}, False), (set(), False)]
)
def test_credential_reaches_only_its_applications(applications: set[str], reaches: bool) -> None:
    key = Credential("f" * 64, "engagement", "read", MOMENT, applications=frozenset(applications))
    assert key.reaches_application("app") is reaches


@pytest.mark.parametrize(
    ("needed", "sent", "admitted"),
    [
        (None, None, True),
        (None, "whatever", True),
        ("token", "token", True),
        ("token", "Token", False),
        ("token", "", False),
        ("token", None, False),
    ],
)
def test_application_admits_only_its_auth_token(needed: str | None, sent: str | None, admitted: bool) -> None:
    application = Application("app", MOMENT, digest(needed) if needed is not None else None)
    assert application.accepts(sent) is admitted


@pytest.mark.parametrize(
    ("entry", "record"),
    [
        (Credential("f" * 64, "kazoo", "read", MOMENT, account_id="a" * 32), "credential#" + "f" * 64),
        (Credential("f" * 64, "places", "admin", MOMENT, places=frozenset({"all"})), "credential#" + "f" * 64),
        (
            Credential("f" * 64, "engagement", "read", MOMENT, applications=frozenset({"a", "an app # 1"})),
            "credential#" + "f" * 64,
        ),
        (Credential("f" * 64, "places", "admin", MOMENT), "credential#" + "f" * 64),
        (Application("an app # 1", MOMENT), "application#an app # 1"),
        (Application("app", MOMENT, "f" * 64), "application#app"),
        (Place(PLACE, MOMENT), f"place#{PLACE}"),
        (Account("a" * 32, MOMENT), "account#" + "a" * 32),
    ],
)
def test_entry_item_round_trips(entry: Entry, record: str) -> None:
    item = {name: value for name, value in to_item(entry).items() if value is not None}
    assert item["record"] == record
    assert to_entry(item) == entry

"""`pushreg remove`, `pushreg erase` and removals `--with-registrations`, as typed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pushreg.dynamodb import Session, update
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, Item, device_key, digest, mobile_claim_key
from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, PLACE_ID
from pushreg_ops.records.inspection import MAX_SHOWN
from pushreg_ops.records.items import StoredDevice
from pushreg_ops.records.removal import Remover
from pushreg_ops.registry import Registry
from tests.support.command import Run
from tests.support.stored import Stored
from tests.support.transfer import KSIDS, Merge, device, subscriber, token

pytestmark = pytest.mark.engine

TABLES = (DEVICES, SUBSCRIBERS, PLACES)


@pytest.fixture(autouse=True)
def filled(registry: Registry, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHREG_ENDPOINT", endpoint)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    merge = Merge(registry)
    merge(device("d1", "m1"), device("d2", "m2"), token("t1"), token("t2"))
    merge(subscriber(KSIDS[0], "dev1", "sid1", ufid="alice"), subscriber(KSIDS[1], "dev2", "sid2", ufid="bob"))
    merge(subscriber(KSIDS[2], "dev3", "sid3", ufid="alice", appId="demo-secure-app"))


def everything(stored: Stored) -> dict[str, list[Item]]:
    return {table: stored.snapshot(table) for table in TABLES}


def left(stored: Stored) -> set[str]:
    """Return the names of the registrations, once the tables are known to keep the invariants."""
    devices = {item["device_id"] for item in stored.settled(DEVICES) if item["record"].startswith("device#")}
    ksids = {item["ksid"] for item in stored.settled(SUBSCRIBERS) if item["record"].startswith("ksid#")}
    return devices | ksids | {item["device_token"] for item in stored.settled(PLACES)}


def list_entries(stored: Stored) -> set[str]:
    """Return the records of the Directory but for the audit, which only grows."""
    return {item["record"] for item in stored.items(DIRECTORY) if not item["record"].startswith("audit#")}


ALL = {"d1", "d2", "t1", "t2", *KSIDS}


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (("d1",), {"d1"}),
        (("m2",), {"d2"}),
        ((KSIDS[0],), {KSIDS[0]}),
        (("sid2",), {KSIDS[1]}),
        (("dev3",), {KSIDS[2]}),
        (("alice",), {KSIDS[0], KSIDS[2]}),
        (("t1",), {"t1"}),
        ((PLACE_ID, "t2"), {"t2"}),
        (("token-of-m1", "--scan"), {"d1"}),
    ],
)
def test_remove_by_id_or_token_removes_registration_and_claims(
    arguments: tuple[str, ...], gone: set[str], stored: Stored, run: Run
) -> None:
    code, out, problem = run("remove", *arguments, "--yes", "--json")
    assert (code, json.loads(out), problem) == (0, {"found": len(gone), "removed": len(gone)}, "")
    assert left(stored) == ALL - gone


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nothing", "--yes"), 1, "add --scan"),
        (("nothing", "--scan", "--yes"), 1, "no registration has this value"),
        ((ACCOUNT_ID, "--yes"), 1, "--with-registrations"),
        ((PLACE_ID, "--yes"), 1, "--with-registrations"),
        (("demo-app", "--yes"), 1, "--with-registrations"),
        ((PLACE_ID, "d1", "--yes"), 1, "has no registration with this token"),
        (("d1", "t1", "--yes"), 2, "not a place id"),
        ((PLACE_ID, "t1", "t2", "--yes"), 2, "a place and a token"),
        (("d1",), 1, "Remove 1 registration?"),
    ],
)
def test_remove_refused_changes_nothing(
    arguments: tuple[str, ...], code: int, says: str, stored: Stored, run: Run
) -> None:
    before = everything(stored)
    found, _, problem = run("remove", *arguments)
    assert (found, says in problem) == (code, True)
    assert everything(stored) == before


def test_remove_user_removes_more_than_are_shown_of_an_owner(registry: Registry, stored: Stored, run: Run) -> None:
    merge = Merge(registry)
    for number in range(MAX_SHOWN + 1):
        merge(subscriber(f"5{number:018}", f"many{number}", f"many{number}", ufid="carol"))
    code, out, _ = run("remove", "carol", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"found": MAX_SHOWN + 1, "removed": MAX_SHOWN + 1})
    assert left(stored) == ALL


def test_remover_registration_changed_since_shown_stays(registry: Registry, stored: Stored) -> None:
    shown = StoredDevice.from_item(stored.device("d1") or {})
    Merge(registry)(device("d1", "m1", "2027-01-01T00:00:00Z", proxy="192.0.2.10"))
    assert Remover(registry).remove(shown, lambda current: current == shown) == "changed"
    assert left(stored) == ALL


def test_remover_claim_of_another_registration_stays(registry: Registry, stored: Stored) -> None:
    claim = mobile_claim_key(ACCOUNT_ID, digest("m1"))
    stored.put(DEVICES, {**claim, "device_id": "d9"})
    shown = StoredDevice.from_item(stored.device("d1") or {})
    assert Remover(registry).remove(shown, lambda current: True) == "removed"
    assert stored.device("d1") is None
    assert stored.holder("m1") == "d9"


class ChangingClient:
    """Changes the device just before the first transaction that would remove it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        if not self.refused:
            self.refused += 1
            change = update(
                DEVICES, device_key(ACCOUNT_ID, "d1"), "SET writes = writes + :one", "writes > :nil", one=1, nil=0
            )
            Session(self._client).transact([change])
        return self._client.transact_write_items(**parameters)


def test_remover_registration_changed_during_removal_is_read_again(registry: Registry, stored: Stored) -> None:
    client = ChangingClient(registry.client)
    remover = Remover(Registry("busy", client, registry.tables))
    shown = StoredDevice.from_item(stored.device("d1") or {})
    assert remover.remove(shown, lambda current: True) == "removed"
    assert client.refused == 1
    assert left(stored) == ALL - {"d1"}
    assert remover.remove(shown, lambda current: True) == "gone"


def test_erase_removes_all_subscribers_of_user_and_no_other(stored: Stored, run: Run) -> None:
    code, _, problem = run("erase", "--ufid", "alice")
    assert (code, "Remove 2 subscribers of this user (demo-app, demo-secure-app)?" in problem) == (1, True)
    assert left(stored) == ALL
    code, out, _ = run("erase", "--ufid", "alice", "--yes", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"removed": 2, "unreadable": 0, "applications": ["demo-app", "demo-secure-app"]},
    )
    assert left(stored) == ALL - {KSIDS[0], KSIDS[2]}
    assert "alice" not in str(everything(stored))
    assert run("erase", "--ufid", "alice", "--yes")[0] == 1


def test_erase_finds_subscribers_that_the_user_index_lacks(stored: Stored, run: Run) -> None:
    item = stored.subscriber(KSIDS[0]) or {}
    stored.put(SUBSCRIBERS, {**item, "ufid_ksid": None})
    assert run("erase", "--ufid", "alice", "--yes")[0] == 0
    assert left(stored) == ALL - {KSIDS[0], KSIDS[2]}


@pytest.mark.parametrize(
    ("command", "owner", "record", "gone", "keys"),
    [
        ("accounts", ACCOUNT_ID, f"account#{ACCOUNT_ID}", {"d1", "d2"}, {f"credential#{digest(ACCOUNT_TOKEN)}"}),
        ("apps", "demo-app", "application#demo-app", {KSIDS[0], KSIDS[1]}, set()),
        ("places", PLACE_ID, f"place#{PLACE_ID}", {"t1", "t2"}, set()),
    ],
)
def test_remove_owner_says_what_is_left_and_resumes_with_registrations(
    command: str, owner: str, record: str, gone: set[str], keys: set[str], stored: Stored, run: Run
) -> None:
    directory = list_entries(stored)
    code, out, _ = run(command, "remove", owner)
    assert (code, f"{len(gone)} registrations and {len(keys)} key" in out, "--with-registrations" in out) == (
        0,
        True,
        True,
    )
    assert left(stored) == ALL
    code, _, problem = run(command, "remove", owner, "--with-registrations")
    assert (code, f"with {len(gone)} registrations" in problem) == (1, True)
    code, out, _ = run(command, "remove", owner, "--with-registrations", "--yes", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"id": owner, "removed": False, "registrations": len(gone), "keys": len(keys), "unreadable": 0},
    )
    assert left(stored) == ALL - gone
    assert list_entries(stored) == directory - {record} - keys
    code, _, problem = run(command, "remove", owner, "--with-registrations", "--yes")
    assert (code, "nor a registration of it" in problem) == (1, True)


def test_remove_with_registrations_removes_entry_too(stored: Stored, run: Run) -> None:
    code, out, _ = run("places", "remove", PLACE_ID, "--with-registrations", "--yes")
    assert (code, out.startswith(f"place {PLACE_ID} removed with 2 registrations and 0 keys\n")) == (0, True)
    assert left(stored) == ALL - {"t1", "t2"}
    assert stored.get(DIRECTORY, {"record": f"place#{PLACE_ID}"}) is None

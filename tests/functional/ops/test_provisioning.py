"""The `accounts`, `places`, `apps` and `keys` commands against the tables of a local registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pushreg.dynamodb import from_attributes
from pushreg.schema import digest
from pushreg_local.client import AdminClient, connect_endpoint
from pushreg_local.engines.memory import MemoryEngine
from pushreg_local.tables import create_missing
from pushreg_local.template import find_template, load_template
from tests.support.command import Run

ACCOUNT = "0123456789abcdef0123456789abcdef"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
TEMPLATE = load_template(find_template(Path(__file__)).read_text("utf-8"))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminClient]:
    """A client of a local registry that `pushreg` finds by PUSHREG_ENDPOINT."""
    engine = MemoryEngine(0)
    engine.start()
    monkeypatch.setenv("PUSHREG_ENDPOINT", engine.endpoint)
    client = connect_endpoint(engine.endpoint)
    create_missing(client, TEMPLATE.tables)
    yield client
    engine.stop()


def stored(client: AdminClient) -> dict[str, Any]:
    items = [from_attributes(each) for each in client.scan(TableName="DirectoryTable")["Items"]]
    return {item["record"]: {k: v for k, v in item.items() if k not in ("record", "created_at")} for item in items}


def test_accounts_add_list_remove_round_trip(client: AdminClient, run: Run) -> None:
    assert run("accounts", "add", ACCOUNT) == (0, f"account {ACCOUNT} added\n", "")
    first = client.scan(TableName="DirectoryTable")["Items"]
    assert run("accounts", "add", ACCOUNT, "--local") == (0, f"account {ACCOUNT} already exists, unchanged\n", "")
    assert client.scan(TableName="DirectoryTable")["Items"] == first
    assert stored(client) == {f"account#{ACCOUNT}": {}}
    code, out, _ = run("accounts", "list", "--json")
    (listed,) = json.loads(out)
    assert (code, listed["id"], set(listed)) == (0, ACCOUNT, {"id", "created_at"})
    assert run("accounts", "remove", ACCOUNT)[0] == 0
    assert stored(client) == {}
    code, _, problem = run("accounts", "remove", ACCOUNT)
    assert (code, problem) == (
        1,
        f"pushreg: there is no account {ACCOUNT}: see `pushreg accounts list`\n",
    )


def test_accounts_add_with_any_path_segment_of_32_characters_stores_it_unchanged(client: AdminClient, run: Run) -> None:
    account = "Not hex, but 32 characters long."
    assert run("accounts", "add", account)[0] == 0
    assert set(stored(client)) == {f"account#{account}"}


def test_places_add_stores_lower_case(client: AdminClient, run: Run) -> None:
    other = "5F2C3A8E-0000-4000-8000-00000000ABCD"
    code, out, _ = run("places", "add", PLACE, other, "--json")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (
        0,
        [{"id": PLACE, "added": True}, {"id": other.lower(), "added": True}],
    )
    assert set(stored(client)) == {f"place#{PLACE}", f"place#{other.lower()}"}


def test_apps_add_stores_auth_token_digest_and_keeps_it(client: AdminClient, run: Run) -> None:
    assert run("apps", "add", "Open App") == (0, "application Open App added\n", "")
    assert run("apps", "add", "guarded", "--auth-token", "first")[0] == 0
    assert run("apps", "add", "guarded") == (0, "application guarded already exists, unchanged\n", "")
    assert stored(client)["application#guarded"] == {"auth_token_digest": digest("first")}
    assert run("apps", "add", "guarded", "--auth-token", "second")[0] == 0
    assert stored(client)["application#guarded"] == {"auth_token_digest": digest("second")}
    _, out, _ = run("apps", "list")
    assert {tuple(line.split("\t")[:2]) for line in out.splitlines()} == {
        ("Open App", "not required"),
        ("guarded", "required"),
    }
    assert run("apps", "add", "guarded", "--strict", "--duplicate-as-update")[0] == 0
    changed = {"auth_token_digest": digest("second"), "strict": True, "duplicate_as_update": True}
    assert stored(client)["application#guarded"] == changed
    assert run("apps", "add", "guarded", "--no-strict", "--no-duplicate-as-update")[0] == 0
    assert stored(client)["application#guarded"] == changed | {"strict": False, "duplicate_as_update": False}
    assert run("apps", "add", "new", "--auth-token", "null")[0] == 2
    assert run("apps", "remove", "Open App")[0] == 0
    assert set(stored(client)) == {"application#guarded"}


def test_keys_issue_shows_secret_once_and_stores_digest(client: AdminClient, run: Run) -> None:
    run("accounts", "add", ACCOUNT)
    code, out, _ = run("keys", "issue", "--account", ACCOUNT, "--scope", "admin", "--json")
    issued = json.loads(out)
    secret_digest = digest(issued["secret"])
    assert code == 0
    assert len(issued["secret"]) >= 40
    assert stored(client)[f"credential#{secret_digest}"] == {
        "key_id": secret_digest[:16],
        "family": "kazoo",
        "account_id": ACCOUNT,
        "scope": "admin",
    }
    assert issued["key_id"] == secret_digest[:16]
    assert issued["secret"] not in str(client.scan(TableName="DirectoryTable"))
    _, listing, _ = run("keys", "list", "--json")
    assert issued["secret"] not in listing
    (listed,) = json.loads(listing)
    assert (listed["key_id"], listed["reach"]) == (issued["key_id"], [ACCOUNT])


def test_keys_issue_for_places_stores_reach(client: AdminClient, run: Run) -> None:
    run("places", "add", PLACE)
    assert run("keys", "issue", "--places", "all", "--value", "for-all")[0] == 0
    code, out, _ = run("keys", "issue", "--places", PLACE.upper(), "--scope", "read", "--value", "for-one")
    assert (code, out.splitlines()[1]) == (0, "for-one")
    every, one = stored(client)[f"credential#{digest('for-all')}"], stored(client)[f"credential#{digest('for-one')}"]
    assert (every["family"], every["places"], every["scope"]) == ("places", {"all"}, "write")
    assert (one["family"], one["places"], one["scope"]) == ("places", {PLACE}, "read")


def test_keys_issue_for_applications_stores_reach(client: AdminClient, run: Run) -> None:
    run("apps", "add", "first")
    run("apps", "add", "an app")
    assert run("keys", "issue", "--apps", "all", "--scope", "admin", "--value", "for-all")[0] == 0
    assert run("keys", "issue", "--apps", "first, an app", "--scope", "read", "--value", "for-two")[0] == 0
    every, two = stored(client)[f"credential#{digest('for-all')}"], stored(client)[f"credential#{digest('for-two')}"]
    assert (every["family"], every["applications"], every["scope"]) == ("engagement", {"all"}, "admin")
    assert (two["family"], two["applications"], two["scope"]) == ("engagement", {"first", "an app"}, "read")
    _, listing, _ = run("keys", "list", "--json")
    assert {tuple(each["reach"]) for each in json.loads(listing)} == {("all",), ("an app", "first")}


def test_keys_issue_existing_value_is_refused(client: AdminClient, run: Run) -> None:
    run("keys", "issue", "--places", "all", "--scope", "read", "--value", "taken")
    before = stored(client)
    code, out, problem = run("keys", "issue", "--places", "all", "--scope", "admin", "--value", "taken")
    assert (code, out) == (1, "")
    assert f"already in use as key {digest('taken')[:16]}" in problem
    assert stored(client) == before


@pytest.mark.parametrize(
    ("option", "value", "fix"),
    [
        ("--account", ACCOUNT, f"pushreg accounts add {ACCOUNT}"),
        ("--places", PLACE, f"pushreg places add {PLACE}"),
        ("--apps", "an app", "pushreg apps add 'an app'"),
    ],
)
def test_keys_issue_for_unknown_target_names_fix(
    option: str, value: str, fix: str, client: AdminClient, run: Run
) -> None:
    code, _, problem = run("keys", "issue", option, value)
    assert (code, fix in problem) == (1, True)
    assert stored(client) == {}


def test_keys_revoke_removes_key_once(client: AdminClient, run: Run) -> None:
    run("keys", "issue", "--places", "all", "--value", "short-lived")
    run("keys", "issue", "--places", "all", "--value", "other")
    key_id = digest("short-lived")[:16]
    assert run("keys", "revoke", key_id)[0] == 0
    assert set(stored(client)) == {f"credential#{digest('other')}"}
    code, _, problem = run("keys", "revoke", key_id)
    assert (code, problem) == (1, f"pushreg: there is no key {key_id}: see `pushreg keys list`\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "add", "xyz"),
        ("accounts", "add", ACCOUNT + "0"),
        ("accounts", "add", "a/" * 16),
        ("places", "add", "not-a-uuid"),
        ("places", "add", PLACE.replace("-", "")),
        ("apps", "add", ""),
        ("apps", "add", " padded"),
        ("apps", "add", "all"),
        ("apps", "add", "x" * 256),
        ("apps", "add", "x", "--auth-token", ""),
        ("accounts", "add"),
        ("keys", "issue"),
        ("keys", "issue", "--account", ACCOUNT, "--places", "all"),
        ("keys", "issue", "--apps", "all", "--places", "all"),
        ("keys", "issue", "--apps", "one,,two"),
        ("keys", "issue", "--places", f"{PLACE},nonsense"),
        ("keys", "issue", "--places", "all", "--scope", "owner"),
        ("keys", "issue", "--places", "all", "--value", ""),
        ("keys", "issue", "--places", "all", "--value", " x"),
        ("accounts", "list", "--local", "--stack", "prod"),
        ("nonsense",),
    ],
)
def test_command_wrong_usage_exits_2_without_change(arguments: tuple[str, ...], client: AdminClient, run: Run) -> None:
    code, out, problem = run(*arguments)
    assert (code, out) == (2, "")
    assert problem
    assert stored(client) == {}


def test_command_missing_tables_are_refused(client: AdminClient, run: Run) -> None:
    cast("Any", client).delete_table(TableName="DirectoryTable")
    code, _, problem = run("keys", "list", "--local")
    assert (code, "is missing" in problem, "`pushreg local` creates it" in problem) == (1, True, True)

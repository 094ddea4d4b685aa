"""The `accounts`, `places`, `apps` and `keys` commands against the tables of a local registry."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from pushreg.dynamodb import from_attributes
from pushreg.models.directory import Credential
from pushreg.schema import DIRECTORY, digest
from pushreg.stores.directory import to_item
from pushreg_local.client import AdminClient, connect_endpoint
from pushreg_local.engines.memory import MemoryEngine
from pushreg_local.tables import create_missing
from pushreg_local.template import find_template, load_template
from tests.support.command import Run
from tests.support.stored import Stored

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
    hidden = ("record", "created_at", "issued_by")
    entries = [item for item in items if not item["record"].startswith("audit#")]
    return {item["record"]: {k: v for k, v in item.items() if k not in hidden} for item in entries}


def audited(run: Run) -> list[tuple[str, str, str, str | None]]:
    _, out, _ = run("audit", "--json")
    return [(each["action"], each["kind"], each["entry"], each["detail"]) for each in json.loads(out)]


def test_accounts_add_list_remove_round_trip(client: AdminClient, run: Run) -> None:
    assert run("accounts", "add", ACCOUNT) == (0, f"account {ACCOUNT} added\n", "")
    first = client.scan(TableName="DirectoryTable")["Items"]
    assert len(first) == 2
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
        [{"id": each, "added": True, "outcome": "added"} for each in (PLACE, other.lower())],
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
        ("Open App", "no"),
        ("guarded", "yes"),
    }
    assert run("apps", "add", "guarded", "--strict", "--duplicate-as-update")[0] == 0
    changed = {"auth_token_digest": digest("second"), "strict": True, "duplicate_as_update": True}
    assert stored(client)["application#guarded"] == changed
    assert run("apps", "add", "guarded", "--no-strict", "--no-duplicate-as-update")[0] == 0
    assert stored(client)["application#guarded"] == changed | {"strict": False, "duplicate_as_update": False}
    assert run("apps", "add", "new", "--auth-token", "null")[0] == 2
    assert run("apps", "remove", "Open App")[0] == 0
    assert set(stored(client)) == {"application#guarded"}


def test_apps_add_says_what_it_changed_and_open_removes_token(client: AdminClient, run: Run) -> None:
    assert run("apps", "add", "app", "--auth-token", "first")[1] == "application app added\n"
    assert run("apps", "add", "app", "--auth-token", "second")[1] == (
        "application app already exists: authToken replaced\n"
    )
    assert run("apps", "open", "app") == (0, "application app: authToken removed\n", "")
    assert stored(client) == {"application#app": {}}
    assert run("apps", "open", "app") == (0, "application app: had no authToken, unchanged\n", "")
    assert run("apps", "open", "unknown")[0] == 1


def test_audit_lists_every_change_without_secrets(client: AdminClient, run: Run) -> None:
    secret, token = "a-secret-0123456789", "an-auth-token"
    run("accounts", "add", ACCOUNT)
    run("accounts", "add", ACCOUNT)
    run("apps", "add", "app", "--auth-token", token)
    run("apps", "add", "app", "--auth-token", f"{token}-2", "--strict")
    run("apps", "open", "app")
    run("keys", "issue", "--account", ACCOUNT, "--value", secret, "--name", "backend")
    key_id = digest(secret)[:16]
    run("keys", "revoke", key_id)
    run("keys", "revoke", key_id)
    run("accounts", "remove", ACCOUNT)
    # Entries of one second are in no order.
    assert sorted(audited(run), key=str) == sorted(
        [
            ("add", "account", ACCOUNT, None),
            ("add", "application", "app", "with authToken"),
            ("change", "application", "app", "authToken replaced, strict set to yes"),
            ("change", "application", "app", "authToken removed"),
            ("add", "key", key_id, "backend"),
            ("remove", "key", key_id, None),
            ("remove", "account", ACCOUNT, None),
        ],
        key=str,
    )
    code, out, _ = run("audit", key_id, "--json")
    assert (code, {each["who"] for each in json.loads(out)}, len(json.loads(out))) == (0, {"local"}, 2)
    everything = str(client.scan(TableName="DirectoryTable"))
    assert [secret in everything, token in everything] == [False, False]
    assert run("verify")[0] == 0
    code, out, _ = run("export", "--directory", "--keys")
    assert (code, "audit#" in out) == (0, False)


def test_keys_issue_with_name_and_expiry_lists_them(client: AdminClient, run: Run) -> None:
    code, out, note = run("keys", "issue", "--places", "all", "--name", "the app", "--expires", "2100-01-01")
    assert (code, len(out.splitlines()), note) == (
        0,
        1,
        f"key {digest(out.strip())[:16]} issued; its secret is shown only once:\n",
    )
    assert run("keys", "issue", "--places", "all", "--expires", "30")[0] == 0
    _, listing, _ = run("keys", "list", "--json")
    named, timed = sorted(json.loads(listing), key=lambda each: each["name"] is None)
    assert (named["name"], named["expires_at"], named["issued_by"]) == ("the app", "2100-01-01T00:00:00Z", "local")
    days = datetime.fromisoformat(timed["expires_at"]) - datetime.fromisoformat(timed["created_at"])
    assert (timed["name"], round(days.total_seconds() / 86_400)) == (None, 30)


def test_keys_issue_reads_secret_from_file_and_standard_input(
    client: AdminClient, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "from-a-file-0123456789"
    (tmp_path / "secret").write_text(f"{secret}\n")
    assert run("keys", "issue", "--places", "all", "--value", f"@{tmp_path / 'secret'}")[:2] == (0, f"{secret}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from-a-pipe-0123456789\n"))
    assert run("keys", "issue", "--places", "all", "--value", "-")[:2] == (0, "from-a-pipe-0123456789\n")
    assert run("keys", "issue", "--places", "all", "--value", f"@{tmp_path / 'missing'}")[0] == 2
    (tmp_path / "token").write_text("auth-token")
    assert run("apps", "add", "app", "--auth-token", f"@{tmp_path / 'token'}")[0] == 0
    assert stored(client)["application#app"] == {"auth_token_digest": digest("auth-token")}


def test_keys_list_shows_key_that_expires_after_year_9999(client: AdminClient, run: Run) -> None:
    """A version before could store one."""
    item = to_item(Credential(digest("far"), "places", "read", "2026-01-01T00:00:00Z", expires_at=10**12))
    Stored(client).put(DIRECTORY, item)
    code, out, _ = run("keys", "list", "--json")
    assert (code, [key["expires_at"] for key in json.loads(out)]) == (0, ["9999-12-31T23:59:59Z"])


def test_doctor_tells_of_keys_about_to_expire(client: AdminClient, run: Run) -> None:
    run("keys", "issue", "--places", "all", "--expires", "5")
    run("keys", "issue", "--places", "all", "--expires", "50")
    code, out, _ = run("doctor", "--no-calls", "--json")
    # A memory engine without point-in-time recovery is healthy.
    assert (code, [each for each in json.loads(out) if each["verdict"] == "bad"]) == (0, [])
    notes = [each["detail"] for each in json.loads(out) if each["subject"].startswith("key ")]
    assert [each.partition(" at ")[0] for each in notes] == ["expires"]


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
    assert run("keys", "issue", "--places", "all", "--value", "for-all-0123456789")[0] == 0
    code, out, _ = run("keys", "issue", "--places", PLACE.upper(), "--scope", "read", "--value", "for-one-0123456789")
    assert (code, out) == (0, "for-one-0123456789\n")
    every, one = (
        stored(client)[f"credential#{digest('for-all-0123456789')}"],
        stored(client)[f"credential#{digest('for-one-0123456789')}"],
    )
    assert (every["family"], every["places"], every["scope"]) == ("places", {"all"}, "write")
    assert (one["family"], one["places"], one["scope"]) == ("places", {PLACE}, "read")


def test_keys_issue_for_applications_stores_reach(client: AdminClient, run: Run) -> None:
    run("apps", "add", "first")
    run("apps", "add", "an app")
    assert run("keys", "issue", "--apps", "all", "--scope", "admin", "--value", "for-all-0123456789")[0] == 0
    assert run("keys", "issue", "--apps", "first, an app", "--scope", "read", "--value", "for-two-0123456789")[0] == 0
    every, two = (
        stored(client)[f"credential#{digest('for-all-0123456789')}"],
        stored(client)[f"credential#{digest('for-two-0123456789')}"],
    )
    assert (every["family"], every["applications"], every["scope"]) == ("engagement", {"all"}, "admin")
    assert (two["family"], two["applications"], two["scope"]) == ("engagement", {"first", "an app"}, "read")
    _, listing, _ = run("keys", "list", "--json")
    assert {tuple(each["reach"]) for each in json.loads(listing)} == {("all",), ("an app", "first")}


def test_keys_list_tells_senders_keys_for_all_places_and_for_everything_apart(client: AdminClient, run: Run) -> None:
    run("accounts", "add", ACCOUNT)
    for options in ((), ("--places", "all"), ("--apps", "all", "--account", ACCOUNT)):
        assert run("keys", "issue", "--scope", "sender", *options)[0] == 0
    _, listing, _ = run("keys", "list", "--json")
    assert {tuple(each["reach"]) for each in json.loads(listing)} == {
        ("all accounts", "all applications", "all places"),
        ("all places",),
        (ACCOUNT, "all applications"),
    }


def test_keys_issue_existing_value_is_refused(client: AdminClient, run: Run) -> None:
    run("keys", "issue", "--places", "all", "--scope", "read", "--value", "taken-0123456789")
    before = stored(client)
    code, out, problem = run("keys", "issue", "--places", "all", "--scope", "admin", "--value", "taken-0123456789")
    assert (code, out) == (1, "")
    assert f"already in use as key {digest('taken-0123456789')[:16]}" in problem
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
    run("keys", "issue", "--places", "all", "--value", "short-lived-0123456789")
    run("keys", "issue", "--places", "all", "--value", "other-0123456789")
    key_id = digest("short-lived-0123456789")[:16]
    assert run("keys", "revoke", key_id)[0] == 0
    assert set(stored(client)) == {f"credential#{digest('other-0123456789')}"}
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
        ("apps", "add", "x", "--auth-token", " padded"),
        ("apps", "add", "x", "--auth-token", "naïve"),
        ("apps", "add", "x", "--auth-token", "x" * 4097),
        ("accounts", "add"),
        ("keys", "issue"),
        ("keys", "issue", "--account", ACCOUNT, "--places", "all"),
        ("keys", "issue", "--apps", "all", "--places", "all"),
        ("keys", "issue", "--apps", "one,,two"),
        ("keys", "issue", "--places", f"{PLACE},nonsense"),
        ("keys", "issue", "--places", "all", "--scope", "owner"),
        ("keys", "issue", "--places", "all", "--value", ""),
        ("keys", "issue", "--places", "all", "--value", "fifteen-letters"),
        ("keys", "issue", "--places", "all", "--value", "sixteen letters and blanks"),
        ("keys", "issue", "--places", "all", "--value", "sixteen-letters-ü"),
        ("keys", "issue", "--places", "all", "--expires", "2001-01-01"),
        ("keys", "issue", "--places", "all", "--expires", "0"),
        ("keys", "issue", "--places", "all", "--expires", "soon"),
        ("keys", "issue", "--places", "all", "--expires", "9999-12-31T23:59-12:00"),
        ("keys", "issue", "--places", "all", "--expires", "99999999"),
        ("keys", "issue", "--places", f"{PLACE},"),
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

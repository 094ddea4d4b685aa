"""The pages of the console over a registry, and who may see them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette

from pushreg.schema import DAY, DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID, PLACES_KEY
from pushreg_ops.console.app import create_console
from pushreg_ops.provision import KeyOptions, Provisioner
from pushreg_ops.registry import Registry
from tests.support.stored import Stored
from tests.support.transfer import EPOCH, KSIDS, Merge, device, subscriber, token

pytestmark = pytest.mark.engine

SID = "a-sid-as-long-as-those-of-firebase:0123456789"
TABLES = (DEVICES, DIRECTORY, PLACES, SUBSCRIBERS)
Send = Callable[..., httpx.Response]


@pytest.fixture
def fetch(registry: Registry, stored: Stored) -> Send:
    """Fetches a page of a console over a filled registry; with a form by POST."""
    merge = Merge(registry)
    merge(device("d1", "m1"), device("d2", "m2"))
    merge(subscriber(KSIDS[0], "dev1", SID, ufid="me@example.com", expires_at=EPOCH + 60))
    merge(subscriber(KSIDS[1], "dev2", "sid2", active=False), token("t1"), token("t2", expires_at=EPOCH))
    return open_console(registry)


def open_console(registry: Registry, **options: int) -> Send:
    """Return a function that fetches a page of a new console; with a form by POST."""
    path, routes = create_console(registry, "--stack prod", lambda: datetime.fromtimestamp(EPOCH, UTC), **options)

    async def send(name: str, base: str, headers: Mapping[str, str] | None, form: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
            return await client.request("POST" if form else "GET", base + name, headers=headers, data=form)

    def fetch(name: str, base: str = path, headers: Mapping[str, str] | None = None, **form: str) -> httpx.Response:
        return asyncio.run(send(name, base, headers, form))

    return fetch


def to_text(answer: httpx.Response) -> str:
    """Return the page's text with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def test_console_overview_loads_counts_of_small_registry(fetch: Send) -> None:
    page = fetch("")
    assert page.status_code == 200
    assert 'hx-get="counts" hx-trigger="load, click"' in page.text
    assert "pushreg doctor --stack prod" in page.text
    counts = to_text(fetch("counts"))
    assert "Kazoo 2 registrations in 1 account" in counts
    assert "Engagement 2 registrations, 1 inactive" in counts
    assert "Places 1 registration in 1 place, 1 expired" in counts
    assert ACCOUNT_ID in counts


def test_console_overview_keeps_last_count(registry: Registry, fetch: Send) -> None:
    fetch("counts")
    Merge(registry)(device("d3", "m3"))
    assert "Kazoo 2 registrations in 1 account" in to_text(fetch(""))
    assert "load, click" not in fetch("").text
    assert "Kazoo 3 registrations in 1 account" in to_text(fetch("counts"))


def test_console_overview_of_large_registry_counts_on_request(registry: Registry, fetch: Send) -> None:
    page = open_console(registry, counted_items=1)("")
    assert 'href="counts" hx-get="counts" hx-trigger="click"' in page.text
    # Not 0.0 MB for $0.00.
    assert re.search(r"A scan reads about [1-9]\d* items, 0\.1 MB \(\$0\.01 on demand\)\.", to_text(page))


def test_console_overview_of_empty_registry_counts_nothing(registry: Registry) -> None:
    counts = to_text(open_console(registry)("counts"))
    assert "Kazoo 0 registrations Engagement 0 registrations Places 0 registrations Commands" in counts


@pytest.mark.parametrize(
    ("text", "shown", "command"),
    [
        ("d1", f"account {ACCOUNT_ID} device d1", "pushreg remove --stack prod d1"),
        (KSIDS[0], f"KSID {KSIDS[0]}", f"pushreg remove --stack prod {KSIDS[0]}"),
        (f"  {SID} ", "user me@example.com", "pushreg erase --stack prod --ufid=me@example.com"),
        ("t1", f"place {PLACE_ID}", f"pushreg remove --stack prod {PLACE_ID} - &lt; token.txt"),
        ("demo-app", KSIDS[1], f"pushreg remove --stack prod {KSIDS[1]}"),
    ],
)
def test_console_search_shows_registration_and_commands(fetch: Send, text: str, shown: str, command: str) -> None:
    page = fetch("search", what=text)
    assert page.status_code == 200
    assert shown in to_text(page)
    assert command in page.text


def test_console_search_escapes_hostile_ids_for_page_and_shell(registry: Registry) -> None:
    hostile = "<b>'\x03\n\u202e\x1b[201~"
    Merge(registry)(subscriber(KSIDS[0], hostile, "sid", ufid=hostile))
    page = open_console(registry)("search", what=KSIDS[0]).text
    escaped = r"\x03\x0a\u202e\x1b[201~"
    assert page.count(f"<dd>&lt;b&gt;&#39;{escaped}</dd>") == 2
    # A shell takes pasted control characters for keys, between quotes too.
    assert rf"pushreg erase --stack prod $&#39;--ufid=&lt;b&gt;\&#39;{escaped}&#39;</pre>" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]|<b>", page)


@pytest.mark.parametrize("text", [SID, KSIDS[0]])
def test_console_search_redacts_tokens(fetch: Send, text: str) -> None:
    page = fetch("search", what=text).text
    assert SID not in page
    assert "a-sid-…456789 (45 characters)" in page


def test_console_search_without_key_offers_scan(fetch: Send) -> None:
    page = fetch("search", what="token-of-m1")
    assert "No registration can be looked up by this value" in to_text(page)
    assert 'name="scan"' in page.text
    assert "device d1" not in to_text(page)


def test_console_scan_shows_registration_or_that_there_is_none(fetch: Send) -> None:
    assert "1 registration found Kazoo" in to_text(fetch("search", what="token-of-m1", scan="yes"))
    assert "No registration has this value" in to_text(fetch("search", what="nothing", scan="yes"))


def test_console_search_marks_expired_and_inactive_registrations(fetch: Send) -> None:
    assert "Places expired place" in to_text(fetch("search", what="t2"))
    assert "Engagement inactive KSID" in to_text(fetch("search", what=KSIDS[1]))
    assert "Engagement KSID" in to_text(fetch("search", what=KSIDS[0]))


def test_console_search_marks_inconsistent_registration_and_shows_repair(
    registry: Registry, stored: Stored, fetch: Send
) -> None:
    Merge(registry)(device("d3", "m3"))
    (claim,) = [item for item in stored.items(DEVICES) if item.get("device_id") == "d3" and "document" not in item]
    stored.put(DEVICES, {**claim, "device_id": "d2"})
    page = fetch("search", what="d3")
    assert "Kazoo inconsistent" in to_text(page)
    assert "pushreg verify --repair --stack prod" in page.text


def test_console_search_marks_registration_of_removed_place(registry: Registry, fetch: Send) -> None:
    Provisioner(registry).remove("place", PLACE_ID, "place")
    assert "Places out of reach" in to_text(fetch("search", what=PLACE_ID))


@pytest.mark.parametrize(
    ("form", "status", "reason"),
    [
        ({"what": " "}, 400, "Nothing to look up: enter an id or a token."),
        ({"other": "x"}, 400, "Nothing to look up: enter an id or a token."),
        ({"what": "x" * 20_000}, 413, "This is too long to be an id or a token."),
    ],
)
def test_console_search_with_invalid_form_shows_reason(
    fetch: Send, form: Mapping[str, str], status: int, reason: str
) -> None:
    page = fetch("search", **form)
    assert page.status_code == status
    assert reason in to_text(page)
    assert len(page.content) < 8000


@pytest.mark.parametrize("text", ["x" * 4096, "é" * 2000, "\0\ud7ff'\"<b>"])
def test_console_search_for_any_text_finds_nothing(fetch: Send, text: str) -> None:
    page = fetch("search", what=text)
    assert page.status_code == 200
    assert "No registration can be looked up by this value" in to_text(page)
    assert "<b>" not in page.text


def test_console_search_shows_audit_of_owner_and_of_key(registry: Registry, fetch: Send) -> None:
    assert "Audit" not in to_text(fetch("search", what="d1"))
    provisioner = Provisioner(registry)
    provisioner.remove("place", PLACE_ID, "place")
    provisioner.add_place(PLACE_ID)
    key, secret = provisioner.issue_places_key(frozenset({PLACE_ID}), "write")
    for text in ("t1", PLACE_ID):
        page = to_text(fetch("search", what=text))
        for action in ("add", "remove"):
            assert f"{action} place {PLACE_ID}, by local" in page.partition("Audit")[2]
        assert key.key_id not in page
    found = fetch("search", what=key.key_id)
    assert f"add key {key.key_id}" in to_text(found)
    assert secret not in found.text


def test_console_changes_without_streams_shows_reason(fetch: Send) -> None:
    page = fetch("changes")
    assert page.status_code == 502
    assert "has no stream: deploy with ChangeFeed=true" in to_text(page)


def test_console_keys_are_listed_without_secrets(registry: Registry, fetch: Send) -> None:
    page = fetch("keys")
    keys = Provisioner(registry).list_keys()
    assert len(keys) == 4
    for key in keys:
        assert f"{key.key_id} name -" in to_text(page)
        assert f"pushreg keys revoke --stack prod {key.key_id}" in page.text
        assert key.secret_digest not in page.text
    assert PLACES_KEY not in page.text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (
            None,
            "{id} name a caller family places reach all scope write created {created} issued by local expires never",
        ),
        (20 * DAY, "{id} name a caller"),
        (13 * DAY, "{id} expires soon name a caller"),
        (0, "{id} expired name a caller"),
    ],
)
def test_console_keys_show_expiry(registry: Registry, fetch: Send, seconds: int | None, shown: str) -> None:
    expires_at = None if seconds is None else EPOCH + seconds
    options = KeyOptions(name="a caller", expires_at=expires_at)
    key, _ = Provisioner(registry).issue_places_key(frozenset({"all"}), "write", options)
    page = to_text(fetch("keys"))
    assert shown.format(id=key.key_id, created=key.created_at) in page
    assert ("expires 2" in page) == (seconds is not None)


def test_console_changes_nothing(registry: Registry, stored: Stored, fetch: Send) -> None:
    before = {table: stored.items(table) for table in TABLES}
    for name in ("", "counts", "search", "keys"):
        assert fetch(name).status_code == 200
    for text in ("d1", KSIDS[0], "t1", "nothing"):
        assert fetch("search", what=text, scan="yes").status_code == 200
    assert {table: stored.items(table) for table in TABLES} == before


@pytest.mark.parametrize(
    "path", ["/console/", "/console/wrong/", "/console/wrong/keys", "/console/é/", "/console/%0a/"]
)
def test_console_without_token_returns_404(fetch: Send, path: str) -> None:
    assert fetch("", path).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:3000", 200), ("evil.example", 400), ("127.0.0.1.evil.example", 400)]
)
def test_console_answers_only_to_loopback_hosts(fetch: Send, host: str, status: int) -> None:
    for name in ("", "keys", "style.css"):
        assert fetch(name, headers={"Host": host}).status_code == status


def test_console_addresses_of_two_consoles_differ(registry: Registry) -> None:
    assert create_console(registry, "--local")[0] != create_console(registry, "--local")[0]


@pytest.mark.parametrize("name", ["", "counts", "search", "changes", "keys"])
def test_console_page_has_one_part_that_htmx_replaces(fetch: Send, name: str) -> None:
    page = fetch(name).text
    assert 'hx-target="#content" hx-select="#content"' in page
    assert page.count('id="content"') == (0 if name == "keys" else 1)


def test_console_files_and_pages_have_strict_policy(fetch: Send) -> None:
    page = fetch("")
    names = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert {"htmx.js", "copy.js", "style.css", "console.css", "icon.svg"} < set(names)
    for name in names:
        answer = fetch(name.removeprefix("./"))
        # This registry has no streams, so the page of changes says why it is empty.
        assert answer.status_code == (502 if name == "changes" else 200), name
        assert answer.content
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert not any("unsafe" in sources or "*" in sources or "http" in sources for sources in policy.values())
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("name", "form"), [("", {}), ("counts", {}), ("keys", {}), ("search", {"what": "d1"})])
def test_console_with_missing_table_shows_reason(stored: Stored, name: str, form: Mapping[str, str]) -> None:
    missing = Registry("the stack prod", stored.client, dict.fromkeys(TABLES, "Missing"))
    page = open_console(missing)(name, **form)
    assert page.status_code == 502
    assert re.search("(A table of the stack prod is missing|The stack prod did not answer)", page.text)

"""The console as `pushreg console` serves it, and in a real browser as the local stack does."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushreg_local.demo import PLACE_ID
from tests.support.browser import SCHEMES, WIDTHS, Tab
from tests.support.stack import DYNAMODB_LOCAL, MEMORY, PATIENCE, PUSHREG, Stack, clean_environ, run_pushreg, run_stack

PLACES_CALL = {"Authorization": "Bearer demo-places-key", "Content-Type": "application/json"}
OTHER_PLACE_ID = "2ee68c4e-7008-4227-a92d-e1b13ac64f31"
TOKEN = "a-token-as-long-as-those-of-firebase:0123456789"
OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def filled_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One token at two places, one of which has an audit entry, and a key that expires soon."""
    folder = tmp_path_factory.mktemp("console")
    with run_stack(folder, engine=MEMORY) as running:
        for command in (["places", "add", OTHER_PLACE_ID], ["keys", "issue", "--places=all", "--expires=1"]):
            done = run_pushreg(*command, "--local", cwd=folder, PUSHREG_ENDPOINT=running.endpoint)
            assert done.returncode == 0, done.stderr
        for place_id in (PLACE_ID, OTHER_PLACE_ID):
            send_token(running, "PUT", TOKEN, place_id)
        yield running


@pytest.fixture(scope="module")
def stack_with_streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("streams"), engine=DYNAMODB_LOCAL) as running:
        yield running


@pytest.fixture
def address(filled_stack: Stack) -> str:
    return find_address(filled_stack)


@pytest.fixture
def open_tab(browser: Any) -> Iterator[OpenTab]:
    """Opens a page in the browser; closed after the test."""
    tabs: list[Tab] = []

    def open_page(*arguments: Any) -> Tab:
        tabs.append(Tab(browser, *arguments))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        tab.page.close()


def send_token(stack: Stack, method: str, token: str, place_id: str = PLACE_ID) -> None:
    """Register the token at the place, or remove it."""
    body = json.dumps({"device_token": token}).encode()
    assert stack.send(method, f"/dts/places/{place_id}/subscriptions", PLACES_CALL, body)[0] == 200


def find_address(stack: Stack) -> str:
    """Return the console's address, which the local stack printed."""
    found = re.search(r"^Console: (\S+)$", stack.output, re.MULTILINE)
    assert found is not None
    return found[1]


def test_console_command_serves_until_signal(filled_stack: Stack, tmp_path: Path) -> None:
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": filled_stack.endpoint}
    command = [str(PUSHREG), "console", "--local"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.match(r"Console: (http://127\.0\.0\.1:\d+/console/[\w-]{32}/) ", process.stdout.readline())
            assert found is not None
            page = httpx.get(f"{found[1]}keys", timeout=PATIENCE)
            assert page.status_code == 200
            assert "pushreg keys revoke --local" in page.text
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


# The paths of pages, and what is shown when they are complete; this stack has no streams.
PAGES = {
    "overview": ("", ".bars"),
    "search": ("search", "#what"),
    "keys": ("keys", ".badge.bad"),
    "problem": ("changes", ".problem"),
}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_pages_fit_and_have_no_errors_or_serious_violations(
    open_tab: OpenTab, address: str, width: str, scheme: str, tmp_path: Path
) -> None:
    tab = open_tab(address, WIDTHS[width], scheme)
    for name, (path, content) in PAGES.items():
        tab.page.goto(address + path)
        tab.page.wait_for_selector(content)
        check_page(tab, tmp_path / f"{name}-{width}-{scheme}.png")
    # The browser itself complains of the problem's status.
    assert [text for text in tab.complaints if "502 (Bad Gateway)" not in text] == []
    assert [url for url in tab.requests if not url.startswith(address)] == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_search_results_fit_and_have_no_errors_or_serious_violations(
    open_tab: OpenTab, address: str, width: str, scheme: str, tmp_path: Path
) -> None:
    tab = open_tab(f"{address}search", WIDTHS[width], scheme)
    for name, text, content in (("results", TOKEN, "ol.lines li"), ("scan", "nothing", "button[name=scan]")):
        tab.page.fill("#what", text)
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector(content)
        assert tab.page.locator("article").count() == (2 if name == "results" else 0)
        check_page(tab, tmp_path / f"{name}-{width}-{scheme}.png")
    assert tab.complaints == []


def check_page(tab: Tab, picture: Path) -> None:
    """Take a picture; fail if the page is wider than the window or has serious accessibility violations."""
    tab.page.screenshot(path=picture, full_page=True)
    assert tab.find_violations() == []
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_console_search_by_keyboard_shows_registrations_with_redacted_token(open_tab: OpenTab, address: str) -> None:
    tab = open_tab(f"{address}search", WIDTHS["phone"])
    tab.page.keyboard.type(TOKEN)
    tab.page.keyboard.press("Enter")
    tab.page.locator("article").first.wait_for()
    texts = tab.page.locator("article").all_inner_texts()
    assert ["a-toke…456789 (47 characters)" in text for text in texts] == [True, True]
    assert f"add place {OTHER_PLACE_ID}, by local" in tab.page.locator("ol.lines").inner_text()
    # What is typed in stays in the form.
    assert tab.page.input_value("#what") == TOKEN
    assert TOKEN not in tab.page.content()
    assert tab.page.url == f"{address}search"
    assert tab.complaints == []


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_changes_show_what_happens_while_page_is_open(
    open_tab: OpenTab, stack_with_streams: Stack, width: str, scheme: str, tmp_path: Path
) -> None:
    base = find_address(stack_with_streams)
    tab = open_tab(f"{base}changes", WIDTHS[width], scheme)
    token = f"{TOKEN}-{width}-{scheme}"
    for method, line in (("PUT", "created"), ("DELETE", "removed")):
        send_token(stack_with_streams, method, token)
        digest = hashlib.sha256(token.encode()).hexdigest()[:12]
        tab.page.locator("li", has_text=digest).filter(has_text=line).first.wait_for()
    assert token not in tab.page.content()
    check_page(tab, tmp_path / f"changes-{width}-{scheme}.png")
    assert tab.complaints == []


@pytest.mark.browser
def test_console_scan_and_drill_down_follow_links(open_tab: OpenTab, address: str) -> None:
    tab = open_tab(f"{address}search", WIDTHS["desktop"])
    tab.page.fill("#what", "nothing")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Scan").click()
    tab.page.get_by_text("No registration has this value").wait_for()
    tab.page.goto(address)
    tab.page.get_by_role("button", name=OTHER_PLACE_ID).click()
    assert OTHER_PLACE_ID in tab.page.locator("article").inner_text()
    assert tab.complaints == []


@pytest.mark.browser
def test_console_copies_command(open_tab: OpenTab, address: str) -> None:
    tab = open_tab(address, WIDTHS["desktop"])
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.get_by_role("button", name="Copy the command pushreg doctor --local").click()
    tab.page.get_by_text("Copied").wait_for()
    assert tab.page.evaluate("navigator.clipboard.readText()") == "pushreg doctor --local"

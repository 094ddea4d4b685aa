"""The console as `pushreg console` serves it, and in a real browser as the local stack does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushreg_local.demo import PLACE_ID
from tests.support.browser import SCHEMES, WIDTHS, Tab
from tests.support.stack import DYNAMODB_LOCAL, MEMORY, PATIENCE, PUSHREG, Stack, clean_environ, run_stack

PLACES_CALL = {"Authorization": "Bearer demo-places-key", "Content-Type": "application/json"}
TOKEN = "a-token-as-long-as-those-of-firebase:0123456789"


@pytest.fixture(scope="module")
def filled_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("console"), engine=MEMORY) as running:
        body = f'{{"device_token":"{TOKEN}"}}'.encode()
        assert running.send("PUT", f"/dts/places/{PLACE_ID}/subscriptions", PLACES_CALL, body)[0] == 200
        yield running


@pytest.fixture(scope="module")
def stack_with_streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("streams"), engine=DYNAMODB_LOCAL) as running:
        yield running


@pytest.fixture
def address(filled_stack: Stack) -> str:
    return find_address(filled_stack)


def find_address(stack: Stack) -> str:
    """Return the console's address, which the local stack printed."""
    found = re.search(r"^Console: (\S+)$", stack.output, re.MULTILINE)
    assert found is not None
    return found[1]


def test_console_command_serves_until_signal(filled_stack: Stack, tmp_path: Path) -> None:
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": filled_stack.endpoint}
    command = [str(PUSHREG), "console", "--local"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.match(r"Console: (http://127\.0\.0\.1:\d+/console/[\w-]{32}/) ", process.stdout.readline())
        assert found is not None
        page = httpx.get(f"{found[1]}keys", timeout=PATIENCE)
        assert page.status_code == 200
        assert "pushreg keys revoke --local" in page.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        process.communicate()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_pages_fit_and_have_no_errors_or_serious_violations(
    browser: Any, address: str, width: str, scheme: str, tmp_path: Path
) -> None:
    tab = Tab(browser, address, WIDTHS[width], scheme)
    for name, content in (("", ".bars"), ("search", "#what"), ("keys", "article")):
        tab.page.goto(address + name)
        tab.page.wait_for_selector(content)
        tab.page.screenshot(path=tmp_path / f"{name or 'overview'}-{width}-{scheme}.png", full_page=True)
        assert tab.find_violations() == []
        assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(address)] == []
    tab.page.close()


@pytest.mark.browser
def test_console_search_by_keyboard_shows_registration_with_redacted_token(browser: Any, address: str) -> None:
    tab = Tab(browser, f"{address}search", WIDTHS["phone"])
    tab.page.keyboard.type(TOKEN)
    tab.page.keyboard.press("Enter")
    article = tab.page.locator("article")
    article.wait_for()
    assert "a-toke…456789 (47 characters)" in article.inner_text()
    assert TOKEN not in article.inner_text()
    assert TOKEN not in tab.page.url
    assert tab.find_violations() == []
    assert tab.complaints == []
    tab.page.close()


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_changes_show_what_happens_while_page_is_open(
    browser: Any, stack_with_streams: Stack, width: str, scheme: str, tmp_path: Path
) -> None:
    base = find_address(stack_with_streams)
    tab = Tab(browser, f"{base}changes", WIDTHS[width], scheme)
    token = f"{TOKEN}-{width}-{scheme}"
    for method, line in (("PUT", "created"), ("DELETE", "removed")):
        body = json.dumps({"device_token": token}).encode()
        path = f"/dts/places/{PLACE_ID}/subscriptions"
        assert stack_with_streams.send(method, path, PLACES_CALL, body)[0] == 200
        digest = hashlib.sha256(token.encode()).hexdigest()[:12]
        tab.page.locator("li", has_text=digest).filter(has_text=line).first.wait_for()
    assert token not in tab.page.content()
    tab.page.screenshot(path=tmp_path / f"changes-{width}-{scheme}.png", full_page=True)
    assert tab.find_violations() == []
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.complaints == []
    tab.page.close()


@pytest.mark.browser
def test_console_scan_and_drill_down_follow_links(browser: Any, address: str) -> None:
    tab = Tab(browser, f"{address}search", WIDTHS["desktop"])
    tab.page.fill("#what", "nothing")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Scan").click()
    tab.page.get_by_text("No registration has this value").wait_for()
    tab.page.goto(address)
    tab.page.get_by_role("button", name=PLACE_ID).click()
    tab.page.locator("article").first.wait_for()
    assert tab.complaints == []
    tab.page.close()


@pytest.mark.browser
def test_console_copies_command(browser: Any, address: str) -> None:
    tab = Tab(browser, address, WIDTHS["desktop"])
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.get_by_role("button", name="Copy the command pushreg doctor --local").click()
    tab.page.get_by_text("Copied").wait_for()
    assert tab.page.evaluate("navigator.clipboard.readText()") == "pushreg doctor --local"
    tab.page.close()

"""The documentation page in a real browser, against a running stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushreg_local.demo_issuer import sign_token
from tests.support.browser import SCHEMES, WIDTHS, Tab
from tests.support.stack import MEMORY, PATIENCE, Stack, run_stack

pytestmark = pytest.mark.browser

# What no two answers share.
CHANCE = {"node", "request_id", "timestamp", "revision", "ksid"}


class DocsTab(Tab):
    """The documentation page in a tab."""

    def __init__(self, browser: Any, url: str, size: tuple[int, int], scheme: str = "light") -> None:
        super().__init__(browser, f"{url}/docs", size, scheme)
        self.page.wait_for_selector("body[data-ready]")
        self.page.wait_for_selector(".opblock")

    def open_sections(self) -> None:
        """Open the first operation of each section."""
        for section in self.page.locator(".opblock-tag-section").all():
            section.locator(".opblock-summary-control").first.click()
            section.locator(".opblock-body").first.wait_for()

    def execute(self, operation: str, media_type: str = "application/json", example: str = "") -> tuple[int, str]:
        """Try the operation with the example of that name, else the first; return status and text of the answer."""
        block = self.page.locator(f".opblock[id$='-{operation}']")
        if not block.locator(".opblock-body").count():
            block.locator(".opblock-summary-control").click()
        body = block.locator(".opblock-section-request-body")
        if body.count():
            body.locator(".content-type").select_option(media_type)
        if example:
            body.locator(".examples-select-element").select_option(example)
        with self.page.expect_response(lambda answer: answer.request.resource_type == "fetch") as caught:
            block.locator("button.execute").click()
        answer = caught.value
        shown = block.locator(".live-responses-table .response-col_status", has_text=str(answer.status))
        shown.first.wait_for()
        return answer.status, answer.text()


@pytest.fixture(scope="module")
def fresh_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("docs-page"), engine=MEMORY) as running:
        yield running


@pytest.fixture(scope="module")
def document(fresh_stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{fresh_stack.url}/openapi.json", timeout=PATIENCE).json()
    return found


@pytest.fixture(scope="module")
def tab(browser: Any, fresh_stack: Stack) -> Iterator[DocsTab]:
    opened = DocsTab(browser, fresh_stack.url, WIDTHS["desktop"])
    yield opened
    # The browser itself complains of each 4xx.
    assert [text for text in opened.complaints if "Failed to load resource" not in text] == []
    opened.page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_docs_page_loads_without_errors_or_external_requests(
    browser: Any, fresh_stack: Stack, width: str, scheme: str, tmp_path: Path
) -> None:
    tab = DocsTab(browser, fresh_stack.url, WIDTHS[width], scheme)
    tab.page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    tab.open_sections()
    tab.page.screenshot(path=tmp_path / f"{width}-{scheme}-open.png", full_page=True)
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith((f"{fresh_stack.url}/", "data:"))] == []
    assert tab.page.title() == "Pushreg"
    is_dark = tab.page.evaluate("document.documentElement.classList.contains('dark-mode')")
    assert is_dark == (scheme == "dark")
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_docs_page_with_opened_and_executed_operations_has_no_serious_violations(
    browser: Any, fresh_stack: Stack, scheme: str
) -> None:
    tab = DocsTab(browser, fresh_stack.url, WIDTHS["desktop"], scheme)
    tab.open_sections()
    assert tab.execute("registerDevice")[0] == 200
    assert tab.execute("locate")[0] == 400
    assert tab.find_violations() == []
    tab.page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_docs_page_authorization_dialog_has_no_serious_violations(
    browser: Any, fresh_stack: Stack, scheme: str
) -> None:
    tab = DocsTab(browser, fresh_stack.url, WIDTHS["desktop"], scheme)
    tab.page.locator("button.authorize").first.click()
    tab.page.locator(".auth-container").first.wait_for()
    assert tab.find_violations() == []
    tab.page.close()


def test_root_and_unknown_path_lead_browser_to_docs_page(browser: Any, fresh_stack: Stack) -> None:
    tab = DocsTab(browser, fresh_stack.url, WIDTHS["desktop"])
    tab.page.goto(f"{fresh_stack.url}/")
    assert tab.page.url == f"{fresh_stack.url}/docs"
    answer = tab.page.goto(f"{fresh_stack.url}/no/such")
    assert answer.status == 404
    tab.page.get_by_role("link").first.click()
    tab.page.wait_for_url(f"{fresh_stack.url}/docs")
    tab.page.close()


def test_docs_page_shows_every_operation_and_command(tab: DocsTab, document: dict[str, Any]) -> None:
    assert tab.page.locator(".opblock").count() == len(list_operations(document))
    assert tab.page.locator("#commands h2").all_inner_texts() == ["Kazoo", "Engagement", "Places", "Senders"]
    assert all(text.startswith("curl ") for text in tab.page.locator(".command pre").all_inner_texts())


def test_docs_page_kazoo_operations_return_documented_answers(tab: DocsTab, document: dict[str, Any]) -> None:
    for operation, status in [
        ("createSubscription", 201),
        ("fetchSubscription", 200),
        ("replaceSubscription", 200),
        ("removeSubscription", 200),
    ]:
        answer = tab.execute(operation)
        assert answer[0] == status
        assert settle(answer[1]) == settle(find_example(document, operation, status))


# What is tried with which example, and the status and example of the answer; a subscriber comes back with an update.
SUBSCRIBE, UPDATE, UNSUBSCRIBE = "subscription-successful", "update-successful", "unsubscription-successful"
ENGAGEMENT_STEPS = [
    ("subscribeVpns", "application/json", SUBSCRIBE, 200, SUBSCRIBE),
    ("subscribeVpns", "application/json", SUBSCRIBE, 201, ""),
    ("subscribeVpns", "application/json", UPDATE, 200, UPDATE),
    ("subscribeVpns", "application/json", UNSUBSCRIBE, 200, UNSUBSCRIBE),
    ("subscribe", "application/json", UNSUBSCRIBE, 200, "already-unsubscribed"),
    ("subscribeKpns", "text/xml", SUBSCRIBE, 200, None),
    ("subscribeKpns", "text/xml", SUBSCRIBE, 201, ""),
    ("subscribeModern", "application/json", SUBSCRIBE, 200, None),
    ("locate", "application/json", "", 400, None),
    ("listSubscribers", "application/json", "", 200, None),
]


def test_docs_page_engagement_operations_return_documented_answers(tab: DocsTab, document: dict[str, Any]) -> None:
    for operation, media_type, tried, expected, told in ENGAGEMENT_STEPS:
        status, text = tab.execute(operation, media_type, tried)
        assert (operation, status) == (operation, expected)
        if told is not None:
            assert settle(text) == settle(find_example(document, operation, expected, media_type, told))


def test_docs_page_places_operations_return_documented_answers(tab: DocsTab, document: dict[str, Any]) -> None:
    for operation in ("registerDevice", "unregisterDevice"):
        status, text = tab.execute(operation)
        assert status == 200
        assert settle(text) == settle(find_example(document, operation, 200))


def test_docs_page_takes_demo_token_in_place_of_key(browser: Any, fresh_stack: Stack) -> None:
    token = sign_token(fresh_stack.log.parent / ".data", "kazoo")
    tab = DocsTab(browser, fresh_stack.url, WIDTHS["desktop"])
    for secret, status in ((f"{token[:-8]}AAAAAAAA", 401), (token, 201)):
        tab.page.locator("button.authorize").first.click()
        scheme = tab.page.locator(".auth-container").filter(has_text="kazooToken")
        scheme.get_by_role("button", name="Remove authorization").click()
        scheme.locator("input").fill(secret)
        scheme.get_by_role("button", name="Apply credentials").click()
        scheme.locator(".btn-done").click()
        assert tab.execute("createSubscription")[0] == status
    assert tab.execute("removeSubscription")[0] == 200
    tab.page.close()


def test_docs_page_without_demo_data_has_no_credentials(browser: Any, tmp_path: Path) -> None:
    with run_stack(tmp_path, "--no-demo", engine=MEMORY) as bare:
        tab = DocsTab(browser, bare.url, WIDTHS["desktop"])
        assert tab.page.locator(".command").count() == 0
        assert "no demo data" in tab.page.locator("#state").inner_text()
        assert tab.execute("createSubscription")[0] == 401
        tab.page.close()


def list_operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operations; a path's parameters are no operation."""
    return [item for path in document["paths"].values() for item in path.values() if "operationId" in item]


def find_example(
    document: dict[str, Any], operation: str, status: int, media_type: str = "application/json", name: str = ""
) -> str:
    """Return the documented body of the operation's answer, as text."""
    (found,) = [each for each in list_operations(document) if each["operationId"] == operation]
    answer = follow(document, found["responses"][str(status)])["content"][media_type]
    if "example" in answer:
        value = answer["example"]
    else:
        examples = answer["examples"]
        value = follow(document, examples[name or next(iter(examples))])["value"]
    return value if isinstance(value, str) else json.dumps(value)


def follow(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return what the part refers to, or itself."""
    for name in part.get("$ref", "").removeprefix("#/").split("/"):
        part = document = document[name] if name else part
    return part


def settle(text: str) -> Any:
    """Return the body with a fixed value where no two answers are alike."""
    if text.startswith("<"):
        return re.sub(r"<ksid>[1-9][0-9]{18}</ksid>", "<ksid/>", text)
    return fix_members(json.loads(text))


def fix_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: name if name in CHANCE else fix_members(member) for name, member in value.items()}
    return value

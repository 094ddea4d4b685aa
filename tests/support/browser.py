"""Chromium, driven by Playwright, and one opened page in it."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.stack import PATIENCE

WIDTHS = {"desktop": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
SCHEMES = ("light", "dark")
# As root there is no sandbox to be had; the others keep Chromium from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def run_browser() -> Iterator[Any]:
    """Run the Chromium on the PATH; skip the test without it or Playwright."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        playwright = importlib.import_module("playwright.sync_api")
    except ImportError:
        playwright = None
    if chromium is None or playwright is None:
        pytest.skip("needs Chromium on the PATH, and Playwright as `make test-browser` installs it")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


class Tab:
    """One opened page, the errors that the browser reported and the addresses that it asked for."""

    def __init__(self, browser: Any, url: str, size: tuple[int, int], scheme: str = "light") -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def find_violations(self) -> list[str]:
        """Return what axe-core finds serious or critical on the page, one line for each element."""
        axe = importlib.import_module("axe_playwright_python.sync_playwright").Axe()
        # A button that is fading between two colours has a contrast of neither.
        self.page.evaluate(
            "Promise.allSettled(document.getAnimations().filter(each => each instanceof CSSTransition)"
            ".map(each => each.finished))"
        )
        # Scripts that Playwright evaluates are not subject to the page's content policy.
        return [
            f"{violation['id']}: {node['target']} {node['any'][0]['message'] if node['any'] else ''}"
            for violation in axe.run(self.page).response["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

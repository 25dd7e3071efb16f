"""A browser, the page in it, and a service with scripted data behind it."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.dashboard.fake_server import FakeService, running

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
OUTAGE = r"ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|WebSocket connection to .* failed"
_WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Window:
    """A page, and everything it did that it should not have done."""

    page: Page
    service: FakeService
    faults: list[str] = field(default_factory=list)
    tolerated: re.Pattern[str] = re.compile("$^")

    def open(self, session: str | None = None) -> Page:
        """Open the list, or a session, and wait until it is live."""
        self.page.goto(self.service.url + (f"/#/session/{session}" if session else "/"))
        self.is_live()
        return self.page

    def is_live(self) -> None:
        """Wait until it is."""
        expect(self.page.locator(".connection-text")).to_have_text("Live")

    def text(self, selector: str) -> str:
        """Give the text that can be seen there."""
        return self.page.locator(selector).inner_text()

    def tolerate(self, pattern: str) -> None:
        """Let the browser itself complain of this: no page can prevent it."""
        self.tolerated = re.compile(pattern)

    def on_console(self, message: ConsoleMessage) -> None:
        """Note errors and warnings."""
        if message.type in {"error", "warning"} and not self.tolerated.search(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        """Note requests to anywhere else."""
        if not request.url.startswith(self.service.url):
            self.faults.append(f"request to {request.url}")


Open = Callable[..., Window]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # One per module: while a browser is up, no other test of the process can run an event loop.
    if not CHROMIUM.exists():
        how = f"needs {CHROMIUM}: apt-get install chromium"
        if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
            pytest.fail(how)
        pytest.skip(how)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def service() -> Iterator[FakeService]:
    with running(FakeService()) as service:
        yield service


@pytest.fixture
def open_window(browser: Browser, service: FakeService) -> Iterator[Open]:
    """Open windows that must end without a console error, a CSP violation or a foreign request."""
    windows: list[Window] = []

    def open_one(**options: Any) -> Window:
        context = browser.new_context(timezone_id="UTC", locale="en-GB", **options)
        context.add_init_script(_WATCH_POLICY)
        page = context.new_page()
        window = Window(page, service)
        page.on("console", window.on_console)
        page.on("pageerror", lambda error: window.faults.append(f"uncaught: {error}"))
        page.on("request", window.on_request)
        windows.append(window)
        return window

    yield open_one
    for window in windows:
        window.page.context.close()
    assert [window.faults for window in windows] == [[] for _ in windows]


@pytest.fixture
def window(open_window: Open) -> Window:
    return open_window()

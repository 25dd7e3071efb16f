"""Fixtures: a browser, and pages of a fake service with scripted data or of the real one."""

import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.dashboard.fake_server import FakeService, running

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # names of other machines, for origins
)
NOT_STORED = re.compile(r"/about$")  # 404 for a session that has no rows
OUTAGE_ERRORS = r"ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|WebSocket connection to .* failed"
_REPORT_CSP_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""


class RealService(NamedTuple):
    """A dashboard on real servers, or a proxy before it."""

    url: str


@dataclass
class Window:
    """A page, and its errors: console errors, CSP violations and requests to other origins."""

    page: Page
    service: Any  # a FakeService or a RealService
    errors: list[str] = field(default_factory=list)
    ignored: re.Pattern[str] = re.compile("$^")

    def open(self, session: str | None = None) -> Page:
        """Open the list or a session, and wait until the page is connected."""
        self.page.goto(self.service.url + (f"/#/session/{session}" if session else "/"))
        self.wait_until_live()
        return self.page

    def wait_until_live(self) -> None:
        """Wait until the page is connected."""
        expect(self.page.locator(".connection-text")).to_have_text("Live")

    def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        return self.page.locator(selector).inner_text()

    def ignore(self, pattern: str) -> None:
        """Ignore console messages that the browser writes and no page can prevent."""
        self.ignored = re.compile(pattern)

    def on_console(self, message: ConsoleMessage) -> None:
        """Record errors and warnings."""
        if "status of 404" in message.text and NOT_STORED.search(message.location["url"]):
            return
        if message.type in {"error", "warning"} and not self.ignored.search(message.text):
            self.errors.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        """Record requests to other origins."""
        if not request.url.startswith(self.service.url):
            self.errors.append(f"request to {request.url}")


Open = Callable[..., Window]
OpenPageOf = Callable[..., Window]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Scope: Playwright runs an event loop in this thread, so no other test could start one.
    if not CHROMIUM.exists():
        reason = f"needs {CHROMIUM}: apt-get install chromium"
        if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def service() -> Iterator[FakeService]:
    with running(FakeService()) as service:
        yield service


@pytest.fixture
def open_page_of(browser: Browser) -> Iterator[OpenPageOf]:
    """Return a function that opens a window, and check at the end that no window has errors."""
    windows: list[Window] = []

    def open_one(service: FakeService | RealService, **options: Any) -> Window:
        context = browser.new_context(**{"timezone_id": "UTC", "locale": "en-GB", **options})
        context.add_init_script(_REPORT_CSP_VIOLATIONS)
        page = context.new_page()
        window = Window(page, service)
        page.on("console", window.on_console)
        page.on("pageerror", lambda error: window.errors.append(f"uncaught: {error}"))
        page.on("request", window.on_request)
        windows.append(window)
        return window

    yield open_one
    for window in windows:
        window.page.context.close()
    assert [window.errors for window in windows] == [[] for _ in windows]


@pytest.fixture
def open_real(open_page_of: OpenPageOf) -> Open:
    """Return a function that opens a window of a real service."""

    def open_one(address: str, **options: Any) -> Window:
        return open_page_of(RealService(address.rstrip("/")), **options)

    return open_one


@pytest.fixture
def open_window(service: FakeService, open_page_of: OpenPageOf) -> Open:
    """Return a function that opens a window of the fake service."""
    # In this order, so that windows are closed before the service stops.
    return functools.partial(open_page_of, service)


def expect_address(page: Page, end: str) -> None:
    """Wait until the address of the page ends like this."""
    expect(page).to_have_url(re.compile(re.escape(end) + "$"))


@pytest.fixture
def window(open_window: Open) -> Window:
    return open_window()

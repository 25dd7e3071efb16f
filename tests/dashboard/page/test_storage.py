"""The page works where the browser blocks its storage, or has no room in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import ARGUMENTS, CHROMIUM, Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, update_with_score

BLOCKED = {"profile": {"default_content_setting_values": {"cookies": 2}}}
_FULL = """Storage.prototype.setItem = () => {
  throw new DOMException("no room", "QuotaExceededError");
};"""


@pytest.fixture
def window_without_storage(
    browser: Browser, service: FakeService, tmp_path: Path
) -> Iterator[Window]:
    """A window of a browser whose user blocks cookies and other data of sites."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps(BLOCKED))
    context = browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=CHROMIUM, args=ARGUMENTS, timezone_id="UTC", locale="en-GB"
    )
    window = Window(context.pages[0], service)
    window.page.on("console", window.on_console)
    window.page.on("pageerror", lambda error: window.errors.append(f"uncaught: {error}"))
    yield window
    context.close()
    assert window.errors == []


def test_the_page_works_where_the_browser_blocks_storage(
    window_without_storage: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window_without_storage.open()
    assert _storage_error(page) == "SecurityError"
    expect(page.locator(".row-score")).to_have_text("50%")
    page.get_by_role("radio", name="By name").check()
    page.locator(".theme-toggle").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.7))
    expect(page.locator(".row-score")).to_have_text("70%")


def test_a_token_in_the_address_is_used_where_the_browser_blocks_storage(
    window_without_storage: Window, service: FakeService
) -> None:
    service.token = "header.payload.signature"
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window_without_storage.page
    page.goto(f"{service.url}/#token={service.token}&/session/keynote")
    window_without_storage.wait_until_live()
    expect(page.locator(".score-number")).to_have_text("50")
    expect(page.locator(".card-points").first).to_contain_text("of 30 points")
    assert page.url == f"{service.url}/#/session/keynote"


def test_a_token_that_is_entered_is_used_where_the_browser_blocks_storage(
    window_without_storage: Window, service: FakeService
) -> None:
    window_without_storage.ignore("401")
    service.token = "right"
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window_without_storage.page
    page.goto(service.url)
    page.get_by_role("dialog").get_by_label("Token").fill("right")
    page.keyboard.press("Enter")
    window_without_storage.wait_until_live()
    expect(page.locator(".row-score")).to_have_text("50%")


def test_the_page_works_where_storage_is_full(open_window: Open, service: FakeService) -> None:
    service.token = "right"
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    window = open_window()
    window.page.add_init_script(_FULL)
    page = window.page
    page.goto(f"{service.url}/#token=right")
    window.wait_until_live()
    expect(page.locator(".row-score")).to_have_text("50%")
    page.get_by_role("radio", name="By name").check()
    page.locator(".theme-toggle").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def _storage_error(page: Page) -> str:
    name: str = page.evaluate(
        """() => {
          try { localStorage.length; return ""; } catch (error) { return error.name; }
        }"""
    )
    return name

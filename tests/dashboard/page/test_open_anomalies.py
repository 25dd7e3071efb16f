"""Open anomalies of all sessions: in the list, in the title of the tab, and as notifications."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import (
    NOON_MS,
    TICK_MS,
    incident,
    incident_end,
    record,
    update_with_score,
)
from tests.dashboard.sample_interventions import REASON, suggestion

SCORES = {"beta": 0.9, "alpha": 0.55, "delta": 0.12, "gamma": 0.35}
_IN_THE_BACKGROUND = "Document.prototype.hasFocus = () => false;"
_RECORD_NOTIFICATIONS = """
window.notified = [];
window.requested = 0;
class Notification extends EventTarget {
  static permission = sessionStorage.getItem("permission") ?? "default";
  static async requestPermission() {
    window.requested += 1;
    sessionStorage.setItem("permission", "granted");
    return (Notification.permission = "granted");
  }
  constructor(title, { body, tag }) {
    super();
    window.notified.push([title, body, tag]);
    window.lastNotification = this;
  }
  close() {}
}
window.Notification = Notification;
"""


@pytest.fixture
def four_sessions(service: FakeService) -> FakeService:
    for name, score in SCORES.items():
        service.points[name] = [update_with_score(name, NOON_MS, score)]
    return service


def _names_in_order(page: Page) -> list[str]:
    """Return the names of the sessions from top to bottom."""
    names: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".row")]
          .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
          .map((row) => row.querySelector(".row-session").textContent)"""
    )
    return names


def test_sessions_with_open_anomalies_come_first_and_have_a_badge(
    window: Window, four_sessions: FakeService
) -> None:
    four_sessions.anomalies.append(record(incident("alpha", NOON_MS, "WARNING")))
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    badge = page.locator(".row-anomaly:visible")
    expect(badge).to_have_text(", anomaly: Sudden drop 10 s")
    assert _names_in_order(page) == ["alpha", "delta", "gamma", "beta"]

    began = incident("beta", NOON_MS, type="MASS_EXIT")
    four_sessions.send_anomaly(began)

    expect(badge).to_have_count(2)
    assert _names_in_order(page) == ["beta", "alpha", "delta", "gamma"]  # the critical one first
    four_sessions.end_anomaly(incident_end(began, NOON_MS + TICK_MS))
    expect(badge).to_have_count(1)
    assert _names_in_order(page) == ["alpha", "delta", "gamma", "beta"]


def test_the_filter_shows_the_sessions_with_open_anomalies(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    box = page.get_by_role("checkbox", name="With anomalies 0")
    box.check()
    expect(page.locator(".overview-state")).to_contain_text("No open anomalies")

    began = incident("gamma", NOON_MS)
    four_sessions.send_anomaly(began)
    expect(page.locator(".row-session")).to_have_text(["gamma"])
    expect(page.get_by_role("checkbox", name="With anomalies 1")).to_be_checked()

    four_sessions.end_anomaly(incident_end(began, NOON_MS + TICK_MS))
    expect(page.locator(".overview-state")).to_contain_text("No open anomalies")
    page.get_by_role("checkbox", name="With anomalies").uncheck()
    expect(page.locator(".row")).to_have_count(4)


def test_the_title_of_the_tab_has_the_number_of_open_anomalies(
    window: Window, four_sessions: FakeService
) -> None:
    began = incident("gamma", NOON_MS)
    four_sessions.anomalies.append(record(began))
    page = window.open()
    expect(page).to_have_title("(1) Engagement")
    four_sessions.send_anomaly(incident("beta", NOON_MS))
    expect(page).to_have_title("(2) Engagement")

    page.locator(".row-link", has_text="gamma").click()
    expect(page).to_have_title("(2) 35% gamma · Engagement")
    four_sessions.end_anomaly(incident_end(began, NOON_MS + TICK_MS))
    expect(page).to_have_title("(1) 35% gamma · Engagement")


def test_the_title_counts_the_anomalies_of_other_sessions_where_a_session_is_opened_first(
    window: Window, four_sessions: FakeService
) -> None:
    four_sessions.anomalies.append(record(incident("beta", NOON_MS)))
    page = window.open("gamma")

    expect(page).to_have_title("(1) 35% gamma · Engagement")


def test_the_permission_to_notify_is_requested_by_a_click_only_and_remembered(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.page
    page.add_init_script(_RECORD_NOTIFICATIONS + _IN_THE_BACKGROUND)
    four_sessions.anomalies.append(record(incident("alpha", NOON_MS)))
    window.open()
    switch = page.get_by_role("switch", name="Notify me")
    expect(page).to_have_title("(1) Engagement")
    expect(switch).not_to_be_checked()
    four_sessions.send_anomaly(incident("beta", NOON_MS))
    expect(page).to_have_title("(2) Engagement")
    assert page.evaluate("[window.requested, window.notified]") == [0, []]

    switch.click()
    expect(switch).to_be_checked()
    assert page.evaluate("window.requested") == 1
    page.reload()
    expect(switch).to_be_checked()
    expect(page).to_have_title("(2) Engagement")
    assert page.evaluate("window.notified") == []  # it notifies of those that begin

    began = incident("gamma", NOON_MS)
    four_sessions.send_anomaly(began)
    expect(page).to_have_title("(3) Engagement")
    expected = ["Critical: Sudden drop", f"gamma\n{began['reason']}", began["id"]]
    assert page.evaluate("window.notified") == [expected]
    page.evaluate("window.lastNotification.dispatchEvent(new Event('click'))")
    expect(page.get_by_role("heading", level=1)).to_have_text("gamma")
    page.go_back()
    switch.click()
    expect(switch).not_to_be_checked()


def test_a_suggestion_is_notified_as_an_anomaly_is(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.page
    page.add_init_script(_RECORD_NOTIFICATIONS + _IN_THE_BACKGROUND)
    four_sessions.conductor.change(suggestion("alpha", id="before"))
    window.open()
    page.get_by_role("switch", name="Notify me").click()
    expect(page.locator(".waiting-number")).to_have_text("1")

    four_sessions.send_decision(suggestion("beta"))

    expect(page.locator(".waiting-number")).to_have_text("2")
    expected = ["Suggestion: a poll", f"beta\n{REASON}", "poll-1"]
    assert page.evaluate("window.notified") == [expected]
    page.evaluate("window.lastNotification.dispatchEvent(new Event('click'))")
    expect(page.locator(".suggestion")).to_be_visible()


def test_nobody_is_notified_who_looks_at_the_page(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.page
    page.add_init_script(_RECORD_NOTIFICATIONS)
    page.add_init_script("Document.prototype.hasFocus = () => true;")
    window.open()
    page.get_by_role("switch", name="Notify me").click()
    four_sessions.send_anomaly(incident("beta", NOON_MS))

    expect(page).to_have_title("(1) Engagement")
    assert page.evaluate("window.notified") == []


@pytest.mark.parametrize(
    "script",
    [
        "delete window.Notification;",
        f"{_RECORD_NOTIFICATIONS} Notification.permission = 'denied';",
        "Object.defineProperty(window, 'isSecureContext', { value: false });",
    ],
    ids=["unsupported", "blocked", "not secure"],
)
@pytest.mark.usefixtures("four_sessions")
def test_the_switch_is_absent_where_the_browser_has_no_notifications(
    window: Window, script: str
) -> None:
    page = window.page
    page.add_init_script(script)
    window.open()
    expect(page.locator(".row")).to_have_count(4)

    expect(page.locator(".notify")).to_be_hidden()


def test_a_browser_that_blocks_after_the_click_removes_the_switch(
    open_window: Open, four_sessions: FakeService
) -> None:
    assert four_sessions.points
    window = open_window()
    page = window.page
    blocking = "Notification.requestPermission = async () => (Notification.permission = 'denied');"
    page.add_init_script(_RECORD_NOTIFICATIONS + blocking)
    window.open()
    page.get_by_role("switch", name="Notify me").click()

    expect(page.locator(".notify")).to_be_hidden()
    expect(page.locator("#announcements")).to_have_text(re.compile("blocks notifications"))

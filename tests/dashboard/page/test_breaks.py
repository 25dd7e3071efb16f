"""Breaks that are arranged for a session."""

import base64
import json

import pytest
from playwright.sync_api import expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, update_with_score


@pytest.fixture
def keynote(service: FakeService) -> FakeService:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    return service


def _token(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2lnbmF0dXJl"


@pytest.mark.parametrize(("minutes", "shown"), [(5, "12:05"), (10, "12:10"), (30, "12:30")])
def test_a_break_begins_now_and_has_the_length_that_was_chosen(
    window: Window, keynote: FakeService, minutes: int, shown: str
) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("50")

    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("dialog").get_by_role("button", name=f"{minutes} min", exact=True).click()

    expect(page.locator(".break-state")).to_have_text(f"Break until {shown}")
    expect(page.get_by_role("dialog")).to_be_hidden()
    [(session, body)] = keynote.breaks
    assert session == "keynote"
    assert body["until"].startswith(f"2026-01-04T{shown}:0")
    expect(page.get_by_role("button", name="End break")).to_be_focused()


def test_a_break_can_be_ended(window: Window, keynote: FakeService) -> None:
    keynote.tick(
        update_with_score("keynote", NOON_MS + TICK_MS, 0.6)
        | {"quietUntil": "2026-01-04T12:30:00.000Z"}
    )
    page = window.open("keynote")
    expect(page.locator(".break-state")).to_have_text("Break until 12:30")
    expect(page.locator(".notice-title")).to_have_text("Break until 12:30")
    expect(page.locator(".notice-text")).to_have_text("No anomaly is reported until then.")

    page.get_by_role("button", name="End break").click()

    expect(page.get_by_role("button", name="Break until …")).to_be_focused()
    assert keynote.breaks == [("keynote", {"until": None})]
    expect(page.locator(".notice-title")).to_have_text("No anomaly reported")


def test_a_break_lasts_until_a_time_of_today_or_tomorrow(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("50")
    for at in ("14:45", "09:15"):
        page.get_by_role("button", name="Break until …").click()
        page.get_by_label("Or until").fill(at)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="End break").click()

    expect(page.get_by_role("button", name="Break until …")).to_be_visible()
    arranged = [body["until"] for _, body in keynote.breaks if body["until"]]
    assert arranged == ["2026-01-04T14:45:00.000Z", "2026-01-05T09:15:00.000Z"]


def test_a_break_that_somebody_else_ended_is_not_shown(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    quiet = {"quietUntil": "2026-01-04T12:30:00.000Z"}
    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.6) | quiet)
    expect(page.locator(".break-state")).to_be_visible()

    keynote.tick(update_with_score("keynote", NOON_MS + 2 * TICK_MS, 0.6))

    expect(page.locator(".break-state")).to_be_hidden()
    expect(page.get_by_role("button", name="Break until …")).to_be_visible()


def test_a_break_that_the_collector_ignores_is_not_shown_for_long(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("button", name="15 min").click()
    expect(page.locator(".break-state")).to_be_visible()

    for ticks, score in ((1, 0.6), (2, 0.7)):
        expect(page.locator(".break-state")).to_be_visible()
        keynote.tick(update_with_score("keynote", NOON_MS + ticks * TICK_MS, score))
        expect(page.locator(".score-number")).to_have_text(f"{score * 100:.0f}")

    expect(page.locator(".break-state")).to_be_hidden()


def test_the_dialog_closes_without_a_break(window: Window, keynote: FakeService) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Break until …").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("keynote")
    assert keynote.breaks == []


def test_the_reason_why_a_break_was_not_arranged_is_shown(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("503")
    body = '{"error": {"code": "redis_unavailable", "message": "Redis is away"}}'
    window.page.route("**/quiet", lambda route: route.fulfill(status=503, body=body))
    page = window.open("keynote")
    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("button", name="15 min").click()

    expect(page.locator(".break-error")).to_have_text("Server response: Redis is away")
    assert keynote.breaks == []


def test_the_button_is_absent_once_the_service_refuses_breaks(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("403")
    keynote.may_conduct = False
    page = window.open("keynote")
    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("button", name="15 min").click()

    expect(page.locator(".break")).to_be_hidden()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="All sessions", exact=True).click()
    page.locator(".row-link").click()
    expect(page.locator(".score-number")).to_have_text("50")
    expect(page.locator(".break")).to_be_hidden()


@pytest.mark.parametrize("may_conduct", [True, False])
def test_the_button_is_there_if_the_token_has_the_claim(
    open_window: Open, keynote: FakeService, *, may_conduct: bool
) -> None:
    keynote.token = _token(tenant="default", **({"conduct": True} if may_conduct else {}))
    window = open_window()
    window.page.goto(f"{keynote.url}/#token={keynote.token}&/session/keynote")
    window.wait_until_live()
    expect(window.page.locator(".score-number")).to_have_text("50")

    expect(window.page.locator(".break")).to_be_visible(visible=may_conduct)

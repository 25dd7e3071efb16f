"""The event page: its sessions on one time axis, its own curve, and its moments."""

from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, Body
from tests.dashboard.sample_reports import (
    EVENT,
    MINUTE_MS,
    live,
    moment,
    overview,
    summary,
    with_points,
)

HOUR_MS = 60 * MINUTE_MS


def _sessions() -> list[Body]:
    """Return three sessions of an event that lasts four hours."""
    opening = summary("opening", minutes=60, mean=0.4, title="Opening", peakUsers=80)
    panel = summary("panel", NOON_MS + HOUR_MS, 60, 0.7, peakUsers=300)
    return [
        with_points(opening, 60, 0.4),
        with_points(panel | {"peakScore": 0.75}, 60, 0.7),
        with_points(live("closing", NOON_MS + 2 * HOUR_MS), 60, 0.1, people=40),
    ]


@pytest.fixture
def event(service: FakeService) -> FakeService:
    service.reports.events[EVENT] = overview(_sessions(), title="Conference 2026")
    return service


def _open(window: Window, event_id: str = EVENT, query: str = "") -> Page:
    window.page.goto(f"{window.service.url}/#/event/{quote(event_id, safe='')}{query}")
    window.wait_until_live()
    return window.page


def _names(page: Page) -> Locator:
    return page.locator(".multiple-title")


def test_sessions_stand_on_one_time_axis_in_the_order_of_their_start(
    window: Window, event: FakeService
) -> None:
    page = _open(window)
    expect(page.get_by_role("heading", level=1)).to_have_text("Conference 2026")
    expect(page).to_have_title("Conference 2026 · Engagement")
    expect(page.locator(".event-about")).to_have_text(
        "3 sessions · 1 live · 4 Jan 2026, 12:00 \u2013 16:00"
    )
    expect(_names(page)).to_have_text(["Opening", "panel", "closing"])

    begins = page.evaluate(
        """() => [...document.querySelectorAll(".multiple-plot")].map((plot) => {
          const { left, width } = plot.getBoundingClientRect();
          const line = plot.querySelector(".curve-line").getBoundingClientRect();
          return (line.left - left) / width;
        })"""
    )
    assert begins == pytest.approx([0, 0.25, 0.5], abs=0.01)
    axis = page.locator(".multiples-titles .time-axis span")
    expect(axis.filter(has_text="14:00")).to_have_attribute("style", "left: 50%;")
    figures = page.locator(".event-figures")
    expect(figures).to_contain_text("Highest peak75%panel")
    expect(figures).to_contain_text("Best session70%panel")
    row = page.get_by_role("link", name="Opening 12:00 · 1 h , average 40% , peak 60%")
    expect(row).to_have_attribute("href", "#/session/opening")
    assert event.reports.exported == []


def test_sessions_are_ordered_by_each_figure_and_the_link_keeps_the_order(
    window: Window, event: FakeService, open_window: Open
) -> None:
    page = _open(window)
    expect(_names(page)).to_have_count(3)
    for order, names in (
        ("Average", ["panel", "Opening", "closing"]),
        ("Peak", ["panel", "Opening", "closing"]),
        ("People", ["panel", "Opening", "closing"]),
        ("By start", ["Opening", "panel", "closing"]),
    ):
        page.get_by_role("radio", name=order).check()
        expect(_names(page)).to_have_text(names)
    # The live session has no stored figures: those of its points count.
    event.reports.events[EVENT]["sessions"][0]["peakUsers"] = 10
    page.get_by_role("radio", name="By start").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="People")).to_be_checked()

    other = open_window().page
    other.goto(page.url)

    expect(_names(other)).to_have_text(["panel", "closing", "Opening"])
    expect(other.get_by_role("radio", name="People")).to_be_checked()


def test_each_moment_leads_to_its_time_in_the_session(window: Window, event: FakeService) -> None:
    at_ms = NOON_MS + 30 * MINUTE_MS
    rises = [moment("opening", at_ms, 0.3, 0.62)]
    event.reports.events[EVENT]["moments"] = {"rises": rises, "falls": []}
    page = _open(window)

    link = page.get_by_role("link", name="↑ 32 points 30% → 62% Opening 12:30")
    expect(link).to_have_attribute(
        "href",
        "#/session/opening?from=2026-01-04T12%3A27%3A00.000Z&to=2026-01-04T12%3A32%3A00.000Z",
    )
    falls = page.locator(".moments-part", has_text="Largest falls")
    expect(falls).to_contain_text("None.")


def test_keys_and_the_pointer_read_the_curve_of_the_event(
    window: Window, event: FakeService
) -> None:
    at = ("2026-01-04T12:00:00.000Z", "2026-01-04T14:00:00.000Z", "2026-01-04T16:00:00.000Z")
    event.reports.events[EVENT]["curve"] = [
        {"timestamp": each, "score": score, "totalUsers": users}
        for each, score, users in zip(at, (0.2, 0.5, 0.8), (1, 1200, 30), strict=True)
    ]
    page = _open(window)
    chart = page.get_by_role("slider", name="Score of all sessions together.")
    chart.press("Home")
    expect(chart).to_have_attribute("aria-valuetext", "12:00, 20%, 1 person")
    chart.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuetext", "14:00, 50%, 1,200 people")
    expect(page.locator(".event-readout")).to_have_text("14:00 · 50% · 1,200 people")

    plot = page.locator(".multiple-plot").first
    width = plot.evaluate("(plot) => plot.clientWidth")
    plot.hover(position={"x": width * 0.9, "y": 10})

    expect(page.locator(".event-readout")).to_have_text("16:00 · 80% · 30 people")
    figures = page.locator(".event-figures")
    expect(figures).to_contain_text("Average score50%")
    expect(figures).to_contain_text("People at most1,200")


def test_an_event_that_cannot_be_loaded_says_so_and_comes_back_by_itself(
    window: Window, event: FakeService
) -> None:
    window.ignore("503")
    event.reports.refusal = (503, "unavailable", "the database is away")
    window.page.clock.install()
    page = _open(window)
    expect(page.locator(".event-state")).to_contain_text("the database is away")

    event.reports.refusal = None
    page.clock.run_for(11_000)

    expect(_names(page)).to_have_count(3)
    expect(page.locator(".event-state")).to_be_hidden()
    event.reports.refusal = (503, "unavailable", "the database is away")
    page.clock.run_for(16_000)  # it has a live session, so it is loaded again
    expect(page.locator(".event-view .event-error")).to_contain_text("the database is away")
    expect(_names(page)).to_have_count(3)


@pytest.mark.parametrize("width", [360, 1280])
def test_every_id_and_title_is_shown_as_text_and_fits(
    open_window: Open, service: FakeService, width: int
) -> None:
    event_id = '__proto__/%2f#?"<b>'
    title = "<img src=x onerror=alert(1)>" + "W" * 172
    sessions = [
        with_points(summary(each, title=title, speakers=[title] * 3), 60)
        for each in ("\U0001f600" * 255, "__proto__", "a/b")
    ]
    service.reports.events[event_id] = overview(sessions)
    window = open_window(viewport={"width": width, "height": 900})
    page = _open(window, event_id)

    expect(page.get_by_role("heading", level=1)).to_have_text(event_id)
    expect(_names(page)).to_have_text([title] * 3)
    expect(page.locator(".moment-session").first).to_have_text(title)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.locator(".multiple-link").last).to_have_attribute("href", "#/session/a%2Fb")


def test_the_session_page_links_its_event_and_the_event_its_sessions(
    window: Window, event: FakeService
) -> None:
    assert EVENT in event.reports.events
    page = _open(window)
    page.get_by_role("link", name="Opening 12:00 · 1 h").click()
    expect(page.get_by_role("link", name="Report")).to_have_attribute(
        "href", "#/session/opening/report"
    )
    page.go_back()
    expect(_names(page)).to_have_count(3)
    expect(page.get_by_role("link", name="Report")).to_have_attribute(
        "href", f"#/event/{EVENT}/report"
    )

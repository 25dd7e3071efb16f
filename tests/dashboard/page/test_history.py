"""The history: a list of the sessions that were, with filters in its address."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window, expect_address
from tests.dashboard.sample_bodies import NOON_MS
from tests.dashboard.sample_history import live_summary, summary

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def open_history(window: Window, filters: str = "") -> Page:
    """Open the list with these filters, such as `?search=keynote`."""
    window.page.goto(f"{window.service.url}/#/sessions{filters}")
    window.wait_until_live()
    return window.page


@pytest.fixture
def three_sessions(service: FakeService) -> FakeService:
    service.history.summaries = [
        live_summary("5f3a-live", NOON_MS, title="Fireside chat"),
        summary(
            "0b1c-keynote",
            NOON_MS - HOUR_MS,
            2700,
            title="Opening keynote",
            eventTitle="Conference 2026",
            speakers=["Ada Lovelace", "Alan Turing"],
        ),
        summary("workshop-7", NOON_MS - 3 * DAY_MS, 5400, eventId="other", meanScore=None),
    ]
    return service


@pytest.mark.usefixtures("three_sessions")
def test_sessions_that_ended_are_listed_by_title_and_lead_to_their_page(window: Window) -> None:
    page = window.open()
    page.get_by_role("link", name="Sessions that ended").click()

    rows = page.locator(".history-row")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Opening keynote")
    expect(rows.nth(0)).to_contain_text("Conference 2026Ada Lovelace, Alan Turing")
    expect(rows.nth(0).locator(".history-started")).to_have_text("4 Jan 2026, 11:00")
    expect(rows.nth(0).locator(".history-length")).to_have_text("45 min")
    expect(rows.nth(0).locator(".history-mean")).to_have_text("52%")
    expect(rows.nth(1).locator(".row-session")).to_have_text("workshop-7")
    expect(rows.nth(1).locator(".history-mean")).to_have_text("\u2013")
    rows.nth(0).get_by_role("link").click()
    expect_address(page, "#/session/0b1c-keynote")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("History")
    expect(rows).to_have_count(2)


@pytest.mark.usefixtures("three_sessions")
def test_filters_are_in_the_address_and_a_link_shows_the_same(
    window: Window, open_window: Open
) -> None:
    page = open_history(window)
    names = page.locator(".history-row .row-session")
    expect(names).to_have_text(["Opening keynote", "workshop-7"])

    page.get_by_role("radio", name="All").check(force=True)
    expect(names).to_have_text(["Fireside chat", "Opening keynote", "workshop-7"])
    page.get_by_role("combobox", name="Event").fill("Conference 2026")
    expect(page.locator("#history-events option")).to_have_count(1)
    page.get_by_role("combobox", name="Event").dispatch_event("input")
    page.get_by_label("From", exact=True).fill("2026-01-04")
    expect(names).to_have_text(["Fireside chat", "Opening keynote"])
    page.get_by_role("searchbox").fill("KEYNOTE")
    expect(names).to_have_text(["Opening keynote"])
    address = page.url
    assert address.endswith("#/sessions?search=KEYNOTE&event=conf-2026&from=2026-01-04&state=all")

    other = open_window().page
    other.goto(address)
    expect(other.locator(".history-row .row-session")).to_have_text(["Opening keynote"])
    expect(other.get_by_label("From", exact=True)).to_have_value("2026-01-04")
    expect(other.get_by_role("radio", name="All")).to_be_checked()


def test_days_are_those_of_the_local_time_zone_also_when_its_clock_changes(
    open_window: Open, service: FakeService
) -> None:
    window = open_window(timezone_id="Europe/Berlin")
    page = open_history(window, "?from=2026-03-29&to=2026-03-29")
    expect(page.locator(".history-state")).to_contain_text("No sessions match")

    [asked] = [query for path, query in service.history.queries if path == "/api/v1/sessions"]
    assert asked["from"] == "2026-03-28T23:00:00.000Z"
    assert asked["to"] == "2026-03-29T22:00:00.000Z"  # this day has 23 hours


def test_days_that_are_none_are_ignored_and_an_upside_down_range_is_explained(
    window: Window, service: FakeService
) -> None:
    service.history.summaries = [summary("keynote", NOON_MS)]
    page = open_history(window, "?from=2026-02-30&to=banana&state=zombie")
    expect(page.locator(".history-row")).to_have_count(1)

    page.get_by_label("From", exact=True).fill("2026-01-05")
    page.get_by_label("To", exact=True).fill("2026-01-03")
    expect(page.locator(".history-state")).to_contain_text("The first day is after the last one")
    page.get_by_role("button", name="Show all ended sessions").click()
    expect(page.locator(".history-row")).to_have_count(1)
    expect_address(page, "#/sessions")


def test_thousands_of_sessions_come_in_pages_by_cursor_and_the_focus_goes_to_the_new_ones(
    window: Window, service: FakeService
) -> None:
    service.history.summaries = [
        summary(f"session {number:03}", NOON_MS - number * HOUR_MS) for number in range(101)
    ]
    page = open_history(window)
    expect(page.locator(".history-counts")).to_have_text("The newest 50 sessions")

    page.get_by_role("button", name="Load more").press("Enter")
    expect(page.locator(".history-link:focus")).to_contain_text("session 050")
    page.get_by_role("button", name="Load more").click()
    expect(page.locator(".history-counts")).to_have_text("101 sessions")
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    asked = [query for path, query in service.history.queries if path == "/api/v1/sessions"]
    assert [query.get("cursor") for query in asked] == [None, "50", "100"]


def test_the_history_says_that_it_is_not_available_and_comes_back_by_itself(
    window: Window, service: FakeService
) -> None:
    window.ignore("503")
    service.history.summaries = [summary("keynote", NOON_MS)]
    service.history.refusal = (503, "unavailable", "the database is away")
    page = open_history(window)
    expect(page.locator(".history-error")).to_contain_text("the database is away")

    service.history.refusal = None
    expect(page.locator(".history-row")).to_have_count(1)
    expect(page.locator(".history-error")).to_have_text("")


def test_ids_with_special_characters_are_shown_as_they_are_and_lead_to_their_page(
    window: Window, service: FakeService
) -> None:
    ids = ["a/b%2F?x=1#y", '"<img src=x>', "__proto__", "\U0001f600" * 255, "constructor"]
    service.history.summaries = [summary(each, NOON_MS) for each in ids]
    page = open_history(window)
    expect(page.locator(".history-row .row-session")).to_have_text(ids)
    for number, each in enumerate(ids):
        page.locator(".history-link").nth(number).click()
        expect(page.locator(".session [data-copies=session]")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text(each)
        page.go_back()
        expect(page.locator(".history-row")).to_have_count(len(ids))


def test_the_list_fits_a_phone(open_window: Open, service: FakeService) -> None:
    service.history.summaries = [
        summary("keynote-" * 31, NOON_MS, title="A long title " * 12, speakers=["Ada"] * 20)
    ]
    window = open_window(viewport={"width": 360, "height": 640})
    page = open_history(window)
    expect(page.locator(".history-row")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_no_day_of_the_list_depends_on_the_clock_of_the_browser(
    open_window: Open, service: FakeService
) -> None:
    service.history.summaries = [summary("keynote", NOON_MS)]
    window = open_window()
    window.page.clock.install(time=datetime.fromtimestamp(NOON_MS / 1000 + 3600, UTC))
    page = open_history(window)
    expect(page.locator(".history-started")).to_have_text("4 Jan 2026, 12:00")

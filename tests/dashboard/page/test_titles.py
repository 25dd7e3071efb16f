"""What sessions and events are called is shown where an id is, and can be changed."""

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.clients import token
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, Body, update_with_score
from tests.dashboard.sample_history import live_summary, summary
from tests.dashboard.sample_interventions import suggestion


@pytest.fixture
def titled(service: FakeService) -> FakeService:
    """Two live sessions, of which one has a title."""
    for session, score in {"0b1c": 0.8, "plain": 0.4}.items():
        service.points[session] = [update_with_score(session, NOON_MS, score)]
    about = {"title": "Fireside chat", "eventTitle": "Conference 2026"}
    service.history.summaries = [live_summary("0b1c", NOON_MS, **about)]
    plan: Body = {"speakers": [], "plannedBegin": None, "plannedEnd": None}
    service.history.titles = {
        "sessions": {"0b1c": about | plan},
        "events": {"conf-2026": "Conference 2026"},
    }
    return service


def open_dialog(page: Page) -> None:
    page.get_by_role("button", name="Rename …").click()
    expect(page.get_by_role("dialog", name="Title and plan")).to_be_visible()


@pytest.mark.usefixtures("titled")
def test_live_sessions_are_listed_and_found_by_title_and_by_id(window: Window) -> None:
    page = window.open()
    names = page.locator(".row-session")
    expect(names).to_have_text(["plain", "Fireside chat"])
    expect(names.last).to_have_attribute("title", "0b1c")
    expect(page.locator(".row-event").first).to_have_text("Conference 2026")
    search = page.get_by_label("Search sessions")
    for text, found in (("FIRESIDE", 1), ("0b1", 1), ("conference", 2), ("conf-2026", 2)):
        search.fill(text)
        expect(names).to_have_count(found)


def test_a_title_that_is_set_elsewhere_is_shown_within_a_minute(
    window: Window, titled: FakeService
) -> None:
    window.page.add_init_script(
        """const set = setTimeout;
        setTimeout = (run, ms) => set(run, ms === 60_000 ? 300 : ms);"""
    )
    page = window.open()
    expect(page.locator(".row-session")).to_have_count(2)
    titled.history.titles["sessions"]["plain"] = {"title": "Town hall"}
    expect(page.locator(".row-session", has_text="Town hall")).to_be_visible()


def test_ids_that_are_names_of_properties_have_no_title(
    window: Window, titled: FakeService
) -> None:
    for name in ("__proto__", "constructor", "toString"):
        titled.points[name] = [update_with_score(name, NOON_MS, 0.5, f"{name} ")]
        titled.points[f"of {name}"] = [update_with_score(f"of {name}", NOON_MS, 0.5, name)]
    page = window.open()
    page.get_by_label("Search sessions").fill("constructor")
    expect(page.locator(".row-session")).to_have_text(["constructor", "of constructor"])
    expect(page.locator(".row-event")).to_have_text(["constructor ", "constructor"])


def test_the_conductor_names_sessions_and_events_by_title(
    window: Window, titled: FakeService
) -> None:
    titled.conductor.change(suggestion("0b1c"))
    window.page.goto(f"{window.service.url}/#/conductor")
    window.wait_until_live()
    page = window.page
    expect(page.locator(".waiting-session")).to_have_text("Fireside chat")
    expect(page.locator(".event-name")).to_have_text("Conference 2026")
    expect(page.locator("#event-select option")).to_have_text("Conference 2026")


def test_title_speakers_and_plan_are_changed_in_a_dialog_in_local_time(
    open_window: Open, titled: FakeService
) -> None:
    page = open_window(timezone_id="Europe/Berlin").open("0b1c")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fireside chat")
    open_dialog(page)
    page.get_by_label("Title", exact=True).fill("  Opening ")
    page.get_by_label("Speakers").fill("Ada Lovelace\n\n Alan Turing ")
    page.get_by_label("Planned begin").fill("2026-01-04T13:00")
    page.get_by_label("Planned end").fill("2026-01-04T12:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".about-error")).to_have_text("The planned end must be after the begin.")
    page.get_by_label("Planned end").fill("2026-01-04T14:30")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Opening")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".about")).to_contain_text("Ada Lovelace, Alan Turing")
    planned = "Planned for 4 Jan 2026, 13:00 \u2013 14:30"
    expect(page.locator(".about-planned")).to_have_text(planned)
    expect(page).to_have_title("80% Opening · Engagement")
    assert titled.history.changes == [
        (
            "0b1c",
            {
                "title": "Opening",
                "speakers": ["Ada Lovelace", "Alan Turing"],
                "plannedBegin": "2026-01-04T12:00:00.000Z",
                "plannedEnd": "2026-01-04T13:30:00.000Z",
            },
        )
    ]
    page.get_by_role("link", name="All sessions", exact=True).click()
    expect(page.locator(".row-session").last).to_have_text("Opening")


def test_a_refused_change_keeps_what_was_entered_and_says_why(
    window: Window, titled: FakeService
) -> None:
    window.ignore("status of 400")
    reason = "title must be one line without control characters"
    titled.history.change_refusal = (400, "invalid_title", reason)
    page = window.open("0b1c")
    open_dialog(page)
    page.get_by_label("Title of the event").fill("Summit")
    page.get_by_role("button", name="Save").click()

    expect(page.locator(".about-error")).to_contain_text(reason)
    expect(page.get_by_label("Title of the event")).to_have_value("Summit")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fireside chat")


@pytest.mark.parametrize(("claims", "may"), [({}, False), ({"admin": True}, True)])
def test_only_a_token_with_the_claim_admin_changes_titles(
    window: Window, titled: FakeService, claims: dict[str, bool], may: bool
) -> None:
    titled.token = token(claims=claims)
    page = window.page
    page.goto(f"{titled.url}/#token={titled.token}&/session/0b1c")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fireside chat")
    expect(page.locator(".score-number")).to_have_text("80")
    expect(page.get_by_role("button", name="Rename …")).to_be_visible(visible=may)


def test_a_planned_session_shows_its_plan(window: Window, service: FakeService) -> None:
    plan = {"plannedBegin": "2026-01-04T23:00:00.000Z", "plannedEnd": "2026-01-05T01:00:00.000Z"}
    about = {"title": "Late night", "startedAt": None, "state": "planned"}
    service.history.summaries = [live_summary("soon", NOON_MS, **about | plan)]
    page = window.open("soon")
    planned = "Planned for 4 Jan, 23:00 \u2013 5 Jan, 01:00"
    expect(page.locator(".about-planned")).to_have_text(planned)
    expect(page.locator(".chart-state")).to_contain_text("No scores in the last 5 minutes")


def test_the_title_of_an_ended_session_is_plain_text(window: Window, service: FakeService) -> None:
    title = '<img src=x onerror="alert(1)">\u202egnp.exe'
    service.history.end(summary("0b1c", NOON_MS, title=title), [])
    page = window.open("0b1c")
    expect(page.get_by_role("heading", level=1)).to_have_text(title.replace("\u202e", "\ufffd"))
    assert page.locator("main img").count() == 0

"""The view of the conductor in all sessions, and its marks in the list of sessions."""

import pytest
from playwright.sync_api import expect

from tests.dashboard.fake_conductor import TEMPLATES
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, incident, record, update_with_score
from tests.dashboard.sample_interventions import effect, held, measured, suggestion


@pytest.fixture
def sessions(service: FakeService) -> FakeService:
    """A service with three sessions of two events."""
    for name, event in (("alpha", "day-1"), ("beta", "day-1"), ("gamma", "day-2")):
        service.points[name] = [update_with_score(name, NOON_MS, 0.5, event)]
    return service


def _open(window: Window) -> None:
    window.page.goto(f"{window.service.url}/#/conductor")
    window.wait_until_live()


def test_sessions_with_a_suggestion_come_first_and_are_marked(
    window: Window, sessions: FakeService
) -> None:
    sessions.anomalies.append(record(incident("alpha", NOON_MS)))
    page = window.open()
    expect(page.locator(".row")).to_have_count(3)
    expect(page.locator(".row-suggestion:visible")).to_have_count(0)

    sessions.send_decision(suggestion("gamma", event_id="day-2"))

    row = page.locator(".row", has=page.locator(".row-suggestion:visible"))
    expect(row.get_by_role("link")).to_contain_text("gamma")
    expect(row).to_contain_text("conductor: Suggestion")
    expect(row).to_have_attribute("aria-posinset", "1")
    expect(page.get_by_role("link", name="Conductor 1 waiting for approval")).to_be_visible()
    steps = {"SUGGESTED": NOON_MS, "DISMISSED": NOON_MS}
    sessions.send_decision(suggestion("gamma", status="DISMISSED", steps=steps))
    expect(page.locator(".row-suggestion:visible")).to_have_count(0)
    expect(page.locator(".waiting-count")).to_be_hidden()


def test_the_number_of_suggestions_is_shown_in_every_view(
    window: Window, sessions: FakeService
) -> None:
    sessions.conductor.change(suggestion("gamma"))
    page = window.open("alpha")
    expect(page.get_by_role("link", name="Conductor 1 waiting for approval")).to_be_visible()

    page.get_by_role("link", name="Conductor").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Conductor")
    expect(page.get_by_role("link", name="Conductor 1")).to_have_attribute("aria-current", "page")
    expect(page).to_have_title("Conductor · Engagement")


def test_a_suggestion_in_another_session_is_announced_once_with_its_name(
    window: Window, sessions: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(3)
    sessions.send_decision(suggestion("gamma", event_id="day-2"))
    text = "The conductor suggests a poll in gamma, because of: sudden drop."
    expect(page.locator("#announcements")).to_have_text(text)

    page.evaluate("document.getElementById('announcements').textContent = ''")
    page.get_by_role("link", name="gamma").click()
    expect(page.locator(".suggestion")).to_be_visible()
    page.get_by_role("link", name="Conductor").click()
    expect(page.locator(".waiting-item")).to_have_count(1)
    expect(page.locator("#announcements")).to_be_empty()


def test_the_view_lists_what_waits_and_leads_to_its_session(
    window: Window, sessions: FakeService
) -> None:
    sessions.conductor.change(suggestion("beta", event_id="day-1"))
    _open(window)
    page = window.page
    waiting = page.locator(".waiting-item")
    expect(waiting).to_have_count(1)
    expect(waiting).to_contain_text("Poll · Sudden drop")
    expect(waiting.locator(".waiting-left")).to_contain_text("Expires in 29 min")

    page.get_by_role("link", name="beta").first.click()

    expect(page.locator(".suggestion")).to_be_visible()
    page.go_back()
    steps = {"SUGGESTED": NOON_MS, "DISMISSED": NOON_MS}
    sessions.send_decision(suggestion("beta", status="DISMISSED", steps=steps))
    expect(page.locator(".waiting-state")).to_have_text("Nothing is suggested at the moment.")


def test_the_mode_of_an_event_is_that_of_most_of_its_sessions_and_can_be_set(
    window: Window, sessions: FakeService
) -> None:
    for name in ("alpha", "beta"):
        agent = {"mode": "MANUAL", "status": "MONITORING"}
        sessions.points[name][-1] |= {"agent": agent}
    extra = update_with_score("delta", NOON_MS, 0.5, "day-1")
    sessions.points["delta"] = [extra | {"agent": {"mode": "OFF", "status": "IDLE"}}]
    _open(window)
    page = window.page
    expect(page.locator(".event-item")).to_have_count(2)
    day_1, day_2 = page.locator(".event-item").all()
    expect(day_1.locator(".event-sessions")).to_have_text("3 live sessions, 1 in another mode")
    expect(day_1.locator(".mode-shown")).to_have_text("Suggest only")
    expect(day_2.locator(".mode-shown")).to_have_text("Semi-automatic")

    page.get_by_role("button", name="Change mode of day-1").click()
    dialog = page.get_by_role("dialog", name="Mode of day-1")
    expect(dialog.get_by_role("radio", name="Suggest only")).to_be_checked()
    expect(dialog.get_by_role("radio", name="As its event")).to_have_count(0)
    dialog.get_by_role("radio", name="Off").check()
    dialog.get_by_role("button", name="Set mode").click()

    expect(day_1.locator(".mode-shown")).to_have_text("Off")
    expect(page.get_by_role("button", name="Change mode of day-1")).to_be_focused()
    assert sessions.conductor.modes == [("events", "day-1", "OFF")]
    sessions.tick(
        *(update_with_score(name, NOON_MS + TICK_MS, 0.5, "day-1") for name in ("alpha", "beta"))
    )
    expect(day_1.locator(".mode-shown")).to_have_text("Off")  # this tick may have been under way


def test_effects_have_their_interval_drawn_or_say_how_many_more_are_needed(
    window: Window, sessions: FakeService
) -> None:
    sessions.conductor.effects = [
        effect("BROADCAST", "suggest", -0.01, -0.02, 0.005, n=31),
        effect("POLL", "act", 0.062, 0.031, 0.093),
        effect("GAMIFICATION", "act", n=3, missing=37),
    ]
    _open(window)
    table = window.page.get_by_role("table", name="Effects by type of action")

    rows = table.get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1).get_by_role("rowheader")).to_have_text("Poll When it acts alone")
    cells = ["52", "60", "+6.2 (95%: +3.1 to +9.3)"]
    expect(rows.nth(1).get_by_role("cell")).to_have_text(cells)
    expect(rows.nth(1)).to_have_attribute("data-verdict", "better")
    expect(rows.nth(2)).to_contain_text("\u22121 (95%: \u22122 to +0.5)")
    expect(rows.nth(2)).to_have_attribute("data-verdict", "same")
    expect(rows.nth(3)).to_contain_text("Not known yet: 37 more")
    expect(rows.nth(3).locator("svg")).to_have_count(0)
    ends = (
        rows.nth(1)
        .locator(".effect-line")
        .evaluate(
            "(line) => [line, ...line.parentNode.querySelectorAll('.effect-zero, circle')]"
            ".map((each) => { const { left, right } = each.getBoundingClientRect();"
            " return [left, right]; })"
        )
    )
    (low, high), (zero, _), dot = ends
    middle = sum(dot) / 2
    assert zero < low < middle < high
    assert (middle - zero) / (low - zero) == pytest.approx(2, rel=0.05)
    assert (high - zero) / (low - zero) == pytest.approx(3, rel=0.05)


def test_without_trials_no_effect_is_shown(window: Window, sessions: FakeService) -> None:
    assert sessions.conductor.effects == []
    _open(window)

    expect(window.page.locator(".effects-state")).to_have_text("Not known yet: nothing was tried.")
    expect(window.page.locator(".effects-table")).to_be_hidden()


def test_the_view_lists_what_was_done_in_the_event_that_is_chosen(
    window: Window, sessions: FakeService
) -> None:
    sessions.conductor.change(measured("alpha", NOON_MS - 600_000, event_id="day-1"))
    sessions.conductor.change(held("gamma", event_id="day-2"))
    _open(window)
    page = window.page
    done = page.locator(".event-done .done-item")
    expect(done).to_have_count(1)
    expect(done).to_contain_text("6 points higher than in similar moments without it")
    expect(done.get_by_role("link", name="alpha")).to_be_visible()

    page.get_by_role("combobox", name="Event").select_option("day-2")

    expect(done).to_have_count(1)
    expect(done).to_contain_text("Did nothing, on purpose")
    expect(done.get_by_role("link", name="gamma")).to_be_visible()


def test_what_an_action_says_can_be_replaced_and_set_back(
    window: Window, sessions: FakeService
) -> None:
    other = {"message": "Hello"}
    sessions.conductor.replaced = {"BROADCAST": other}
    _open(window)
    poll = window.page.locator(".text", has_text="Poll")
    expect(poll.locator(".text-origin")).to_have_text("Default")
    poll.locator("summary").click()
    poll.get_by_role("button", name="Edit").click()
    poll.get_by_label("Question").fill("Shall we go on, {people} people?")
    poll.get_by_role("button", name="Save").click()

    expect(poll.locator(".text-origin")).to_have_text("Your text")
    expect(poll.get_by_role("button", name="Edit")).to_be_focused()
    content = TEMPLATES["POLL"]["poll"] | {"question": "Shall we go on, {people} people?"}
    assert sessions.conductor.replaced == {"BROADCAST": other, "POLL": {"poll": content}}
    poll.get_by_role("button", name="Use the default").click()
    expect(poll.locator(".text-origin")).to_have_text("Default")
    assert sessions.conductor.replaced == {"BROADCAST": other}


def test_the_reason_why_a_text_was_not_saved_is_shown(
    window: Window, sessions: FakeService
) -> None:
    window.ignore("400")
    sessions.conductor.refusal = (400, "invalid_content", "Unknown placeholder")
    _open(window)
    text = window.page.locator(".text", has=window.page.get_by_text("Message", exact=True))
    text.locator("summary").click()
    text.get_by_role("button", name="Edit").click()
    text.get_by_label("Text").fill("Hello {you}")
    text.get_by_role("button", name="Save").click()

    expect(text.get_by_role("alert")).to_have_text(
        "Not saved. Server response: Unknown placeholder"
    )
    expect(text.get_by_label("Text")).to_have_value("Hello {you}")


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(
    window: Window, sessions: FakeService
) -> None:
    window.ignore("503")
    sessions.conductor.change(suggestion("beta"))
    body = '{"error": {"code": "x", "message": "the database is away"}}'
    for path in ("**/effects", "**/history/event/**"):
        window.page.route(path, lambda route: route.fulfill(status=503, body=body))
    _open(window)
    page = window.page

    expect(page.locator(".effects-state")).to_contain_text("the database is away")
    expect(page.locator(".event-done .done-state")).to_contain_text("the database is away")
    expect(page.locator(".waiting-item")).to_have_count(1)
    expect(page.locator(".event-item")).to_have_count(2)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_view_fits_every_width(open_window: Open, sessions: FakeService, width: int) -> None:
    name = "W" * 120
    sessions.points[name] = [update_with_score(name, NOON_MS, 0.5, name)]
    sessions.conductor.change(suggestion(name, event_id=name))
    sessions.conductor.effects = [effect("NOTIFICATION", "suggest", -0.162, -0.331, 0.093, n=1234)]
    window = open_window(viewport={"width": width, "height": 900})
    _open(window)
    expect(window.page.locator(".waiting-item")).to_have_count(1)
    expect(window.page.locator(".effect")).to_have_count(1)
    window.page.get_by_role("combobox", name="Event").select_option(name)
    expect(window.page.locator(".event-done .done-item")).to_have_count(1)

    assert window.page.evaluate("document.documentElement.scrollWidth") == width

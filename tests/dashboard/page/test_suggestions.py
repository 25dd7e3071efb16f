"""Suggestions of the conductor in the session that is shown: why, what, until when, the answer."""

import base64
import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from conductor_actors.domain.conductor.templates import DEFAULT_TEMPLATES
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, Body, update_with_score
from tests.dashboard.sample_interventions import QUESTION, REASON, sent, suggestion

EDITED = "Which part shall we repeat?"
_RECORD_ANNOUNCEMENTS = """() => {
  window.announced = [];
  for (const id of ["alarms", "announcements"]) {
    const region = document.getElementById(id);
    const record = () => region.textContent && window.announced.push(region.textContent);
    new MutationObserver(record).observe(region, { childList: true });
  }
}"""


@pytest.fixture
def keynote(service: FakeService) -> FakeService:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.28)]
    return service


def _waiting(service: FakeService) -> None:
    """Store a suggestion before the page is opened."""
    service.conductor.change(suggestion())


def _card(page: Page) -> Locator:
    return page.locator(".suggestion")


def _content(page: Page) -> dict[str, str]:
    rows = _card(page).locator(".content-row").all()
    texts = [
        [row.locator(part).inner_text() for part in (".content-label", ".content-value")]
        for row in rows
    ]
    return {label: value for label, value in texts}  # noqa: C416 # two texts each


def test_a_card_shows_why_and_how_confident_and_all_that_will_be_sent(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")
    expect(_card(page)).to_have_count(0)

    keynote.send_decision(suggestion())

    expect(_card(page).get_by_role("heading")).to_have_text("Suggestion: a poll")
    expect(_card(page).locator(".suggestion-why")).to_contain_text(f"Sudden drop {REASON}")
    expect(_card(page).locator(".suggestion-why")).to_contain_text(
        "62% that a poll is better than doing nothing"
    )
    assert _content(page) == {
        "Question": QUESTION,
        "Option 1": "Just right",
        "Option 2": "A bit too fast",
        "Option 3": "A bit too slow",
        "Option 4": "I'd like an example",
        "Option 5": "I have a question",
        "Kind": "single_choice",
        "Open for": "60 s",
    }


def test_content_is_shown_in_the_order_in_which_people_read_it(
    window: Window, keynote: FakeService
) -> None:
    poll = DEFAULT_TEMPLATES["POLL"]["poll"]
    stored = {"poll": dict(sorted(poll.items(), key=lambda item: len(item[0])))}  # as jsonb does
    keynote.conductor.change(suggestion(content=stored))
    page = window.open("keynote")

    expect(_card(page).locator(".content-label").first).to_have_text("Question")
    assert [*_content(page)][-2:] == ["Kind", "Open for"]
    expect(page.locator(".session .done-what")).to_have_text(f"Poll {QUESTION}")


def test_keys_that_the_page_does_not_know_are_shown_too(
    window: Window, keynote: FakeService
) -> None:
    content = {"message": "Hello", "sound_level": 3, "extra": {"to_all": True, "tags": ["a", "b"]}}
    keynote.conductor.change(suggestion(type="BROADCAST", content=content))
    page = window.open("keynote")
    expect(_card(page).get_by_role("heading")).to_have_text("Suggestion: a message to everyone")

    shown = {"Text": "Hello", "Sound level": "3", "To all": "Yes", "Tag 1": "a", "Tag 2": "b"}
    assert _content(page) == shown


@pytest.mark.parametrize("hours_wrong", [-5, 0, 5])
def test_the_countdown_follows_the_service_also_where_the_browser_has_a_wrong_clock(
    window: Window, keynote: FakeService, hours_wrong: int
) -> None:
    _waiting(keynote)
    window.page.clock.install(time=NOON_MS / 1000 + 3600 * hours_wrong)
    page = window.open("keynote")
    expect(_card(page).locator(".suggestion-expiry")).to_have_text(
        re.compile(r"Expires at 12:30:00, in 29 min 5\d s|Expires at 12:30:00, in 30 min")
    )

    keynote.tick(update_with_score("keynote", NOON_MS + 29 * 60_000, 0.3))

    left = _card(page).locator(".suggestion-left")
    expect(left).to_have_text(re.compile(r"^(1 min|5\d s)$"))
    first = left.inner_text()
    page.clock.run_for(3_000)
    expect(left).not_to_have_text(first)  # it counts down between ticks, too


def test_a_suggestion_cannot_be_approved_after_its_time(
    window: Window, keynote: FakeService
) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()

    keynote.tick(update_with_score("keynote", NOON_MS + 30 * 60_000, 0.3))

    expect(_card(page)).to_contain_text("Nobody approved it in time. Nothing is sent.")
    expect(page.get_by_role("button", name="Approve")).to_be_hidden()
    expired = {"SUGGESTED": NOON_MS, "EXPIRED": NOON_MS + 30 * 60_000}
    keynote.send_decision(suggestion(status="EXPIRED", steps=expired))
    keynote.tick(update_with_score("keynote", NOON_MS + 31 * 60_000, 0.31))
    expect(page.locator(".score-number")).to_have_text("31")
    expect(_card(page)).to_have_count(0)


def test_approve_sends_what_was_suggested(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")

    page.get_by_role("button", name="Approve").click()

    expect(_card(page)).to_contain_text("Approved. It is sent within a few seconds.")
    expect(_card(page).get_by_role("button")).to_have_count(0)
    assert keynote.conductor.answers == [("poll-1", "approve", {})]
    keynote.send_decision(sent())
    expect(_card(page)).to_contain_text("Sent and carried out.")
    keynote.tick(update_with_score("keynote", NOON_MS + 60_000, 0.3))
    expect(_card(page)).to_have_count(0)


def test_dismiss_sends_nothing(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")

    page.get_by_role("button", name="Dismiss", exact=True).click()

    expect(_card(page)).to_contain_text("Dismissed. Nothing is sent.")
    assert keynote.conductor.answers == [("poll-1", "reject", {})]


def test_texts_can_be_edited_before_they_are_sent(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Question")).to_be_focused()
    page.get_by_label("Question").fill(EDITED)
    page.get_by_label("Option 2").fill("Too fast")

    page.get_by_role("button", name="Approve edited").click()

    expect(_card(page)).to_contain_text("Approved")
    [(decision, answer, body)] = keynote.conductor.answers
    assert (decision, answer) == ("poll-1", "approve")
    poll = suggestion()["metadata"]["content"]["poll"]
    options = [poll["options"][0], "Too fast", *poll["options"][2:]]
    assert body == {"content": {"poll": poll | {"question": EDITED, "options": options}}}


def test_changes_can_be_undone(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Question").fill(EDITED)
    page.get_by_role("button", name="Undo changes").click()

    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    assert _content(page)["Question"] == QUESTION
    page.get_by_role("button", name="Approve").click()
    expect(_card(page)).to_contain_text("Approved")
    assert keynote.conductor.answers == [("poll-1", "approve", {})]


def test_escape_ends_the_editing_and_not_the_view(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Question").fill(EDITED)
    page.keyboard.press("Escape")

    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    assert _content(page)["Question"] == QUESTION
    page.keyboard.press("Escape")
    expect(page.locator(".overview")).to_be_visible()


def test_an_update_during_editing_keeps_the_text_and_the_focus(
    window: Window, keynote: FakeService
) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Question").fill(EDITED)

    keynote.send_decision(suggestion())
    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.31))
    expect(page.locator(".score-number")).to_have_text("31")

    expect(page.get_by_label("Question")).to_have_value(EDITED)
    expect(page.get_by_label("Question")).to_be_focused()


@pytest.mark.parametrize(
    ("text", "problem"),
    [("x" * 501, "501 of 500 characters: 1 too long"), (" ", "0 of 500 characters: needed")],
)
def test_a_text_outside_its_bounds_is_marked_and_not_sent(
    window: Window, keynote: FakeService, text: str, problem: str
) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    question = page.get_by_label("Question")
    expect(question).to_have_accessible_description(f"{len(QUESTION)} of 500 characters")
    question.fill(text)
    page.get_by_role("button", name="Approve edited").click()

    expect(question).to_be_focused()
    expect(question).to_have_attribute("aria-invalid", "true")
    expect(question).to_have_accessible_description(problem)
    assert keynote.conductor.answers == []


def test_the_reason_of_a_refusal_is_shown_and_what_was_edited_is_kept(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("400")
    _waiting(keynote)
    reason = "POLL: Unknown placeholder, known are {people} - at `$.poll.question`"
    keynote.conductor.refusal = (400, "invalid_content", reason)
    page = window.open("keynote")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Question").fill("Which {part}?")
    page.get_by_role("button", name="Approve edited").click()

    alert = _card(page).get_by_role("alert")
    expect(alert).to_have_text(f"Not approved. Server response: {reason}")
    expect(page.get_by_label("Question")).to_have_value("Which {part}?")
    keynote.conductor.refusal = None
    page.get_by_role("button", name="Approve edited").click()
    expect(_card(page)).to_contain_text("Approved")
    expect(alert).to_be_empty()


def test_a_suggestion_that_somebody_else_decided_is_shown_as_it_is_now(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("409")
    _waiting(keynote)
    page = window.open("keynote")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    steps = {"SUGGESTED": NOON_MS, "DISMISSED": NOON_MS}
    keynote.conductor.change(suggestion(status="DISMISSED", steps=steps))
    keynote.conductor.refusal = (409, "already_decided", "the suggestion is decided")

    page.get_by_role("button", name="Approve").click()

    expect(_card(page).get_by_role("alert")).to_contain_text("the suggestion is decided")
    expect(_card(page)).to_contain_text("Dismissed. Nothing is sent.")
    expect(_card(page).get_by_role("button")).to_have_count(0)


def test_a_suggestion_is_announced_once_and_politely(window: Window, keynote: FakeService) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")
    page.evaluate(_RECORD_ANNOUNCEMENTS)

    keynote.send_decision(suggestion())
    expect(_card(page)).to_be_visible()
    keynote.send_decision(suggestion())
    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.85))  # another category
    expect(page.locator("#announcements")).to_have_text("Now Very high, 85%")
    page.get_by_role("link", name="All sessions", exact=True).click()
    page.go_back()
    expect(_card(page)).to_be_visible()
    page.locator(".suggestion-left").wait_for()

    text = "The conductor suggests a poll, because of: sudden drop."
    assert page.evaluate("window.announced") == [text, "Now Very high, 85%"]
    live = "[aria-live], [role=status], [role=alert]:not(:empty)"
    assert page.locator(".conductor").locator(live).count() == 0


def test_the_keyboard_decides_and_keeps_its_place(window: Window, keynote: FakeService) -> None:
    _waiting(keynote)
    page = window.open("keynote")
    page.get_by_role("button", name="Dismiss", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(_card(page).get_by_role("heading")).to_be_focused()
    keynote.send_decision(sent())
    keynote.tick(update_with_score("keynote", NOON_MS + 60_000, 0.3))
    expect(_card(page)).to_have_count(0)
    expect(page.get_by_role("heading", name="Conductor", exact=True)).to_be_focused()


def test_without_the_claim_everything_is_shown_and_nothing_can_be_changed(
    open_window: Open, keynote: FakeService
) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"tenant": "default"}).encode()).decode()
    keynote.token = f"e30.{claims.rstrip('=')}.c2lnbmF0dXJl"
    _waiting(keynote)
    window = open_window()
    page = window.page
    page.goto(f"{keynote.url}/#token={keynote.token}&/session/keynote")
    window.wait_until_live()

    expect(_card(page)).to_contain_text(QUESTION)
    expect(page.locator(".conductor-read-only")).to_contain_text("claim “conduct”")
    expect(page.locator(".conductor").get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("button", name="Do something now")).to_be_hidden()
    page.get_by_role("link", name="Conductor").click()
    expect(page.locator(".conducting-read-only")).to_contain_text("claim “conduct”")
    expect(page.locator(".conducting").get_by_role("button")).to_have_count(0)


def test_a_token_that_the_service_refuses_makes_the_page_read_only(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("403")
    _waiting(keynote)
    keynote.conductor.refusal = (403, "conduct_missing", "the token has no claim conduct")
    page = window.open("keynote")
    page.get_by_role("button", name="Approve").click()

    expect(_card(page).get_by_role("alert")).to_contain_text("no claim conduct")
    expect(page.locator(".conductor-read-only")).to_be_visible()
    expect(page.locator(".conductor").get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("status", ["APPROVED", "SENT", "DISMISSED", "COMPLETED"])
def test_what_is_decided_when_the_page_is_opened_has_no_card(
    window: Window, keynote: FakeService, status: str
) -> None:
    steps: Body = {"SUGGESTED": NOON_MS, status: NOON_MS}
    keynote.conductor.change(suggestion(status=status, steps=steps))
    page = window.open("keynote")

    expect(page.locator(".done-item")).to_have_count(1)
    expect(_card(page)).to_have_count(0)

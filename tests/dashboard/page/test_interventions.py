"""What the conductor did in the session that is shown: list, chart, status, mode, and by hand."""

import re
from itertools import starmap

import pytest
from playwright.sync_api import Page, expect

from conductor_actors.domain.conductor.interventions import MeasuredOutcome
from conductor_actors.wire.updates import timestamp
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.chart_pixels import pixel
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, Body, update_with_score
from tests.dashboard.sample_interventions import QUESTION, held, measured, sent, suggestion

LEARNING = "Did nothing, on purpose: this is how the conductor learns what happens without it."
_FULL = [NOON_MS - back * TICK_MS for back in reversed(range(60))]


@pytest.fixture
def keynote(service: FakeService) -> FakeService:
    service.points["keynote"] = [update_with_score("keynote", at, 0.3) for at in _FULL]
    return service


def _outcome(page: Page) -> str:
    return page.locator(".session .done-outcome").first.inner_text()


def test_the_list_has_the_path_of_an_intervention_and_what_followed(
    window: Window, keynote: FakeService
) -> None:
    keynote.conductor.change(measured(at_ms=NOON_MS - 150_000))
    page = window.open("keynote")

    item = page.locator(".session .done-item")
    expect(item.locator(".done-what")).to_have_text(f"Poll {QUESTION}")
    expect(item.locator(".done-about")).to_contain_text("11:57:30 Sudden drop")
    steps = [
        *[("Suggested", "11:57:30"), ("Approved", "11:57:35"), ("Sent", "11:57:40")],
        *[("Carried out", "11:57:45"), ("Measured", "11:59:30")],
    ]
    expect(item.get_by_role("list", name="Path").get_by_role("listitem")).to_have_text(
        list(starmap("{} {}".format, steps))
    )
    assert _outcome(page) == (
        "The score was 48% on average from 30 to 120 s after it, "
        "6 points higher than in similar moments without it (42%)."
    )


def test_the_list_says_how_an_intervention_was_chosen(window: Window, keynote: FakeService) -> None:
    keynote.conductor.change(held())
    manual = sent(id="by-hand", origin="manual", choice=None)
    keynote.conductor.change(manual | {"timestamp": timestamp(NOON_MS - TICK_MS)})
    page = window.open("keynote")
    expect(page.locator(".session .done-choice")).to_have_count(2)
    drawn, by_hand = page.locator(".session .done-choice").all()

    drawn.get_by_text("How it was chosen").click()

    expect(drawn.locator(".done-chances")).to_contain_text(
        "By chance: a poll 70%, a message to everyone 20%, nothing 10%."
    )
    expect(drawn.locator(".done-chances")).to_contain_text("version 3")
    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.5))
    expect(page.locator(".score-number")).to_have_text("50")
    expect(drawn.locator(".done-chances")).to_be_visible()  # it stays open
    by_hand.get_by_text("How it was chosen").click()
    expect(by_hand.locator(".done-chances")).to_have_text("A person started it.")


def test_the_list_follows_an_intervention_step_by_step(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    expect(page.locator(".session .done-state")).to_contain_text("Nothing yet")
    keynote.send_decision(suggestion())
    expect(page.locator(".step-name")).to_have_text(["Suggested"])
    keynote.send_decision(sent())
    expect(page.locator(".step-name")).to_have_text(
        ["Suggested", "Approved", "Sent", "Carried out"]
    )
    assert _outcome(page) == "What follows is known at 12:02:00."
    keynote.send_decision(sent(status="SENT", steps={"SUGGESTED": NOON_MS, "SENT": NOON_MS}))
    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.5))
    expect(page.locator(".score-number")).to_have_text("50")
    expect(page.locator(".step-name").last).to_have_text("Carried out")  # it came late
    keynote.send_decision(measured())

    expect(page.locator(".step-name").last).to_have_text("Measured")
    expect(page.locator(".session .done-state")).to_be_hidden()


def test_doing_nothing_is_shown_as_a_part_of_learning(window: Window, keynote: FakeService) -> None:
    page = window.open("keynote")
    keynote.send_decision(held())

    expect(page.locator(".session .done-type")).to_have_text("Did nothing")
    assert _outcome(page) == f"{LEARNING} What follows is known at 12:02:00."
    expect(page.locator(".conductor-text")).to_contain_text("Does nothing on purpose, to learn")
    expect(page.locator(".suggestion")).to_have_count(0)
    outcome = MeasuredOutcome(NOON_MS + 120_000, 0.28, 0.31, 0.01)
    keynote.send_decision(held(status="COMPLETED", outcome=outcome))
    text = f"{LEARNING} The score was 31% on average from 30 to 120 s later, and 28% before."
    expect(page.locator(".session .done-outcome")).to_have_text(text)


_MINUTE_2 = NOON_MS + 120_000
_SENT_LATE = {"SUGGESTED": NOON_MS, "SENT": NOON_MS + 60_000, "COMPLETED": _MINUTE_2}
_SENT_TOO_LATE = {"SUGGESTED": NOON_MS, "SENT": _MINUTE_2, "COMPLETED": _MINUTE_2}
_DISMISSED = {"SUGGESTED": NOON_MS, "DISMISSED": NOON_MS, "COMPLETED": _MINUTE_2}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            measured(outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, -0.01)),
            "1 point lower than in similar moments without it (26%).",
        ),
        (
            measured(outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, 0.001)),
            "after it, as in similar moments without it (25%).",
        ),
        (
            measured(outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, None)),
            "What it would have been without it is not known.",
        ),
        (
            measured(outcome=MeasuredOutcome(_MINUTE_2, 0.28, censored="gap")),
            "What followed could not be measured: events were missed.",
        ),
        (
            measured(outcome=MeasuredOutcome(_MINUTE_2, 0.28, censored="other_action")),
            "What followed could not be measured: something else was done meanwhile.",
        ),
        (
            measured(steps=_DISMISSED, outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, -0.1)),
            "The score was 25% on average from 30 to 120 s after the suggestion, and 28% before.",
        ),
        (
            measured(steps=_SENT_LATE, outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, -0.1)),
            "after the suggestion, 10 points lower than in similar moments without it (35%).",
        ),
        (
            measured(steps=_SENT_TOO_LATE, outcome=MeasuredOutcome(_MINUTE_2, 0.28, 0.25, -0.1)),
            "The score was 25% on average from 30 to 120 s after the suggestion, and 28% before.",
        ),
        (
            sent(status="EXPIRED", origin="act", steps={"EXPIRED": NOON_MS}, note="event_limit"),
            "100 actions were sent in this event within an hour.",
        ),
        (
            sent(status="FAILED", steps={"SENT": NOON_MS, "FAILED": NOON_MS}, note="no host"),
            "The platform could not do it: no host.",
        ),
        (
            suggestion(status="EXPIRED", steps={"EXPIRED": NOON_MS}, note="not sent in time"),
            "Not sent in time.",
        ),
    ],
    ids=[
        "worse",
        "equal",
        "unknown",
        "gap",
        "other",
        "dismissed",
        "late",
        "too late",
        "limit",
        "failed",
        "expired",
    ],
)
def test_the_outcome_is_told_in_plain_words(
    window: Window, keynote: FakeService, body: Body, text: str
) -> None:
    keynote.conductor.change(body)
    page = window.open("keynote")

    expect(page.locator(".session .done-outcome")).to_have_text(re.compile(re.escape(text) + "$"))


def test_texts_of_others_cannot_change_the_page(window: Window, keynote: FakeService) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    keynote.conductor.change(
        suggestion(type="BROADCAST", content={"message": hostile}, reasoning=hostile)
    )
    page = window.open("keynote")

    shown = hostile.replace("\u202e", "\ufffd")
    expect(page.locator(".session .done-text")).to_have_text(shown)
    expect(page.locator(".content-value")).to_have_text(shown)
    expect(page.locator(".suggestion-reason")).to_have_text(shown)


def test_the_chart_marks_the_sending_the_window_and_the_difference_to_without_it(
    window: Window, keynote: FakeService
) -> None:
    at_ms = NOON_MS - 150_000
    outcome = MeasuredOutcome(at_ms + 120_000, 0.3, 0.9, 0.2)
    keynote.conductor.change(measured(at_ms=at_ms, outcome=outcome))
    page = window.open("keynote")
    expect(page.get_by_text("Without it", exact=True)).to_be_visible()
    expect(page.locator(".session .legend-action")).to_be_visible()

    sent_ms, middle_ms = at_ms + 2 * TICK_MS, at_ms + 75_000
    marks = [pixel(page, sent_ms + nudge, 0.6) for nudge in range(-700, 701, 100)]
    assert max(opacity for *_, opacity in marks) > 150
    assert pixel(page, sent_ms - 5_000, 0.6)[3] == 0
    assert pixel(page, middle_ms, 0.01)[2] > 150  # the bar of the window is blue
    assert pixel(page, middle_ms, 0.80)[3] > 0  # between 70% and 90%
    assert pixel(page, middle_ms, 0.95)[3] == 0
    assert pixel(page, middle_ms, 0.65)[3] == 0
    assert pixel(page, at_ms + 25_000, 0.80)[3] == 0
    assert pixel(page, at_ms + 125_000, 0.80)[3] == 0


@pytest.mark.parametrize("later", ["DISMISSED", "SENT"])
def test_no_difference_is_shown_where_nothing_was_sent_in_the_measured_time(
    window: Window, keynote: FakeService, later: str
) -> None:
    at_ms = NOON_MS - 150_000
    steps = {"SUGGESTED": at_ms, later: at_ms + 120_000, "COMPLETED": at_ms + 120_000}
    outcome = MeasuredOutcome(at_ms + 120_000, 0.3, 0.9, 0.2)
    keynote.conductor.change(measured(at_ms=at_ms, outcome=outcome, steps=steps))
    page = window.open("keynote")
    expect(page.locator(".session .done-item")).to_have_count(1)

    assert pixel(page, at_ms + 75_000, 0.80)[3] == 0
    expect(page.get_by_text("Without it", exact=True)).to_be_hidden()


def test_the_keyboard_reads_what_was_done_before_a_point(
    window: Window, keynote: FakeService
) -> None:
    keynote.conductor.change(sent(at_ms=NOON_MS - 60_000))
    page = window.open("keynote")
    expect(page.locator(".session .done-item")).to_have_count(1)
    expect(page.locator(".score-number")).to_have_text("30")
    page.locator(".chart").focus()
    page.keyboard.press("End")

    text = "12:00:00, 30%, Low, after a poll"
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", text)
    page.keyboard.press("Home")
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", "11:55:05, 30%, Low")


def test_stored_interventions_that_cannot_be_read_leave_the_rest_of_the_page_as_it_is(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("503")
    body = '{"error": {"code": "x", "message": "the database is away"}}'
    window.page.route("**/history/keynote", lambda route: route.fulfill(status=503, body=body))
    page = window.open("keynote")

    expect(page.locator(".session .done-state")).to_contain_text("the database is away")
    keynote.send_decision(suggestion())
    expect(page.locator(".suggestion")).to_be_visible()
    expect(page.locator(".session .done-item")).to_have_count(1)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_a_suggestion_and_its_editing_fit_every_width(
    open_window: Open, keynote: FakeService, width: int
) -> None:
    long = {"poll": {"question": "W" * 500, "options": ["V" * 100, "A B"], "duration": 60}}
    keynote.conductor.change(suggestion(content=long))
    window = open_window(viewport={"width": width, "height": 900})
    page = window.open("keynote")
    expect(page.locator(".suggestion")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_role("button", name="Edit").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width

    page.get_by_role("link", name="Conductor").click()
    expect(page.locator(".waiting-item")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == width

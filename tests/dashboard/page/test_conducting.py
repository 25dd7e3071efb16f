"""How a person conducts the session that is shown: status, mode, kill switch, and by hand."""

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.fake_conductor import TEMPLATES
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, Body, update_with_score
from tests.dashboard.sample_interventions import QUESTION, suggestion

LEARNING = "Did nothing, on purpose: this is how the conductor learns what happens without it."
_FULL = [NOON_MS - back * TICK_MS for back in reversed(range(60))]


@pytest.fixture
def keynote(service: FakeService) -> FakeService:
    service.points["keynote"] = [update_with_score("keynote", at, 0.3) for at in _FULL]
    return service


def _with_agent(mode: str, status: str) -> Body:
    update = update_with_score("keynote", NOON_MS + TICK_MS, 0.5)
    return update | {"agent": {"mode": mode, "status": status}}


@pytest.mark.parametrize(
    ("agent", "shown", "meaning"),
    [
        (("SEMI_AUTO", "MONITORING"), "Monitoring", "From 50%, it asks you first."),
        (("MANUAL", "ANOMALY_DETECTED"), "Anomaly detected", "that you have not approved."),
        (("AUTO", "LEARNING"), "Measuring what follows", "Acts alone, without asking you."),
        (("OFF", "IDLE"), "Off", "Suggests nothing and sends nothing."),
    ],
)
def test_status_and_mode_are_shown_in_plain_words(
    window: Window, keynote: FakeService, agent: tuple[str, str], shown: str, meaning: str
) -> None:
    page = window.open("keynote")
    expect(page.locator(".conductor-status")).to_have_text("Monitoring")
    expect(page.locator(".conductor .mode-shown")).to_have_text("Semi-automatic")

    keynote.tick(_with_agent(*agent))

    expect(page.locator(".conductor-status")).to_have_text(shown)
    expect(page.locator(".conductor .mode-means")).to_contain_text(meaning)


def test_the_mode_of_the_service_is_shown_where_none_is_set(
    window: Window, keynote: FakeService
) -> None:
    keynote.conductor.default_mode = "MANUAL"
    page = window.open("keynote")

    expect(page.locator(".conductor .mode-shown")).to_have_text("Suggest only")
    page.get_by_role("link", name="Conductor").click()
    expect(page.locator(".event-item .mode-shown")).to_have_text("Suggest only")


def test_a_mode_is_set_by_its_button_and_not_by_moving_through_the_choice(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    change = page.locator(".conductor").get_by_role("button", name="Change mode")
    change.click()
    dialog = page.get_by_role("dialog", name="Mode of this session")
    expect(dialog.get_by_role("radio", name="Semi-automatic")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("radio", name=re.compile("^Automatic"))).to_be_checked()
    assert keynote.conductor.modes == []
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")

    expect(dialog).to_be_hidden()
    assert keynote.conductor.modes == [("sessions", "keynote", "OFF")]
    expect(page.locator(".conductor .mode-shown")).to_have_text("Off")
    expect(change).to_be_focused()
    for ticks, score in ((1, 0.6), (2, 0.7)):
        keynote.tick(update_with_score("keynote", NOON_MS + ticks * TICK_MS, score))
        expect(page.locator(".score-number")).to_have_text(f"{score * 100:.0f}")
    expect(page.locator(".conductor .mode-shown")).to_have_text("Semi-automatic")  # as reported


def test_a_session_can_follow_the_mode_of_its_event_again(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    page.locator(".conductor").get_by_role("button", name="Change mode").click()
    page.get_by_role("radio", name="As its event").check()
    page.get_by_role("button", name="Set mode").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    assert keynote.conductor.modes == [("sessions", "keynote", None)]


def test_the_reason_why_a_mode_was_not_set_is_shown(window: Window, keynote: FakeService) -> None:
    window.ignore("503")
    keynote.conductor.refusal = (503, "redis_unavailable", "Redis is away")
    page = window.open("keynote")
    page.locator(".conductor").get_by_role("button", name="Change mode").click()
    page.get_by_role("radio", name="Off").check()
    page.get_by_role("button", name="Set mode").click()

    expect(page.locator(".mode-error")).to_have_text("Not set. Server response: Redis is away")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".conductor .mode-shown")).to_have_text("Semi-automatic")


def test_the_kill_switch_is_shown_and_nothing_can_be_decided(
    window: Window, keynote: FakeService
) -> None:
    keynote.conductor.is_enabled = False
    keynote.conductor.change(suggestion())
    page = window.open("keynote")

    expect(page.locator(".conductor-status")).to_have_text("Switched off for the whole service")
    expect(page.locator(".conductor")).to_contain_text("Nothing is suggested and nothing is sent")
    expect(page.locator(".suggestion")).to_have_count(0)
    expect(page.locator(".conductor").get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("button", name="Do something now")).to_be_hidden()
    page.get_by_role("link", name="Conductor").click()
    expect(page.locator(".conducting-disabled")).to_be_visible()


def test_the_kill_switch_is_noticed_while_a_session_is_shown(
    window: Window, keynote: FakeService
) -> None:
    window.page.clock.install()
    page = window.open("keynote")
    expect(page.locator(".conductor-status")).to_have_text("Monitoring")
    keynote.conductor.is_enabled = False

    page.clock.fast_forward(40_000)

    expect(page.locator(".conductor-status")).to_have_text("Switched off for the whole service")
    keynote.conductor.is_enabled = True
    page.clock.fast_forward(40_000)
    expect(page.locator(".conductor-status")).to_have_text("Monitoring")


def test_an_action_is_started_by_hand_with_the_texts_of_its_template(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Do something now").click()
    dialog = page.get_by_role("dialog", name="Do something now")
    expect(dialog.get_by_label("Question")).to_have_value(QUESTION)
    dialog.get_by_role("radio", name="Message").check()
    dialog.get_by_label("Text").fill("We begin again.")
    dialog.get_by_label("Why").fill("after the fire alarm")
    dialog.get_by_role("button", name="Send").click()

    expect(dialog).to_be_hidden()
    content = {**TEMPLATES["BROADCAST"], "message": "We begin again."}
    [request] = keynote.conductor.manual
    assert request == {
        "session_id": "keynote",
        "intervention_type": "BROADCAST",
        "reason": "after the fire alarm",
        "context": {"content": content},
    }
    expect(page.get_by_role("button", name="Do something now")).to_be_focused()


def test_the_reason_why_an_action_was_not_started_is_shown(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("409")
    keynote.conductor.refusal = (409, "mode_off", "the mode of the session is OFF")
    page = window.open("keynote")
    page.get_by_role("button", name="Do something now").click()
    page.get_by_label("Why").fill("to try it")
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".manual-error")).to_contain_text("the mode of the session is OFF")
    expect(page.get_by_role("dialog")).to_be_visible()

"""Suggestions, modes and what was done on the page of the real dashboard, with real servers."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from msgspec.structs import replace
from playwright.sync_api import expect

from conductor_actors.domain.conductor.interventions import AgentState, Intervention
from conductor_actors.domain.scoring import ScoreRow
from tests.dashboard.agents import measured, moved, suggestion
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.event_samples import COMMANDS
from tests.support.score_rows import row

Write = Callable[..., None]

EDITED = "Which of the two would you try first?"


@pytest.fixture
def report(store: Write, publish: Write) -> Write:
    """Store and publish rows, as the collector does."""

    def store_and_publish(*rows: ScoreRow) -> None:
        store(*rows)
        publish(*rows)

    return store_and_publish


def _commands_about(client: redis.Redis, session_id: str) -> list[Any]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(COMMANDS))
    found = [json.loads(fields[b"data"]) for _, fields in entries]
    return [one for one in found if one.get("sessionId") == session_id]


def _row(session_id: str, ticks_ago: int, record: Intervention, status: str) -> Any:
    agent = AgentState("SEMI_AUTO", status, record.id)  # type: ignore[arg-type] # one of the six
    at_ms = this_tick_ms(ticks_ago)
    return row(session_id, at_ms, event_id="event", interventions=(record,), agent=agent)


def test_a_suggestion_is_edited_approved_sent_and_measured(
    serve: Serve, open_real: Open, report: Write, redis_client: redis.Redis, session_id: str
) -> None:
    suggested = suggestion(ticks_ago=4)
    page = open_real(serve().address).open(session_id)
    report(_row(session_id, 4, suggested, "WAITING_APPROVAL"))
    expect(page.locator(".suggestion")).to_contain_text("What do you think?")
    expect(page.locator(".conductor-status")).to_have_text("Waiting for approval")
    expect(page.get_by_role("link", name="Conductor 1 waiting")).to_be_visible()

    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Text").fill(EDITED)
    page.get_by_role("button", name="Approve edited").click()

    expect(page.locator(".suggestion")).to_contain_text("Approved")
    [command] = _commands_about(redis_client, session_id)
    content = command.pop("content")
    approval = {"command": "approve", "sessionId": session_id, "decisionId": suggested.id}
    assert (command, content) == (approval, {"message": EDITED})
    approved = replace(moved(suggested, "APPROVED"), content=content)
    sent = moved(moved(approved, "SENT"), "EXECUTED")
    report(_row(session_id, 3, sent, "LEARNING"))
    expect(page.locator(".session .step-name").last).to_have_text("Carried out")
    report(_row(session_id, 2, moved(measured(sent), "COMPLETED"), "MONITORING"))

    outcome = page.locator(".session .done-outcome")
    expect(outcome).to_contain_text("12 points higher than in similar moments without it")
    page.reload()
    expect(outcome).to_contain_text("12 points higher than in similar moments without it")
    expect(page.locator(".session .done-text")).to_have_text(EDITED)
    page.get_by_role("link", name="Conductor").click()
    mine = page.locator(".event-done .done-item", has_text=session_id)
    expect(mine).to_contain_text("12 points higher")


def test_the_service_names_what_is_wrong_with_an_edited_text(
    serve: Serve, open_real: Open, publish: Write, redis_client: redis.Redis, session_id: str
) -> None:
    window = open_real(serve().address)
    window.ignore("400")
    page = window.open(session_id)
    publish(_row(session_id, 1, suggestion(), "WAITING_APPROVAL"))
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Text").fill("Hello {you}")
    page.get_by_role("button", name="Approve edited").click()

    expect(page.locator(".suggestion").get_by_role("alert")).to_contain_text("Unknown placeholder")
    assert _commands_about(redis_client, session_id) == []


def test_a_mode_is_written_for_the_collector_and_shown_as_it_has_it(
    serve: Serve, open_real: Open, publish: Write, redis_client: redis.Redis, session_id: str
) -> None:
    page = open_real(serve().address).open(session_id)
    publish(row(session_id, this_tick_ms(4)))
    page.locator(".conductor").get_by_role("button", name="Change mode").click()
    page.get_by_role("radio", name="Off").check()
    page.get_by_role("button", name="Set mode").click()

    shown = page.locator(".conductor .mode-shown")
    expect(shown).to_have_text("Off")
    expected = {"command": "mode", "sessionId": session_id, "mode": "OFF"}
    assert _commands_about(redis_client, session_id) == [expected]
    off = AgentState("OFF", "IDLE")
    for ticks_ago in (3, 2):
        publish(row(session_id, this_tick_ms(ticks_ago), agent=off))
    expect(page.locator(".fact-points")).to_have_text("3")
    expect(shown).to_have_text("Off")
    publish(row(session_id, this_tick_ms(1)))  # somebody else has set it back
    expect(shown).to_have_text("Semi-automatic")


def test_an_action_that_is_started_by_hand_is_written_for_the_collector(
    serve: Serve, open_real: Open, publish: Write, redis_client: redis.Redis, session_id: str
) -> None:
    page = open_real(serve().address).open(session_id)
    publish(row(session_id, this_tick_ms(1)))
    page.get_by_role("button", name="Do something now").click()
    page.get_by_label("Question").fill(EDITED)
    page.get_by_label("Why").fill("to wake them up")
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    [command] = _commands_about(redis_client, session_id)
    assert (command["command"], command["interventionType"]) == ("manual", "POLL")
    assert command["content"]["poll"]["question"] == EDITED
    assert command["reason"] == "to wake them up"


@pytest.mark.parametrize("mode", ["MANUAL", "AUTO"])
def test_the_mode_of_the_service_and_its_kill_switch_are_shown(
    serve: Serve, open_real: Open, publish: Write, session_id: str, mode: str
) -> None:
    publish(row(session_id, this_tick_ms(1)))
    page = open_real(serve(agent_mode=mode).address).open(session_id)
    name = {"MANUAL": "Suggest only", "AUTO": "Automatic"}[mode]
    expect(page.locator(".conductor .mode-shown")).to_have_text(name)

    page = open_real(serve(agent_mode=mode, interventions=False).address).open(session_id)
    expect(page.locator(".conductor-status")).to_have_text("Switched off for the whole service")


def test_a_token_without_the_claim_sees_a_suggestion_and_no_buttons(
    serve: Serve, open_real: Open, publish: Write, session_id: str
) -> None:
    dashboard, suggested = serve(jwt_secret=SECRET), suggestion()
    for claims, buttons in (({}, 0), ({"conduct": True}, 4)):
        window = open_real(dashboard.address)
        own = token("default", claims=claims)
        window.page.goto(f"{dashboard.address}#token={own}&/session/{session_id}")
        window.wait_until_live()
        publish(_row(session_id, 1, suggested, "WAITING_APPROVAL"))
        expect(window.page.locator(".suggestion")).to_be_visible()
        found = window.page.locator(".conductor").get_by_role("button")
        expect(found).to_have_count(buttons)

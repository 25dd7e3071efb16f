"""What actions change in a simulated session: the known effects of the demo."""

import json
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import pytest

from conductor_actors.domain.conductor.interventions import ActionType
from conductor_actors.domain.conductor.templates import DEFAULT_TEMPLATES
from conductor_actors.domain.identity import DEFAULT_TENANT, SessionKey
from conductor_actors.simulate import Simulation
from conductor_actors.simulate.programme import script_at
from conductor_actors.simulate.responses import RESPONSES, PlatformAction
from tests.support.event_samples import CHAT, CLOSED, REACTION, SYNC, VOTE

BEGUN_AT_S = 1_767_528_000.0
STEP_S = 0.25
PANEL = SessionKey(DEFAULT_TENANT, "panel-open-data")
TALKS = SessionKey(DEFAULT_TENANT, "lightning-talks")
SOUND_FAILS_AT_S = 310.0  # of the panel
ACTED_AT_S = 340.0
MEASURED_S = 90.0


def action(kind: str) -> PlatformAction:
    """Return an action with its default texts."""
    poll = DEFAULT_TEMPLATES["POLL"]["poll"]
    if kind != "POLL":
        return PlatformAction(kind)
    return PlatformAction(kind, poll["question"], tuple(poll["options"]), poll["duration"])


@cache
def sent_after(
    kind: str | None, key: SessionKey = PANEL
) -> list[tuple[float, str, dict[str, Any]]]:
    """Return what a session sends in the 90 s after an action: seconds, name and body."""
    simulation = Simulation(sessions=8, seed=4)
    sent: list[tuple[float, str, dict[str, Any]]] = []
    for step in range(int((ACTED_AT_S + MEASURED_S) / STEP_S)):
        elapsed_s = step * STEP_S
        at_s = BEGUN_AT_S + elapsed_s
        if elapsed_s == ACTED_AT_S and kind is not None:
            assert simulation.carry_out(key, action(kind), at_s)
        events = simulation.step(at_s, STEP_S)
        if elapsed_s >= ACTED_AT_S:
            sent += [(elapsed_s - ACTED_AT_S, name, json.loads(body)) for name, body in events]
    return [one for one in sent if session_of(one[2]) == key.session_id]


def session_of(body: dict[str, Any]) -> str | None:
    payload = body.get("payload") or {}
    poll = body.get("poll") or payload.get("poll") or {}
    session_id: str | None = body.get("sessionId") or poll.get("sessionId")
    return session_id


def count(kind: str | None, name: str, key: SessionKey = PANEL) -> int:
    return Counter(one for _, one, _ in sent_after(kind, key))[name]


def test_every_action_has_a_response() -> None:
    assert RESPONSES.keys() == {*get_args(ActionType)}


def test_without_an_action_nobody_chats_while_the_sound_fails() -> None:
    assert script_at(1).scene_at(ACTED_AT_S).is_repairable
    assert not script_at(1).scene_at(SOUND_FAILS_AT_S - 1).is_repairable
    until_repaired_s = script_at(1).left_s(ACTED_AT_S)
    chats = [at_s for at_s, name, _ in sent_after(None) if name == CHAT]
    assert all(at_s >= until_repaired_s - 1 for at_s in chats)


def test_after_a_notification_the_sound_works_again_within_seconds() -> None:
    chats = [at_s for at_s, name, _ in sent_after("NOTIFICATION") if name == CHAT]
    assert 10 <= chats[0] < 15
    assert max(after - before for before, after in pairwise(chats)) < 10
    assert len(chats) > 5 * count(None, CHAT)


def test_a_notification_changes_nothing_where_the_sound_works() -> None:
    assert sent_after("NOTIFICATION", TALKS)[:200] == sent_after(None, TALKS)[:200]


def test_a_poll_opens_most_people_vote_for_one_of_its_options_and_it_closes() -> None:
    sent = sent_after("POLL")
    opened = next(body for _, name, body in sent if name == SYNC and body.get("resource") == "POLL")
    poll = opened["payload"]["poll"]
    assert poll["question"] == DEFAULT_TEMPLATES["POLL"]["poll"]["question"]
    votes = [body for _, name, body in sent if name == VOTE and body["pollId"] == poll["id"]]
    assert len({vote.get("userId") for vote in votes}) > 30  # of 60
    assert {vote["optionId"] for vote in votes} == {option["id"] for option in poll["options"]}
    assert len(poll["options"]) == 5
    closed_s = [at_s for at_s, name, _ in sent if name == CLOSED]
    assert closed_s == [pytest.approx(DEFAULT_TEMPLATES["POLL"]["poll"]["duration"], abs=0.5)]


def test_after_a_poll_and_a_broadcast_people_chat_and_after_a_game_they_react() -> None:
    until_s = script_at(1).left_s(ACTED_AT_S) - 1
    assert until_s > 60
    chats, reactions = (
        {
            kind: sum(one == name and at_s < until_s for at_s, one, _ in sent_after(kind))
            for kind in RESPONSES
        }
        for name in (CHAT, REACTION)
    )
    assert chats["POLL"] > 15
    assert chats["BROADCAST"] > 15
    assert 0 < chats["GAMIFICATION"] < 15
    assert reactions["GAMIFICATION"] > 30
    assert reactions["POLL"] == reactions["BROADCAST"] == 0


def test_an_unknown_session_does_not_respond() -> None:
    assert not Simulation(1).carry_out(PANEL, action("POLL"), BEGUN_AT_S)


def test_sessions_without_an_action_do_not_change() -> None:
    assert sent_after("BROADCAST", PANEL) != sent_after(None, PANEL)
    simulations = Simulation(sessions=8, seed=4), Simulation(sessions=8, seed=4)
    for simulation in simulations:
        simulation.step(BEGUN_AT_S, 5)
    simulations[0].carry_out(PANEL, action("GAMIFICATION"), BEGUN_AT_S + 5)
    acted, other = (
        [one for one in each.step(BEGUN_AT_S + 5, 5) if PANEL.session_id.encode() not in one[1]]
        for each in simulations
    )
    assert acted == other

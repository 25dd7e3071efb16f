"""A demo with a conductor: a suggestion is approved, its session responds, it has an outcome."""

import json
from functools import cache
from typing import NamedTuple

import pytest

from conductor_actors.domain.commands import encode_approval
from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import DEFAULT_TENANT, SessionKey
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.simulate import Simulation
from conductor_actors.simulate.feed import STEP_S
from conductor_actors.simulate.past import PAST_S
from conductor_actors.simulate.responses import PlatformAction
from tests.support.event_samples import COMMANDS, SENT

BEGUN_AT_S = 1_767_528_000.0
WATCHED_S = 240.0
APPROVED_AFTER_S = 10.0
SENT_AFTER_S = 16.0
SALTS = [f"salt {number}" for number in range(12)]  # each makes other random choices


class Approval(NamedTuple):
    """What a newcomer approves, and where."""

    session_id: str
    suggestion: Intervention


def changed(salt: str, approval: Approval | None = None) -> list[Approval]:
    """Return the interventions that change in the first minutes of a demo, oldest first."""
    simulation = Simulation(sessions=8, seed=5)
    entries: list[Entry] = []
    for step in range(int((PAST_S + WATCHED_S) / STEP_S)):
        at_s = BEGUN_AT_S - PAST_S + step * STEP_S
        answers = _answers(simulation, approval, at_s) if approval else []
        sent = [*answers, *simulation.step(at_s, STEP_S)]
        entries += [(int(at_s * 1000), order, *one) for order, one in enumerate(sent)]
    rows: list[ScoreRow] = []
    session = SessionRules(conduct=ConductRules(salt=salt))
    assert Replayer(Rules(IntakeRules(), session, Scoring()), rows.extend).run(entries).failed == 0
    return [Approval(row.session_id, one) for row in rows for one in row.interventions]


def _answers(simulation: Simulation, approval: Approval, at_s: float) -> list[tuple[str, bytes]]:
    """Return the entries of the approval and of sending; carry the action out when it is sent."""
    session_id, suggestion = approval
    elapsed_s = at_s - suggestion.at_ms / 1000
    if elapsed_s == APPROVED_AFTER_S:
        return [(COMMANDS, encode_approval(session_id, suggestion.id))]
    if elapsed_s != SENT_AFTER_S:
        return []
    poll = (suggestion.content or {}).get("poll", {})
    action = PlatformAction(
        suggestion.type,
        *(poll.get("question", ""), tuple(poll.get("options", ())), poll.get("duration", 0)),
    )
    assert simulation.carry_out(SessionKey(DEFAULT_TENANT, session_id), action, at_s)
    sent = {"interventionId": suggestion.id, "sessionId": session_id, "refused": None}
    return [(SENT, json.dumps(sent).encode())]


@cache
def ignored(salt: str) -> list[Approval]:
    """Return the interventions of a demo in which nobody approves any."""
    return changed(salt)


def first_suggestion(salt: str) -> Approval:
    return next(one for one in ignored(salt) if one.suggestion.status == "SUGGESTED")


def outcome_of(identity: str, found: list[Approval]) -> float:
    after = next(
        one.suggestion.outcome.after
        for one in found
        if one.suggestion.id == identity and one.suggestion.outcome
    )
    assert after is not None
    return after


@pytest.mark.parametrize("salt", SALTS)
def test_an_action_is_suggested_within_two_minutes(salt: str) -> None:
    assert first_suggestion(salt).suggestion.at_ms / 1000 - BEGUN_AT_S <= 120


def test_doing_nothing_is_chosen_sometimes() -> None:
    kinds = {ignored(salt)[0].suggestion.type for salt in SALTS}
    assert "HOLD" in kinds


@pytest.mark.parametrize("salt", SALTS[:4])
def test_an_approved_action_has_a_better_outcome_than_one_that_is_not_sent(salt: str) -> None:
    approval = first_suggestion(salt)
    identity = approval.suggestion.id
    carried_out = changed(salt, approval)
    assert any(
        one.suggestion.id == identity and "SENT" in one.suggestion.steps for one in carried_out
    )
    assert outcome_of(identity, carried_out) > outcome_of(identity, ignored(salt)) + 0.1

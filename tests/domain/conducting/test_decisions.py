"""What is decided about an anomaly, in each mode."""

from typing import Final

import pytest

from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    AgentState,
)
from conductor_actors.domain.conductor.policy import Policy, added, expected_effect, probabilities
from conductor_actors.domain.conductor.requests import (
    ModeSet,
)
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.conducting.conducted_session import ConductedSession
from tests.domain.conducting.requested_actions import first_decision, learnt, manual, session_in

MANUAL_ID: Final = "00000000-0000-4000-8000-000000000009"


def test_without_an_anomaly_nothing_is_decided() -> None:
    session = session_in("AUTO")
    assert session.ticks(600) == []
    assert session.state.conduct is None
    assert session.agent is None


def test_an_anomaly_leads_to_one_choice_with_its_probabilities() -> None:
    session = session_in("AUTO")
    [decision] = session.drop()
    choice = decision.choice
    assert choice is not None
    assert choice.probabilities == probabilities(Policy(), "SUDDEN_DROP", ACTIONS)
    assert sum(choice.probabilities.values()) == 1_000_000
    assert decision.at_ms == session.at_ms
    assert decision.before == 0.5


def test_the_same_anomaly_leads_to_the_same_choice_everywhere() -> None:
    assert session_in("AUTO").drop(7) == session_in("AUTO").drop(7)


def test_another_salt_leads_to_other_choices() -> None:
    def draws(salt: str) -> list[float]:
        rules = SessionRules(conduct=ConductRules(mode="AUTO", salt=salt))
        found = [ConductedSession(rules).drop(number)[0].choice for number in range(1, 20)]
        return [choice.draw for choice in found if choice is not None]

    assert not set(draws("")) & set(draws("secret"))


def test_auto_acts_at_once_and_manual_suggests() -> None:
    acted, suggested = first_decision(session_in("AUTO")), first_decision(session_in("MANUAL"))
    assert (acted.origin, acted.status) == ("act", "APPROVED")
    assert acted.send_by_ms == acted.at_ms + 15_000
    assert (suggested.origin, suggested.status) == ("suggest", "SUGGESTED")
    assert suggested.expires_ms == suggested.at_ms + 1_800_000


def test_semi_auto_acts_alone_only_where_it_is_confident() -> None:
    confident = session_in("SEMI_AUTO", learnt("POLL", 0.1))
    decisions = [confident.drop(number) for number in range(1, 2)]
    while decisions[-1][0].type != "POLL":
        confident.ticks(600)
        decisions.append(confident.drop(len(decisions) + 1))
    assert (decisions[-1][0].origin, decisions[-1][0].status) == ("act", "APPROVED")
    assert decisions[-1][0].confidence >= 0.75
    unsure = first_decision(session_in("SEMI_AUTO"))
    assert (unsure.origin, unsure.confidence) == ("suggest", 0.5)


def test_semi_auto_does_not_suggest_what_seems_to_harm() -> None:
    session = session_in("SEMI_AUTO", learnt("POLL", -0.1))
    choice = session.drop()[0].choice
    assert choice is not None
    assert "POLL" not in choice.probabilities


def test_where_all_actions_seem_to_harm_nothing_is_done_and_that_is_measured() -> None:
    policy = Policy()
    for _ in range(60):
        policy = added(policy, "HOLD", "SUDDEN_DROP", 500_000, 500_000)
        for action in ACTIONS:
            policy = added(policy, action, "SUDDEN_DROP", 500_000, 300_000)
    session = session_in("SEMI_AUTO", policy)
    [decision] = session.drop()
    assert decision.choice is not None
    assert (decision.status, decision.choice.probabilities) == ("HELD", {HOLD: 1_000_000})
    assert session.ticks(120)[-1].is_learnt


@pytest.mark.parametrize("how", ["default", "event", "session", "kill switch"])
def test_off_decides_nothing(how: str) -> None:
    rules = ConductRules(how != "kill switch", "OFF" if how == "default" else "AUTO")
    directives = Directives(modes={"event": "OFF"}) if how == "event" else None
    session = ConductedSession(SessionRules(conduct=rules), directives)
    if how == "session":
        session.request(ModeSet(0, "OFF"))
    session.tick()
    assert session.drop() == ()
    assert session.agent == (AgentState("OFF", "IDLE") if how in ("event", "session") else None)


def test_the_mode_of_a_session_is_before_that_of_its_event_and_can_be_taken_back() -> None:
    session = ConductedSession(SessionRules(), Directives(modes={"event": "OFF"}))
    session.request(ModeSet(0, "MANUAL"))
    session.tick()
    assert session.agent == AgentState("MANUAL", "MONITORING")
    session.request(ModeSet(0, None))
    session.tick()
    assert session.agent == AgentState("OFF", "IDLE")


def test_a_decision_says_what_the_action_is_expected_to_add() -> None:
    policy = learnt("POLL", 0.1)
    session = session_in("AUTO", policy)
    decision = first_decision(session)
    assert decision.type != HOLD
    assert decision.estimated_impact == expected_effect(policy, "SUDDEN_DROP", decision.type)


def test_an_action_says_the_text_of_the_tenant_with_what_is_known_filled_in() -> None:
    text = "{people} people in {session}: {reason}"
    session = ConductedSession(
        SessionRules(conduct=ConductRules(mode="AUTO")),
        Directives(templates={"BROADCAST": {"message": text}}),
    )
    session.request(manual())
    [started] = session.tick()
    assert started.content == {"message": "1 people in keynote: Lunch is over."}

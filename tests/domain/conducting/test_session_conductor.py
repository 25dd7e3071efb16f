"""What the conductor of a session does at each tick."""

from typing import Final

import pytest

from conductor_actors.domain.conductor.action_limits import COOLDOWNS_MS
from conductor_actors.domain.conductor.interventions import (
    HOLD,
    AgentState,
    InterventionStatus,
    Mode,
)
from conductor_actors.domain.conductor.policy import Policy, reference
from conductor_actors.domain.conductor.requests import (
    Approved,
    Dismissed,
    InterventionReported,
    InterventionSent,
    ModeSet,
)
from tests.domain.conducting.conducted_session import TICK_MS, ConductedSession
from tests.domain.conducting.requested_actions import (
    approved,
    first_decision,
    learnt,
    manual,
    sent,
    session_in,
)

MANUAL_ID: Final = "00000000-0000-4000-8000-000000000009"


def statuses(session: ConductedSession) -> list[InterventionStatus]:
    return [each.status for row in session.rows for each in row.interventions]


def test_an_action_is_to_be_sent_until_its_entry_comes() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    session.tick()
    assert [each.id for each in session.open if each.is_to_send] == [decision.id]
    session.request(sent(decision))
    [changed] = session.tick()
    assert changed.status == "SENT"
    assert not any(each.is_to_send for each in session.open)


def test_what_was_not_sent_in_time_expires_and_is_not_offered_again() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    assert session.ticks(15) == []
    [changed] = session.tick()
    assert (changed.id, changed.status, changed.note) == (
        decision.id,
        "EXPIRED",
        "not sent in time",
    )
    assert not any(each.is_to_send for each in session.open)


def test_what_the_courier_refuses_expires_with_its_reason() -> None:
    session = session_in("AUTO")
    session.request(sent(first_decision(session), refused="event_limit"))
    [changed] = session.tick()
    assert (changed.status, changed.note) == ("EXPIRED", "event_limit")


@pytest.mark.parametrize(("is_success", "status"), [(True, "EXECUTED"), (False, "FAILED")])
def test_the_platform_reports_what_it_did(*, is_success: bool, status: str) -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    session.request(sent(decision))
    session.tick()
    report = InterventionReported(0, decision.id, is_success, None if is_success else "no poll")
    session.request(report, report)
    [changed] = session.tick()
    assert (changed.status, changed.note) == (status, None if is_success else "no poll")
    opposite = InterventionReported(0, decision.id, not is_success)
    session.request(opposite)
    assert session.tick() == ()


def test_a_report_before_the_sent_entry_is_not_taken_back() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    session.request(InterventionReported(0, decision.id, is_success=True), sent(decision))
    [changed] = session.tick()
    assert changed.status == "EXECUTED"
    assert not any(each.is_to_send for each in session.open)


def test_a_suggestion_is_sent_once_it_is_approved() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    assert session.agent == AgentState("MANUAL", "WAITING_APPROVAL", decision.id)
    session.ticks(60)
    session.request(approved(decision))
    [changed] = session.tick()
    assert changed.status == "APPROVED"
    assert changed.send_by_ms == session.at_ms + 15_000
    assert session.agent == AgentState("MANUAL", "INTERVENING", decision.id)


def test_a_suggestion_is_decided_once() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    session.request(Dismissed(0, decision.id, "not now"), approved(decision))
    [changed] = session.tick()
    assert (changed.status, changed.note) == ("DISMISSED", "not now")
    session.request(approved(decision))
    assert session.tick() == ()


def test_an_approval_can_have_other_content() -> None:
    session = session_in("MANUAL", learnt("BROADCAST", 0.1))
    decision = first_decision(session)
    while decision.type != "BROADCAST":
        session.ticks(2000)
        decision = session.drop(1000 + session.at_s)[-1]
    session.request(approved(decision, {"message": "Back in five minutes."}))
    [changed] = session.tick()
    assert changed.content == {"message": "Back in five minutes."}


def test_content_that_cannot_be_sent_approves_nothing() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    session.request(approved(decision, {"nonsense": 1}))
    assert session.tick() == ()
    assert session.open[0].status == "SUGGESTED"


def test_a_suggestion_expires_after_half_an_hour() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    changed = session.ticks(1800)
    [expired] = [each for each in changed if each.note == "nobody decided in time"]
    assert list(expired.steps) == ["SUGGESTED", "EXPIRED", "COMPLETED"]
    assert session.at_ms == decision.expires_ms


def test_a_newer_decision_replaces_a_suggestion() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    session.ticks(300)
    changed = session.drop(900)
    assert changed[0].id == decision.id
    assert (changed[0].status, changed[0].note) == ("COMPLETED", "a newer decision was made")
    assert list(changed[0].steps)[-2:] == ["EXPIRED", "COMPLETED"]


@pytest.mark.parametrize("mode", ["AUTO", "MANUAL"])
def test_off_stops_what_is_decided_and_not_sent(mode: Mode) -> None:
    session = session_in(mode)
    first_decision(session)
    session.request(ModeSet(0, "OFF"))
    [changed] = session.tick()
    assert (changed.status, changed.note) == ("EXPIRED", "the mode is OFF")


def test_what_expired_is_not_expired_once_more_by_a_refusal() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    session.request(ModeSet(0, "OFF"))
    session.tick()
    session.request(sent(decision, refused="event_limit"))
    assert session.tick() == ()


def test_an_approval_after_the_outcome_is_followed_until_the_platform_reports() -> None:
    session = session_in("MANUAL")
    suggested = first_decision(session)
    session.ticks(120)
    session.request(approved(suggested))
    session.tick()
    session.request(sent(suggested))
    session.tick()
    assert session.ticks(60) == []
    session.request(InterventionReported(0, suggested.id, is_success=True))
    [done] = session.tick()
    assert [*done.steps][-3:] == ["SENT", "EXECUTED", "COMPLETED"]


def test_a_platform_that_never_reports_is_not_waited_for_longer_than_two_minutes() -> None:
    session = session_in("MANUAL")
    suggested = first_decision(session)
    session.ticks(120)
    session.request(approved(suggested))
    session.tick()
    session.request(sent(suggested))
    session.tick()
    assert session.ticks(115) == []
    [done] = session.tick()
    assert done.status == "COMPLETED"


def test_the_status_follows_an_action_from_sending_to_learning() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    statuses_seen = [session.agent]
    session.request(sent(decision))
    session.tick()
    statuses_seen.append(session.agent)
    session.request(InterventionReported(0, decision.id, is_success=True))
    session.tick()
    statuses_seen.append(session.agent)
    assert [each.status for each in statuses_seen if each] == [
        "INTERVENING",
        "INTERVENING",
        "LEARNING",
    ]


def test_a_limit_counts_from_the_time_of_sending() -> None:
    session = session_in("SEMI_AUTO")
    session.request(manual(1))
    [first] = session.tick()
    session.tick()
    session.request(sent(first))  # 5 s after it was decided
    session.ticks(50)
    session.request(manual(2))
    refused = {each.id: each for each in session.tick()}  # 60 s after the decision
    assert [each.note for each in refused.values()] == ["BROADCAST less than 60 s ago"]
    session.request(manual(3))
    assert "APPROVED" in [each.status for each in session.tick()]


def test_an_approval_in_the_tick_of_off_starts_nothing_and_censors_nothing() -> None:
    session = session_in("MANUAL")
    suggested = first_decision(session)
    session.ticks(120)
    session.request(manual())
    started = next(each for each in session.tick() if each.origin == "manual")
    session.request(sent(started))
    session.ticks(60)
    session.request(approved(suggested), ModeSet(0, "OFF"))
    changed = {each.id: each for each in session.tick()}
    assert changed[suggested.id].note == "the mode is OFF"
    assert started.id not in changed
    measured = [each.outcome for each in session.ticks(60) if each.id == started.id]
    assert [each.censored for each in measured if each] == [None]


def test_what_was_sent_just_before_off_is_known_to_be_sent() -> None:
    session = session_in("AUTO")
    decision = first_decision(session)
    session.request(ModeSet(0, "OFF"))
    session.tick()
    session.request(sent(decision))
    [changed] = session.tick()
    assert changed.status == "SENT"


def test_the_outcome_is_the_mean_score_from_30_to_120_seconds_after() -> None:
    session = session_in("AUTO")
    decision = first_decision(session, is_action=False)
    session.ticks(30, score=0.9)
    session.ticks(45, score=0.2)
    changed = session.ticks(45, score=0.4)
    [outcome] = [each.outcome for each in changed]
    assert outcome is not None
    assert outcome.after is not None
    assert outcome.after == pytest.approx(0.3)
    assert outcome.before == 0.5
    assert outcome.reward == outcome.after - reference(Policy(), "SUDDEN_DROP", 0.5)
    assert outcome.success is False
    assert outcome.measured_ms == decision.at_ms + 120_000
    assert changed[0].status == "COMPLETED"
    assert changed[0].is_learnt
    assert session.open == ()


def test_a_suggestion_is_measured_whatever_became_of_it() -> None:
    session = session_in("MANUAL")
    decision = first_decision(session)
    session.request(Dismissed(0, decision.id))
    changed = session.ticks(120)
    assert [each.status for each in changed] == ["DISMISSED", "COMPLETED"]
    assert changed[-1].is_learnt
    waiting = session_in("MANUAL")
    first_decision(waiting)
    [measured] = waiting.ticks(120)
    assert (measured.status, measured.is_learnt) == ("SUGGESTED", True)


def test_a_gap_censors_the_outcome() -> None:
    session = session_in("AUTO")
    first_decision(session, is_action=False)
    session.tick()
    [changed] = session.tick(has_gap=True)
    assert changed.outcome is not None
    assert (changed.outcome.censored, changed.is_learnt) == ("gap", False)


def test_another_action_censors_the_outcome() -> None:
    session = session_in("AUTO")
    decision = first_decision(session, is_action=False)
    session.request(manual())
    changed = session.tick()
    censored = [
        each.outcome.censored for each in changed if each.id == decision.id and each.outcome
    ]
    assert censored == ["other_action"]


def test_the_last_row_of_a_session_ends_everything() -> None:
    session = session_in("MANUAL")
    first_decision(session)
    while session.state.has_row_at(session.at_ms + TICK_MS):
        session.tick(is_silent=True)
    assert session.open == ()
    assert statuses(session)[-1] == "COMPLETED"


def test_one_trial_is_open_at_a_time() -> None:
    session = session_in("AUTO")
    first_decision(session, is_action=False)
    assert session.ticks(60) == []
    assert session.drop(800) == ()
    session.ticks(120)
    assert session.drop(801) != ()


def test_a_manual_action_is_sent_and_measured_and_is_no_trial() -> None:
    session = session_in("SEMI_AUTO")
    session.request(manual())
    [started] = session.tick()
    assert (started.origin, started.status, started.choice) == ("manual", "APPROVED", None)
    session.request(sent(started), sent(started))
    session.tick()
    [measured] = session.ticks(115)
    assert measured.outcome is not None
    assert (measured.outcome.after, measured.outcome.reward) == (0.5, None)
    assert (measured.status, measured.is_learnt) == ("COMPLETED", False)


def test_a_manual_action_in_a_session_that_is_off_is_not_started_and_censors_nothing() -> None:
    session = session_in("AUTO")
    decision = first_decision(session, is_action=False)
    session.request(ModeSet(0, "OFF"), manual())
    [refused] = session.tick()
    assert (refused.status, refused.note) == ("EXPIRED", "the mode is OFF")
    assert "APPROVED" not in refused.steps
    [*_, measured] = session.ticks(120)
    assert measured.id == decision.id
    assert measured.is_learnt


def test_limits_hold_for_manual_actions_too() -> None:
    session = session_in("SEMI_AUTO")
    session.request(manual(1), manual(2))
    first, second = session.tick()
    assert (first.status, second.status) == ("APPROVED", "EXPIRED")
    session.request(sent(first))
    session.ticks(30)
    session.request(manual(3))
    assert [(each.status, each.note) for each in session.tick()][-1] == (
        "EXPIRED",
        "BROADCAST less than 60 s ago",
    )
    session.request(manual(4, "POLL"))
    assert "APPROVED" in [each.status for each in session.tick()]


def test_no_choice_is_offered_that_a_limit_forbids() -> None:
    session = session_in("AUTO")
    session.request(manual(1, "NOTIFICATION"))
    [started] = session.tick()
    session.request(sent(started))
    session.ticks(120)
    choice = session.drop()[0].choice
    assert choice is not None
    assert set(choice.probabilities) == {HOLD, "POLL", "BROADCAST", "GAMIFICATION"}
    assert COOLDOWNS_MS["NOTIFICATION"] > 120_000 + TICK_MS


def test_requests_that_concern_nothing_open_are_not_kept() -> None:
    session = session_in("AUTO")
    session.request(Dismissed(0, "unknown"), InterventionSent(0, "unknown"), Approved(0, "unknown"))
    assert session.state.conduct is not None
    assert session.state.conduct.requests == ()
    session.tick()
    assert session.state.conduct is None


def test_a_flood_of_requests_is_bounded() -> None:
    session = session_in("AUTO")
    for _ in range(1000):
        session.request(ModeSet(0, "MANUAL"))
    assert session.state.conduct is not None
    assert len(session.state.conduct.requests) == 100

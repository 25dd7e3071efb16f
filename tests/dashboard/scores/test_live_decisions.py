"""Which decisions a dashboard takes for open, and for how long it knows the others."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from conductor_actors.dashboard.scores.live_decisions import (
    MAX_DECISIONS_PER_SESSION,
    MAX_SUGGESTED_S,
    LiveDecisions,
)
from conductor_actors.dashboard.scores.live_sessions import HISTORY_S, SESSION_EXPIRY_S
from conductor_actors.domain.conductor.interventions import AgentState, Intervention
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.conductor_port import StoredIntervention
from conductor_actors.wire.intervention_bodies import DecisionBody, decision_body
from tests.dashboard.agents import measured, moved, suggestion
from tests.support.score_rows import AT_MS
from tests.support.stored_interventions import stored_intervention

KEY = SessionKey("default", "session")
OFF = AgentState("OFF", "IDLE")
WATCHING = AgentState("SEMI_AUTO", "MONITORING")


class Time:
    def __init__(self) -> None:
        self.s = AT_MS / 1000

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def live(time: Time) -> LiveDecisions:
    return LiveDecisions(time, "SEMI_AUTO")


def open_suggestion(**changes: Any) -> Intervention:
    usual = {"at_ms": AT_MS, "expires_ms": AT_MS + 1_800_000, "steps": {"SUGGESTED": AT_MS}}
    return replace(suggestion(), **(usual | changes))


def body(record: Intervention) -> DecisionBody:
    return decision_body("session", record)


def ids(bodies: list[bytes]) -> list[str]:
    return [json.loads(one)["id"] for one in bodies]


def opened(live: LiveDecisions) -> list[str]:
    return ids(live.open("default", {"session", "other"}))


def test_a_suggestion_is_open_until_it_is_decided(live: LiveDecisions) -> None:
    one = open_suggestion()
    assert live.add("default", body(one))
    assert (opened(live), len(live)) == ([one.id], 1)
    assert live.current(KEY) == body(one)
    assert live.add("default", body(moved(one, "DISMISSED")))
    assert (opened(live), len(live), live.current(KEY)) == ([], 0, None)
    assert ids(live.recent(KEY)) == [one.id]


def test_a_suggestion_is_open_until_it_expires(live: LiveDecisions, time: Time) -> None:
    live.add("default", body(open_suggestion()))
    time.s += 1799
    live.remove_expired()
    assert len(opened(live)) == 1
    time.s += 1
    assert opened(live) == []
    live.remove_expired()
    assert live.recent(KEY) == []


def test_an_older_or_equal_record_changes_nothing(live: LiveDecisions) -> None:
    one = open_suggestion()
    sent = moved(moved(one, "APPROVED"), "SENT")
    assert live.add("default", body(sent))
    for older in (one, moved(one, "APPROVED"), sent):
        assert not live.add("default", body(older))
    assert live.get(KEY, one.id) == body(sent)
    assert live.add("default", body(measured(sent)))
    assert not live.add("default", body(sent))


def test_what_is_decided_is_known_until_five_minutes_after_its_outcome(
    live: LiveDecisions, time: Time
) -> None:
    one = moved(open_suggestion(), "APPROVED")
    live.add("default", body(one))
    time.s += 120 + HISTORY_S
    live.remove_expired()
    assert ids(live.recent(KEY)) == [one.id], "its outcome may be late"
    time.s = AT_MS / 1000 + 120
    live.add("default", body(measured(one)))
    time.s += HISTORY_S - 1
    live.remove_expired()
    assert ids(live.recent(KEY)) == [one.id]
    time.s += 1
    live.remove_expired()
    assert live.recent(KEY) == []


def test_a_record_of_the_future_is_forgotten_in_time(live: LiveDecisions, time: Time) -> None:
    far = 253_402_300_799_000
    live.add("default", body(open_suggestion(expires_ms=far, at_ms=far, steps={"SUGGESTED": far})))
    time.s += MAX_SUGGESTED_S
    live.remove_expired()
    assert live.recent(KEY) == []


def test_a_session_has_a_limited_number_of_decisions(live: LiveDecisions) -> None:
    for _ in range(MAX_DECISIONS_PER_SESSION + 5):
        live.add("default", body(moved(open_suggestion(), "EXPIRED")))
    assert len(live.recent(KEY)) == MAX_DECISIONS_PER_SESSION


def test_the_newest_state_of_a_session_counts(live: LiveDecisions, time: Time) -> None:
    assert live.is_default(KEY)
    assert live.set_state(KEY, OFF, AT_MS)
    assert not live.set_state(KEY, OFF, AT_MS + 5000)
    assert not live.set_state(KEY, WATCHING, AT_MS), "it is older"
    assert live.state(KEY) == OFF
    time.s += SESSION_EXPIRY_S
    live.remove_expired()
    assert live.state(KEY) == WATCHING


def test_the_decision_that_the_state_names_is_the_current_one(live: LiveDecisions) -> None:
    first, second = open_suggestion(), open_suggestion(at_ms=AT_MS + 5000)
    for one in (first, second):
        live.add("default", body(one))
    assert live.current(KEY) == body(second)
    live.set_state(KEY, AgentState("AUTO", "INTERVENING", first.id), AT_MS)
    assert live.current(KEY) == body(first)


def test_tenants_and_sessions_are_apart(live: LiveDecisions) -> None:
    one = open_suggestion()
    live.add("acme", body(one))
    assert opened(live) == []
    assert ids(live.open("acme", {"session"})) == [one.id]
    assert live.open("acme", {"other"}) == []
    assert live.get(SessionKey("acme", "other"), one.id) is None
    assert ids(live.recent_of_tenant("acme")) == [one.id]
    assert live.recent_of_tenant("acme", {"other"}) == []
    assert live.recent_of_tenant("default") == []


def stored(record: Intervention, **changes: Any) -> StoredIntervention:
    found = body(record)
    metadata = {"steps": found.metadata.steps, "expires_at": found.metadata.expires_at}
    return stored_intervention(
        at_ms=record.at_ms,
        status=record.status,
        metadata=metadata,
        **changes,
    )._replace(id=record.id)


def test_what_was_missed_is_what_the_database_has_newer(live: LiveDecisions, time: Time) -> None:
    known, missed = open_suggestion(), open_suggestion()
    live.add("default", body(known))
    sent = moved(moved(missed, "APPROVED"), "SENT")
    found = live.merge([stored(sent), stored(known)])
    assert [(tenant, record.id) for tenant, record in found] == [("default", sent.id)]
    assert live.merge([stored(sent), stored(known)]) == []
    time.s += 3600
    assert live.merge([stored(moved(open_suggestion(), "EXPIRED"))]) == [], "it is long over"


def test_each_report_is_sent_once(live: LiveDecisions) -> None:
    one = open_suggestion()
    live.add("default", body(one))
    assert [live.report(KEY, one.id, kind) for kind in ("a", "b", "a")] == [True, True, False]
    assert live.report(KEY, "unknown", "a")

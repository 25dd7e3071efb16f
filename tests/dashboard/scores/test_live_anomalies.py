"""Which anomalies a dashboard takes for open, from messages and from the database."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from conductor_actors.dashboard.scores.live_anomalies import (
    MAX_ANOMALIES_PER_SESSION,
    MAX_OPEN_S,
    MAX_UNSTORED_S,
    LiveAnomalies,
    MissedMessages,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.anomaly_port import AnomalyFeedback
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd
from tests.support.score_rows import AT_MS
from tests.support.stored_anomalies import anomaly, begin_of, end_of

KEY = SessionKey("default", "session")
NOTHING = MissedMessages([], [])


class Time:
    def __init__(self) -> None:
        self.s = AT_MS / 1000

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def live(time: Time) -> LiveAnomalies:
    return LiveAnomalies(time)


OWN = ("default",)


def begin(number: int = 1, at_ms: int = AT_MS, **changes: object) -> Anomaly:
    return replace(begin_of(anomaly(number, at_ms)), **changes)


def end(number: int = 1, ended_ms: int = AT_MS + 60_000) -> AnomalyEnd:
    return end_of(anomaly(number), ended_ms)


def open_(live: LiveAnomalies) -> list[Any]:
    return [json.loads(body) for body in live.open("default", {"session", "other"})]


def recent(live: LiveAnomalies) -> list[Any]:
    return [json.loads(body) for body in live.recent(KEY)]


def test_an_anomaly_is_open_from_its_begin_to_its_end(live: LiveAnomalies) -> None:
    assert live.begin(begin())
    (found,) = open_(live)
    assert found == {
        **json.loads(msgspec.json.encode(begin())),
        "endedAt": None,
        "durationS": None,
        "feedback": None,
    }
    assert (recent(live), len(live)) == ([found], 1)
    assert live.end(end())
    assert (open_(live), len(live)) == ([], 0)
    assert recent(live) == [{**found, "endedAt": "2026-01-04T12:01:00.000Z", "durationS": 60.0}]


def test_a_repeated_message_changes_nothing(live: LiveAnomalies) -> None:
    assert live.begin(begin())
    assert not live.begin(begin())
    assert live.end(end())
    assert not live.end(end(ended_ms=AT_MS + 99_000))
    assert not live.begin(begin())
    assert [one["durationS"] for one in recent(live)] == [60.0]


def test_the_end_of_an_unknown_anomaly_is_passed_on(live: LiveAnomalies) -> None:
    assert live.end(end())
    assert recent(live) == []


def test_an_end_is_remembered_for_five_minutes(live: LiveAnomalies, time: Time) -> None:
    live.begin(begin())
    live.end(end())
    time.s += 359
    live.remove_expired()
    assert len(recent(live)) == 1
    time.s += 1
    assert recent(live) == []
    live.remove_expired()
    assert live._tenants == {}


def test_an_anomaly_without_an_id_is_open_for_five_minutes(live: LiveAnomalies, time: Time) -> None:
    foreign = begin(id=msgspec.UNSET)
    assert live.begin(foreign)
    assert not live.begin(foreign)
    assert "id" not in open_(live)[0]
    time.s += 301
    live.remove_expired()
    assert open_(live) == []


def test_sessions_and_tenants_have_their_own(live: LiveAnomalies) -> None:
    live.begin(begin(1))
    live.begin(begin(2, session_id="other", type="MASS_EXIT"))
    live.begin(begin(3, tenant_id="acme"))
    assert [one["type"] for one in open_(live)] == ["MASS_EXIT", "SUDDEN_DROP"]
    assert len(live.open("acme", {"session"})) == 1
    assert live.open("acme", {"other"}) == []
    assert len(recent(live)) == 1


def test_a_start_in_mid_incident_knows_it_from_the_database(
    live: LiveAnomalies, time: Time
) -> None:
    time.s += 600
    ended = anomaly(2, ended_ms=AT_MS + 500_000)
    missed = live.merge([anomaly(3, AT_MS + 5_000), ended, anomaly(1)], OWN, is_complete=True)
    assert [one.id for one in missed.begun] == [anomaly(n).id for n in (1, 2, 3)]
    assert [one.id for one in missed.ended] == [ended.id]
    assert [one["id"] for one in open_(live)] == [anomaly(1).id, anomaly(3).id]
    assert [one["durationS"] for one in recent(live)] == [None, 500.0, None]
    assert (
        live.merge([anomaly(3, AT_MS + 5_000), ended, anomaly(1)], OWN, is_complete=True) == NOTHING
    )


def test_an_end_that_was_missed_comes_from_the_database(live: LiveAnomalies) -> None:
    live.begin(begin())
    assert live.merge([anomaly()], OWN, is_complete=True) == NOTHING
    missed = live.merge([anomaly(ended_ms=AT_MS + 60_000)], OWN, is_complete=True)
    assert missed == MissedMessages([], [end()])
    assert open_(live) == []


def test_an_end_that_is_not_stored_yet_stays(live: LiveAnomalies) -> None:
    live.begin(begin())
    live.end(end())
    assert live.merge([anomaly()], OWN, is_complete=True) == NOTHING
    assert open_(live) == []


def test_an_open_anomaly_that_is_not_stored_for_ten_minutes_has_ended(
    live: LiveAnomalies, time: Time
) -> None:
    live.begin(begin())
    time.s += 3600  # the database may have been away for so long
    assert live.merge([], OWN, is_complete=True) == NOTHING
    time.s += MAX_UNSTORED_S - 1
    assert live.merge([], OWN, is_complete=True) == NOTHING
    assert live.merge([anomaly()], OWN, is_complete=True) == NOTHING
    assert live.merge([], OWN, is_complete=True) == NOTHING
    time.s += MAX_UNSTORED_S
    assert live.merge([], OWN, is_complete=False) == NOTHING
    missed = live.merge([], OWN, is_complete=True)
    assert [one.id for one in missed.ended] == [anomaly().id]
    assert missed.ended[0].duration_s == 3600 + 2 * MAX_UNSTORED_S - 1
    assert open_(live) == []


def test_what_is_read_of_some_tenants_ends_no_anomaly_of_others(
    live: LiveAnomalies, time: Time
) -> None:
    live.begin(begin())
    for _ in range(2):
        assert live.merge([], ["acme"], is_complete=True) == NOTHING
        time.s += MAX_UNSTORED_S
    assert len(open_(live)) == 1


def test_the_anomalies_of_a_tenant_are_forgotten_together(live: LiveAnomalies) -> None:
    live.begin(begin(1))
    live.begin(begin(2, tenant_id="acme"))
    live.forget("default")
    assert (open_(live), len(live.open("acme", {"session"}))) == ([], 1)


def test_no_anomaly_is_open_for_ever(live: LiveAnomalies, time: Time) -> None:
    live.begin(begin(1))
    live.begin(begin(2, AT_MS + 10 * 86_400_000))  # in the future
    time.s += MAX_OPEN_S
    live.remove_expired()
    assert open_(live) == []


def test_a_session_has_a_bounded_number(live: LiveAnomalies) -> None:
    for number in range(MAX_ANOMALIES_PER_SESSION + 3):
        live.begin(begin(number, AT_MS + number))
    ids = [one["id"] for one in open_(live)]
    assert ids == [anomaly(n).id for n in range(3, MAX_ANOMALIES_PER_SESSION + 3)]


def test_feedback_is_shown_at_once_and_comes_from_other_dashboards(live: LiveAnomalies) -> None:
    live.begin(begin())
    feedback = AnomalyFeedback("not_a_problem", AT_MS + 7_000, "ann")
    live.set_feedback(anomaly(), feedback)
    live.set_feedback(anomaly(9), feedback)
    assert open_(live)[0]["feedback"] == {
        "verdict": "not_a_problem",
        "at": "2026-01-04T12:00:07.000Z",
        "by": "ann",
    }
    live.merge([anomaly(feedback=AnomalyFeedback("problem", AT_MS))], OWN, is_complete=True)
    assert open_(live)[0]["feedback"]["verdict"] == "problem"

"""The judge: what it counts, by detectors of which the answer is known."""

import pytest

from tests.detector.corpus.corpus import session
from tests.detector.corpus.labels import Happening, Incident, LabelledSession
from tests.detector.detectors import Replayed, oracle, replayed, silence
from tests.detector.judge import Alarm, Verdict, interval, judge, recall
from tests.detector.peers.change_points import change_points
from tests.detector.peers.previous_point import previous_point
from tests.detector.report import MAX_DUPLICATES, bars, delays, misses

MINUTE_MS = 60_000
DROP = Incident("SUDDEN_DROP", 20 * MINUTE_MS, 25 * MINUTE_MS, 0.0, 200.0)
LULL = Happening("lull", 5 * MINUTE_MS, 7 * MINUTE_MS)
ENTRIES = [(0, 0, "", b""), (60 * MINUTE_MS, 0, "", b"")]
FAILING = LabelledSession("1-1", "class", 30, ENTRIES, [], (DROP,), (LULL,))
CLEAN = FAILING._replace(incidents=())
SEEN = [replayed(session(7, number)) for number in range(12)]


def total(detect: object) -> Verdict:
    assert callable(detect)
    verdict = Verdict()
    for seen in SEEN:
        verdict += judge(seen.session, detect(seen))
    return verdict


def test_a_detector_that_knows_the_truth_meets_every_bar() -> None:
    verdict = total(oracle)
    assert recall(verdict.outcomes, 5) == 1.0
    assert verdict.false_alarms == ()
    assert verdict.duplicates() == 0.0
    assert [row[-1] for row in bars({"oracle": verdict})[1:] if row[-1].endswith("missed")] == []


def test_a_silent_detector_finds_nothing_and_has_no_false_alarm() -> None:
    verdict = total(silence)
    assert recall(verdict.outcomes, 3600) == 0.0
    assert verdict.false_alarms == ()
    assert "mass exit, within 60 s" in misses(verdict)


@pytest.mark.parametrize("peer", [previous_point, change_points])
def test_a_peer_is_compared_in_a_column_of_its_own(peer: object) -> None:
    rows = bars({"oracle": total(oracle), "peer": total(peer)})
    assert {len(row) for row in rows} == {5}


def test_the_delay_is_from_the_onset_to_the_first_alarm_of_the_right_type() -> None:
    late = Alarm(DROP.onset_ms + 45_000, "SUDDEN_DROP")
    verdict = judge(FAILING, [Alarm(DROP.onset_ms + 5000, "MASS_EXIT"), late])
    [outcome] = verdict.outcomes
    assert (outcome.delay_s, outcome.alarms) == (45.0, 2)
    assert verdict.duplicates() == 1.0 > MAX_DUPLICATES
    assert verdict.false_alarms == ()


def test_an_alarm_of_another_type_finds_nothing() -> None:
    verdict = judge(FAILING, [Alarm(DROP.onset_ms + 5000, "LOW_ENGAGEMENT")])
    [outcome] = verdict.outcomes
    assert outcome.is_mistyped
    assert recall(verdict.outcomes, 3600) == 0.0


def test_an_alarm_outside_every_incident_is_false_and_has_its_cause() -> None:
    during_lull = Alarm(LULL.begin_ms + 1, "SUDDEN_DROP")
    [alarm] = judge(CLEAN, [during_lull]).false_alarms
    assert (alarm.causes, alarm.is_clean) == (("lull",), True)
    early = Alarm(DROP.onset_ms, "SUDDEN_DROP")
    [alarm] = judge(FAILING, [early]).false_alarms
    assert (alarm.causes, alarm.is_clean) == ((), False)


def test_only_sessions_without_incidents_count_as_clean_hours() -> None:
    verdict = judge(CLEAN, []) + judge(FAILING, [])
    assert verdict.clean_hours == 1.0
    assert verdict.other_ms == 54 * MINUTE_MS  # without the drop and a minute more


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.391)]
)
def test_the_interval_of_a_count_is_the_one_in_tables(count: int, low: float, high: float) -> None:
    assert interval(count, 10.0) == pytest.approx((low, high), abs=1e-3)


def test_the_recall_is_shown_by_group_and_delay() -> None:
    verdict = judge(FAILING, [Alarm(DROP.onset_ms + 12_000, "SUDDEN_DROP")])
    assert delays(verdict)[1][2:5] == ("0.00", "1.00", "1.00")


def test_a_peer_sees_the_events_since_the_last_row() -> None:
    seen: Replayed = SEEN[0]
    counted = [ms for ms in seen.session.activity_ms if ms < seen.rows[-1].at_ms]
    assert sum(seen.events) == len(counted)

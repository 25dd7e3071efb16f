"""A session without events: its detector does next to nothing, and finds the same."""

from conductor_actors.domain.anomalies.bin import Bin
from conductor_actors.domain.anomalies.detector import Detector
from conductor_actors.domain.detection import is_watching
from tests.domain.anomalies.watched_session import WatchedSession, every


def detector_of(session: WatchedSession) -> Detector:
    assert session.state.detector is not None
    return session.state.detector


def bins_of(session: WatchedSession) -> tuple[Bin, ...]:
    baseline = detector_of(session).baseline
    return () if baseline is None else baseline.bins


def test_low_engagement_of_an_idle_session_begins_after_six_minutes_and_ends_ten_later() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(1200)
    [(began_s, began)] = session.began
    [(ended_s, ended)] = session.ended
    assert (began.type, ended.id) == ("LOW_ENGAGEMENT", began.id)
    assert (began_s, ended_s) == (365, 965)


def test_a_detector_that_awaits_a_low_score_keeps_nothing_else() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(300)
    detector = detector_of(session)
    assert detector.is_awaiting_score
    assert detector.at_ms == session.now_ms
    assert (detector.baseline, detector.drops, detector.exits) == (None, None, None)
    assert is_watching(session.state)  # the mean of its score changes
    session.run(900)
    assert detector_of(session).is_resting
    assert not is_watching(session.state)


def test_the_ticks_at_rest_are_not_missed_ones() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(300)
    session.run(5, every(1))
    detector = detector_of(session)
    assert not detector.is_awaiting_score
    assert detector.silent_until_ms == 0
    assert len(bins_of(session)) == 1


def test_who_arrives_without_doing_anything_is_not_looked_at() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(30)
    detector = detector_of(session)
    assert (detector.at_ms, detector.low.ticks) == (session.now_ms, 6)
    assert bins_of(session) == ()


def test_ticks_without_events_teach_that_there_were_none() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(100, every(15))
    bins = bins_of(session)
    assert [each.end_ms for each in bins] == [
        session.now_ms - ago_s * 1000 for ago_s in range(40, -1, -5)
    ][-len(bins) :]
    assert {each.chats for each in bins} == {0, 1}

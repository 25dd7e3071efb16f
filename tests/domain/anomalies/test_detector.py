from msgspec.structs import replace

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import row_at
from tests.domain.anomalies.watched_session import BEGIN_MS, WatchedSession, every


def steady_session(seconds: int = 600) -> WatchedSession:
    """Return a session of 20 people with 60 messages and 30 reactions a minute."""
    session = WatchedSession()
    session.join(20)
    session.run(seconds, every(1), every(2))
    return session


def test_a_steady_session_has_no_anomaly() -> None:
    assert not steady_session(1800).changes


def test_a_stop_is_reported_once_and_ends_when_activity_is_back() -> None:
    session = steady_session()
    session.run(120)
    session.run(300, every(1), every(2))
    [(began_s, began), (ended_s, ended)] = session.changes
    assert isinstance(began, AnomalyBegan)
    assert isinstance(ended, AnomalyEnded)
    assert (began_s, began.type, began.onset_ms) == (610, "SUDDEN_DROP", BEGIN_MS + 600_000)
    assert began.reason == (
        "No message, vote or reaction in the last 10 s, where 15 were expected from 20 people."
    )
    assert began.anomaly_score == 1.0
    assert (ended_s, ended.id, ended.began_ms) == (750, began.id, BEGIN_MS + 610_000)
    assert ended.type == "SUDDEN_DROP"


def test_a_row_with_an_expected_range_is_otherwise_as_before() -> None:
    session = steady_session()
    session.state.chat_is_open = False
    session.run(5)
    row = session.rows[-1]
    assert row.expected is not None
    plain = row_at(row.at_ms, "default", session.state, Scoring())
    assert replace(row, expected=None) == plain
    assert not row.is_chat_open

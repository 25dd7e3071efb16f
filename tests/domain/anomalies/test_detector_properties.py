"""What holds for a detector whatever happens in its session."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.anomalies.packed_detector import Packed
from conductor_actors.domain.checkpoints.encoding import decode_state, encode_state
from conductor_actors.domain.gaps import NO_MARKS, GapMark
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.anomalies.watched_session import TICK_S, WatchedSession

MARKS = {"default": GapMark("trimmed", 1)}


class Phase(NamedTuple):
    """Some ticks of a session: events a second, and what else is there."""

    ticks: int
    chats: int
    reactions: int
    people: int
    has_gap: bool
    is_quiet: bool
    is_missed: bool


rarely = st.integers(0, 9).map(lambda number: number == 0)
phases = st.lists(
    st.builds(
        Phase,
        st.integers(1, 60),
        st.integers(0, 4),
        st.integers(0, 3),
        st.integers(0, 30),
        rarely,
        rarely,
        rarely,
    ),
    min_size=1,
    max_size=6,
)
RULES = SessionRules(timeout_s=100, presence_timeout_s=200)


def run(session: WatchedSession, phase: Phase, ticks: int) -> None:
    """Live through a phase, or through none of its ticks if they are missed.

    The last row of a session is never missed: an anomaly that is open ends with it.
    """
    after_ms = session.now_ms + (ticks + 1) * TICK_S * 1000
    if phase.is_missed and session.state.has_row_at(after_ms):
        session.second += ticks * TICK_S
        return
    session.leave(range(phase.people, 30))
    session.join(phase.people)
    session.state.quiet_until_ms = session.now_ms + 60_000 if phase.is_quiet else 0
    marks = MARKS if phase.has_gap else NO_MARKS
    session.run(ticks * TICK_S, lambda _: phase.chats, lambda _: phase.reactions, marks)


def assert_alternate(session: WatchedSession) -> None:
    """Check that one anomaly at a time is open, and that each ends as what it began as."""
    is_open: AnomalyBegan | None = None
    for _, change in session.changes:
        if isinstance(change, AnomalyBegan):
            assert is_open is None
            is_open = change
        else:
            assert isinstance(change, AnomalyEnded)
            assert is_open is not None
            assert (change.id, change.type) == (is_open.id, is_open.type)
            is_open = None
    detector = session.state.detector
    is_known_open = detector is not None and detector.anomaly is not None
    assert is_known_open == (is_open is not None)


@settings(max_examples=40, deadline=None)
@given(phases)
def test_each_anomaly_begins_once_and_ends_once(story: Sequence[Phase]) -> None:
    session = WatchedSession(RULES)
    for phase in story:
        run(session, phase, phase.ticks)
        assert_alternate(session)


def known(session: WatchedSession) -> Packed | None:
    detector = session.state.detector
    return None if detector is None else detector.pack()


@settings(max_examples=40, deadline=None)
@given(phases)
def test_a_detector_that_is_stored_after_any_tick_finds_the_same(story: Sequence[Phase]) -> None:
    session, twin = WatchedSession(RULES), WatchedSession(RULES)
    for phase in story:
        for each in (session, twin):
            run(each, phase, phase.ticks)
        twin.state = decode_state(encode_state(twin.state), twin.state.session_id, RULES)
        assert known(twin) == known(session)
    assert twin.rows == session.rows


@settings(max_examples=40, deadline=None)
@given(phases)
def test_a_copied_state_judges_apart_and_the_same(story: Sequence[Phase]) -> None:
    session, twin = WatchedSession(RULES), WatchedSession(RULES)
    for phase in story:
        twin.state = session.state.copy()
        for each in (session, twin):
            run(each, phase, phase.ticks)
        assert known(twin) == known(session)


@settings(max_examples=40, deadline=None)
@given(phases)
def test_nothing_begins_in_quiet_at_gaps_or_in_the_first_thirty_ticks(
    story: Sequence[Phase],
) -> None:
    session = WatchedSession(RULES)
    for phase in story:
        before = len(session.began)
        run(session, phase, phase.ticks)
        if phase.has_gap or (phase.is_quiet and phase.ticks <= 12):
            assert len(session.began) == before
    assert all(row.anomalies == () for row in session.rows[:29])


@settings(max_examples=40, deadline=None)
@given(phases)
def test_the_sums_of_a_baseline_are_those_of_its_bins(story: Sequence[Phase]) -> None:
    session = WatchedSession(RULES)
    for phase in story:
        run(session, phase, phase.ticks)
        if session.state.detector and (baseline := session.state.detector.baseline):
            counts = [(each.chats, each.reactions, each.seconds) for each in baseline.bins]
            sums = (baseline.chats, baseline.reactions, baseline.seconds)
            assert sums == tuple(map(sum, zip((0, 0, 0), *counts, strict=True)))

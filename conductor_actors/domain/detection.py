"""Detect anomalies: complete a row with what the detector of its session finds."""

from typing import Final

from msgspec.structs import replace

from conductor_actors.domain.anomalies.bin import Bin
from conductor_actors.domain.anomalies.detector import Detector
from conductor_actors.domain.anomalies.exits import Exits
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_state import SessionState

MIN_PEOPLE: Final = 3  # there is no anomaly of fewer


def with_anomalies(row: ScoreRow, state: SessionState) -> ScoreRow:
    """Return the row with what begins and ends at its tick; each tick is judged once, in order.

    A detector that raises is forgotten but for the anomaly that is open.
    """
    rules, detector, signals = state.rules, state.detector, row.signals
    is_idle = not (  # nobody wrote, reacted, voted, came or left in the window
        signals.active_users
        or signals.chat_msgs_per_min
        or signals.reactions_per_min
        or signals.user_leave_rate
    )
    if detector is None:
        if signals.total_users < MIN_PEOPLE or not rules.is_watched:
            return row
        detector = _new_detector(row, state)
    elif is_idle and detector.is_resting:
        return row
    else:
        state.detector = None if detector.anomaly is None else detector.successor()
        if _has_only_added(row, state, detector, is_idle):
            state.detector = detector
            return row
    seen = _observe(row, state)
    changes = detector.judge(row, seen, rules.tick_s * 1000, rules.anomalies)
    expected = detector.expected_score()
    if is_idle:
        detector.rest(seen.people, rules.anomalies)
    state.detector = detector
    if expected is None and not changes:
        return row
    return replace(row, expected=expected, anomalies=changes)


def is_watching(state: SessionState) -> bool:
    """Check whether ticks change what the detector knows, even without events."""
    return state.detector is not None and not state.detector.is_resting


def _new_detector(row: ScoreRow, state: SessionState) -> Detector:
    before_ms = row.at_ms - state.rules.tick_s * 1000
    detector = Detector(before_ms, row.at_ms, state.votes, state.has_joins)
    if state.departures:
        detector.exits = Exits(state.departures, state.returns)
    return detector


def _has_only_added(row: ScoreRow, state: SessionState, detector: Detector, is_idle: bool) -> bool:
    """Add a tick without events to what is known, if nothing can begin or end at it."""
    at_ms, rules, last_ms = row.at_ms, state.rules, state.last_event_ms
    tick_ms = rules.tick_s * 1000
    if (
        last_ms is None
        or last_ms >= at_ms - tick_ms
        or row.gap is not None
        or row.quiet_until_ms
        or row.is_last
    ):
        return False
    score = row.score
    if not is_idle and detector.is_only_learning(at_ms, tick_ms):
        people, guests = _people(state)
        active = row.signals.active_users
        silence = Bin(at_ms, rules.tick_s, 0, 0, people, guests, active, int(score * 1000.0))
        detector.add_silence(silence, score)
    elif not detector.add_score(at_ms, score, tick_ms):
        return False
    if not state.chat_is_open:
        detector.low.since_ms = 0  # the score is low by arrangement
    return True


def _people(state: SessionState) -> tuple[int, int]:
    """Return the people who are there, 1 if that is unknown, and how many of them are guests."""
    if not state.has_joins:
        return 1, 0
    people = len(state.connections) + state.guests
    return max(1, people), state.guests


def _observe(row: ScoreRow, state: SessionState) -> Observation:
    """Return what happened since the last tick, and who is there."""
    seconds, at_ms = state.rules.tick_s, row.at_ms
    people, guests = _people(state)
    seen = Observation(
        at_ms,
        state.chats.last(seconds, at_ms),
        state.reactions.last(seconds, at_ms),
        (state.votes, state.departures, state.returns),
        people,
        guests,
        row.signals.active_users,
        row.score,
    )
    seen.is_audience_known = state.has_joins
    seen.is_chat_open = state.chat_is_open
    seen.is_quiet = at_ms <= state.quiet_until_ms
    seen.has_gap = row.gap is not None
    seen.is_last = row.is_last
    return seen

"""Detect anomalies: complete a row with what the detector of its session finds."""

from typing import Final

from msgspec.structs import replace

from conductor_actors.domain.anomalies.baseline import Bin
from conductor_actors.domain.anomalies.detector import Detector
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.scoring import ScoreRow, Signals
from conductor_actors.domain.session_state import SessionState

MIN_PEOPLE: Final = 3  # there is no anomaly of fewer


def with_anomalies(row: ScoreRow, state: SessionState) -> ScoreRow:
    """Return the row with what begins and ends at its tick; each tick is judged once, in order.

    A detector that raises is forgotten but for the anomaly that is open.
    """
    rules, detector = state.rules, state.detector
    is_idle = _is_idle(row.signals)
    if detector is None:
        if row.signals.total_users < MIN_PEOPLE or not rules.is_watched:
            return row
        detector = Detector(
            row.at_ms - rules.tick_s * 1000, row.at_ms, state.votes, state.has_joins
        )
        detector.exits.departures, detector.exits.returns = state.departures, state.returns
    elif (is_idle and detector.is_resting) or _has_only_added(row, state, detector, is_idle):
        return row
    state.detector = None if detector.anomaly is None else detector.successor()
    seen = _observe(row, state)
    changes = detector.judge(row, seen, rules.tick_s * 1000, rules.anomalies)
    expected = detector.expected_score(rules.anomalies)
    if is_idle:
        detector.rest(seen.people, rules.anomalies)
    state.detector = detector
    if expected is None and not changes:
        return row
    return replace(row, expected=expected, anomalies=changes)


def is_watching(state: SessionState) -> bool:
    """Check whether ticks change what the detector knows, even without events."""
    return state.detector is not None and not state.detector.is_resting


def _has_only_added(row: ScoreRow, state: SessionState, detector: Detector, is_idle: bool) -> bool:
    """Add a tick without events to what is known, if nothing can begin or end at it."""
    at_ms, rules, is_open = row.at_ms, state.rules, state.chat_is_open
    tick_ms = rules.tick_s * 1000
    if (
        (state.last_event_ms or 0) >= at_ms - tick_ms
        or row.gap is not None
        or row.quiet_until_ms
        or not state.has_row_at(at_ms + tick_ms)
    ):
        return False
    if detector.add_score(at_ms, row.score, tick_ms, rules.anomalies, is_chat_open=is_open):
        return True
    if is_idle or not detector.is_only_learning(at_ms, tick_ms, rules.anomalies):
        return False
    people, guests = _people(state)
    active, score = row.signals.active_users, int(row.score * 1000.0)
    silence = Bin(at_ms, rules.tick_s, 0, 0, people, guests, active, score)
    detector.add_silence(silence, row.score, rules.anomalies, is_chat_open=is_open)
    return True


def _is_idle(signals: Signals) -> bool:
    """Check that nothing has happened in the window: nobody wrote, reacted, voted, came or left."""
    return not (
        signals.active_users
        or signals.chat_msgs_per_min
        or signals.reactions_per_min
        or signals.user_leave_rate
    )


def _people(state: SessionState) -> tuple[int, int]:
    """Return the people who are there, 1 if that is unknown, and how many of them are guests."""
    if not state.has_joins:
        return 1, 0
    return max(1, len(state.connections) + state.guests), state.guests


def _observe(row: ScoreRow, state: SessionState) -> Observation:
    """Return what happened since the last tick, and who is there."""
    seconds = state.rules.tick_s
    people, guests = _people(state)
    return Observation(
        row.at_ms,
        state.chats.last(seconds, row.at_ms),
        state.reactions.last(seconds, row.at_ms),
        state.votes,
        state.departures,
        state.returns,
        people,
        guests,
        row.signals.active_users,
        row.score,
        state.has_joins,
        state.chat_is_open,
        row.at_ms <= state.quiet_until_ms,
        row.gap is not None,
        not state.has_row_at(row.at_ms + seconds * 1000),
    )

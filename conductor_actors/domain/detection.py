"""Detect anomalies: complete a row with what the detector of its session finds."""

from typing import Final

from msgspec.structs import replace

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
    elif (is_idle and detector.is_resting) or _has_only_score(row, state, detector):
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


def _has_only_score(row: ScoreRow, state: SessionState, detector: Detector) -> bool:
    """Add the score of a tick without events, if nothing else of it matters to the detector."""
    at_ms, rules = row.at_ms, state.rules
    tick_ms = rules.tick_s * 1000
    return (
        (state.last_event_ms or 0) < at_ms - tick_ms
        and row.gap is None
        and not row.quiet_until_ms
        and state.has_row_at(at_ms + tick_ms)
        and detector.add_score(
            at_ms, row.score, tick_ms, rules.anomalies, is_chat_open=state.chat_is_open
        )
    )


def _is_idle(signals: Signals) -> bool:
    """Check that nothing has happened in the window: nobody wrote, reacted, voted, came or left."""
    return not (
        signals.active_users
        or signals.chat_msgs_per_min
        or signals.reactions_per_min
        or signals.user_leave_rate
    )


def _observe(row: ScoreRow, state: SessionState) -> Observation:
    """Return what happened since the last tick, and who is there."""
    seconds = state.rules.tick_s
    return Observation(
        row.at_ms,
        state.chats.last(seconds, row.at_ms),
        state.reactions.last(seconds, row.at_ms),
        state.votes,
        state.departures,
        state.returns,
        max(1, len(state.connections) + state.guests) if state.has_joins else 1,
        state.guests if state.has_joins else 0,
        row.signals.active_users,
        row.score,
        state.has_joins,
        state.chat_is_open,
        row.at_ms <= state.quiet_until_ms,
        row.gap is not None,
        not state.has_row_at(row.at_ms + seconds * 1000),
    )

"""Report the anomalies of sessions to the log."""

from collections.abc import Mapping
from typing import assert_never

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_state import SessionState
from conductor_actors.log_events import AnomalyContinues, AnomalyDetected, AnomalyOver, emit


def report_anomalies(row: ScoreRow) -> None:
    """Report what begins and what ends with a row."""
    for change in row.anomalies:
        match change:
            case AnomalyBegan():
                _report_begin(row, change)
            case AnomalyEnded():
                duration_s = (row.at_ms - change.began_ms) / 1000
                emit(
                    AnomalyOver(
                        id=change.id, type=change.type, tick_at_ms=row.at_ms, duration_s=duration_s
                    ).of_session(row.tenant_id, row.session_id)
                )
            case _:
                assert_never(change)


def report_open_anomalies(states: Mapping[SessionKey, SessionState]) -> None:
    """Report the anomalies that are open in the states of a checkpoint."""
    for key, state in states.items():
        if state.detector is not None and state.detector.anomaly is not None:
            anomaly = state.detector.anomaly
            emit(
                AnomalyContinues(
                    id=anomaly.id,
                    type=anomaly.type,
                    tick_at_ms=anomaly.began_ms,
                    reason=anomaly.reason,
                ).of_session(*key)
            )


def _report_begin(row: ScoreRow, begun: AnomalyBegan) -> None:
    emit(
        AnomalyDetected(
            id=begun.id,
            type=begun.type,
            severity=begun.severity,
            tick_at_ms=row.at_ms,
            onset_at_ms=begun.onset_ms,
            anomaly_score=round(begun.anomaly_score, 4),
            score=round(row.score, 4),
            expected_score=round(begun.expected_engagement, 4),
            reason=begun.reason,
        ).of_session(row.tenant_id, row.session_id)
    )

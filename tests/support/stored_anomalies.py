"""Stored anomalies, for tests that care about few of their values."""

import json
from uuid import UUID

import psycopg

from conductor_actors.instants import to_datetime, to_iso
from conductor_actors.ports.anomaly_port import StoredAnomaly
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd
from tests.support.score_rows import AT_MS

SIGNALS = {
    "chat_msgs_per_min": 2.0,
    "poll_participation": 0.0,
    "active_users": 3,
    "total_users": 50,
    "reactions_per_min": 0.0,
    "user_leave_rate": 0.02,
}


def anomaly(number: int = 1, at_ms: int = AT_MS, **changes: object) -> StoredAnomaly:
    """Return an anomaly with the number as its id."""
    usual = StoredAnomaly(
        str(UUID(int=number)),
        at_ms,
        "default",
        "session",
        "event",
        "SUDDEN_DROP",
        "CRITICAL",
        *(0.9, 0.2, 0.6, -0.4),
        SIGNALS,
        at_ms - 9_000,
        "2 events in 9 s, 14 were expected.",
    )
    return usual._replace(**changes)  # type: ignore[arg-type] # the tests' own


def begin_of(stored: StoredAnomaly) -> Anomaly:
    """Return the message that the collector publishes when the anomaly begins."""
    return Anomaly(
        id=stored.id,
        session_id=stored.session_id,
        event_id=stored.event_id,
        tenant_id=stored.tenant_id,
        timestamp=_iso(stored.at_ms),
        type=stored.type,
        severity=stored.severity,  # type: ignore[arg-type] # one of the two
        anomaly_score=stored.anomaly_score,
        current_engagement=stored.current_engagement,
        expected_engagement=stored.expected_engagement,
        deviation=stored.deviation,
        signals=dict(stored.signals),
        onset=_iso(stored.onset_ms or stored.at_ms),
        reason=stored.reason or "",
    )


def end_of(stored: StoredAnomaly, ended_ms: int) -> AnomalyEnd:
    """Return the message that the collector publishes when the anomaly ends."""
    return AnomalyEnd(
        id=stored.id,
        session_id=stored.session_id,
        event_id=stored.event_id,
        tenant_id=stored.tenant_id,
        timestamp=_iso(ended_ms),
        type=stored.type,
        started_at=_iso(stored.at_ms),
        duration_s=(ended_ms - stored.at_ms) / 1000,
    )


def store_anomalies(url: str, *anomalies: StoredAnomaly) -> None:
    """Store anomalies as the collector does, at once with their ends and feedback."""
    with psycopg.connect(url, autocommit=True) as connection:
        for one in anomalies:
            *columns, signals, onset_ms, reason, ended_ms, feedback = one
            metadata = {
                "onset": onset_ms and _iso(onset_ms),
                "reason": reason,
                "ended_at": ended_ms and _iso(ended_ms),
                "feedback": feedback
                and {
                    "verdict": feedback.verdict,
                    "at": _iso(feedback.at_ms),
                    "by": feedback.subject,
                },
            }
            stored = {key: value for key, value in metadata.items() if value is not None}
            columns[1] = to_datetime(one.at_ms)
            connection.execute(
                "INSERT INTO anomalies VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (*columns, json.dumps(signals), json.dumps(stored)),
            )


def _iso(ms: int) -> str:
    return to_iso(ms, "milliseconds")

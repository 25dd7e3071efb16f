"""The records of anomalies: from published messages, and from the database."""

import msgspec

from conductor_actors.dashboard.bodies import AnomalyRecord, Feedback
from conductor_actors.instants import from_iso, to_ms
from conductor_actors.ports.anomaly_port import AnomalyFeedback, StoredAnomaly
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd
from conductor_actors.wire.updates import timestamp


def published_record(anomaly: Anomaly) -> AnomalyRecord:
    """Return the record of an anomaly that has just been published."""
    return AnomalyRecord(
        **msgspec.structs.asdict(anomaly), ended_at=None, duration_s=None, feedback=None
    )


def stored_record(stored: StoredAnomaly) -> AnomalyRecord:
    """Return the record of a stored anomaly."""
    return AnomalyRecord(
        id=stored.id,
        session_id=stored.session_id,
        event_id=stored.event_id,
        tenant_id=stored.tenant_id,
        timestamp=timestamp(stored.at_ms),
        type=stored.type,
        severity=stored.severity,  # type: ignore[arg-type] # or what another program stored
        anomaly_score=stored.anomaly_score,
        current_engagement=stored.current_engagement,
        expected_engagement=stored.expected_engagement,
        deviation=stored.deviation,
        signals=dict(stored.signals),
        onset=msgspec.UNSET if stored.onset_ms is None else timestamp(stored.onset_ms),
        reason=msgspec.UNSET if stored.reason is None else stored.reason,
        ended_at=None if stored.ended_ms is None else timestamp(stored.ended_ms),
        duration_s=None if stored.ended_ms is None else (stored.ended_ms - stored.at_ms) / 1000,
        feedback=None if stored.feedback is None else feedback_body(stored.feedback),
    )


def feedback_body(feedback: AnomalyFeedback) -> Feedback:
    """Return the body of stored feedback."""
    return Feedback(feedback.verdict, timestamp(feedback.at_ms), feedback.subject)


def anomaly_of(record: AnomalyRecord) -> Anomaly:
    """Return the message that `anomaly:detected` has for a record."""
    return Anomaly(**{name: getattr(record, name) for name in Anomaly.__struct_fields__})


def end_of(record: AnomalyRecord, ended_ms: int) -> AnomalyEnd | None:
    """Return the message that `anomaly:ended` has for a record; None if it has no id."""
    if not isinstance(record.id, str):
        return None
    return AnomalyEnd(
        id=record.id,
        session_id=record.session_id,
        event_id=record.event_id,
        tenant_id=record.tenant_id,
        timestamp=timestamp(ended_ms),
        type=record.type,
        started_at=record.timestamp,
        duration_s=max(0, ended_ms - instant_ms(record.timestamp)) / 1000,
    )


def instant_ms(text: str) -> int:
    """Return a timestamp in milliseconds since 1970."""
    return to_ms(from_iso(text))

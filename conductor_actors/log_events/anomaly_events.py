"""Log events of anomalies, each bound to its session. `id` is that of the stored anomaly."""

from typing import TypeAlias

from conductor_actors.log_events.log_event import LogEvent, Name, Number, TickMs


class AnomalyDetected(LogEvent):
    """An anomaly began at a tick. After a crash, it may be reported again."""

    id: Name
    type: Name
    severity: Name
    tick_at_ms: TickMs
    onset_at_ms: TickMs
    anomaly_score: Number
    score: Number
    expected_score: Number
    reason: Name


class AnomalyContinues(LogEvent):
    """The service resumes from a checkpoint in which this anomaly, of an earlier tick, is open."""

    id: Name
    type: Name
    tick_at_ms: TickMs
    reason: Name


class AnomalyOver(LogEvent, tag="anomaly_ended"):
    """An anomaly ended at a tick. After a crash, it may be reported again."""

    id: Name
    type: Name
    tick_at_ms: TickMs
    duration_s: Number


AnomalyEvent: TypeAlias = AnomalyContinues | AnomalyDetected | AnomalyOver

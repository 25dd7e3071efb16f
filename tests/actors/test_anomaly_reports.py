"""Anomalies as log events of their sessions."""

from conductor_actors.actors.anomaly_reports import report_anomalies, report_open_anomalies
from conductor_actors.domain.anomalies.detector import Detector, OpenAnomaly
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.log_events import (
    AnomalyContinues,
    AnomalyDetected,
    AnomalyOver,
    LogEvent,
    observed_by,
)
from tests.support.score_rows import ANOMALY_ID, AT_MS, began, ended, row


def reported(**changes: object) -> list[LogEvent]:
    events: list[LogEvent] = []
    with observed_by(events.append):
        report_anomalies(row("keynote", AT_MS + 65_000, tenant_id="acme", **changes))
    return events


def test_what_begins_and_ends_with_a_row_is_reported_with_its_session() -> None:
    assert reported(anomalies=(ended(), began("2"))) == [
        AnomalyOver(
            actor="session",
            tenant="acme",
            session="keynote",
            id=ANOMALY_ID,
            type="SUDDEN_DROP",
            tick_at_ms=AT_MS + 65_000,
            duration_s=65.0,
        ),
        AnomalyDetected(
            actor="session",
            tenant="acme",
            session="keynote",
            id="2",
            type="SUDDEN_DROP",
            severity="CRITICAL",
            tick_at_ms=AT_MS + 65_000,
            onset_at_ms=AT_MS - 9000,
            anomaly_score=0.9,
            score=0.6018,
            expected_score=0.7,
            reason="2 events in 9 s, 14 were expected.",
        ),
    ]
    assert AnomalyOver.event_name() == "anomaly_ended"


def test_a_row_without_anomalies_reports_nothing() -> None:
    assert reported() == []


def test_the_anomalies_that_are_open_in_a_checkpoint_are_reported() -> None:
    watched, quiet = (SessionState(name, SessionRules()) for name in ("keynote", "quiet"))
    watched.detector = Detector(AT_MS, AT_MS)
    watched.detector.anomaly = OpenAnomaly("1", "MASS_EXIT", AT_MS - 5000, "9 of 20 left.")
    events: list[LogEvent] = []
    with observed_by(events.append):
        report_open_anomalies(
            {SessionKey("acme", "keynote"): watched, SessionKey("acme", "quiet"): quiet}
        )
    assert events == [
        AnomalyContinues(
            actor="session",
            tenant="acme",
            session="keynote",
            id="1",
            type="MASS_EXIT",
            tick_at_ms=AT_MS - 5000,
            reason="9 of 20 left.",
        )
    ]

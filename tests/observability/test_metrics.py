"""Metrics, counted from log events."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from conductor_actors import log_events
from conductor_actors.observability import logs
from conductor_actors.observability.metrics import CollectorMetrics
from tests.support.log_lines import KINDS, make_event

NOW_S = 1_800_000_000.0


class MeasuredProcess:
    """A process whose log events are counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CollectorMetrics(self.registry, lambda: NOW_S)
        self.output = StringIO()
        logs.configure("error", "json", self.output)
        log_events.subscribe(self.metrics.observe)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"conductor_{name}", labels)


def emit(event: str, **keys: Any) -> None:
    log_events.emit(make_event(event, **keys))


@pytest.fixture
def process() -> Iterator[MeasuredProcess]:
    process = MeasuredProcess()
    yield process
    log_events.unsubscribe(process.metrics.observe)
    structlog.reset_defaults()


def test_events_below_the_log_level_are_counted_but_not_logged(process: MeasuredProcess) -> None:
    emit("events_read", entries=3, lag_s=1.5)
    emit("rows_refused", rows=2, reason="no")
    assert process.value("stream_lag_seconds") == 1.5
    assert process.value("rows_refused_total") == 2
    assert process.output.getvalue().count("\n") == 1
    assert "rows_refused" in process.output.getvalue()


def test_events_are_counted_by_result(process: MeasuredProcess) -> None:
    emit("events_routed", events=5, skipped=2, sessions=3)
    emit("events_invalid", source="sync-events", reason="not_json", events=4)
    for result, count in {"routed": 5, "skipped": 2, "invalid": 4}.items():
        assert process.value("events_total", result=result) == count
    assert process.value("invalid_events_total", reason="not_json") == 4
    assert process.value("sessions") == 3


def test_optional_keys_that_could_not_be_used_are_counted_by_name(process: MeasuredProcess) -> None:
    emit("event_keys_ignored", key="userId", events=4)
    assert process.value("ignored_event_keys_total", key="userId") == 4


def test_events_over_a_limit_are_counted_by_reason_and_never_by_tenant(
    process: MeasuredProcess,
) -> None:
    for tenant, reason in (("acme", "tenant_events"), ("acme", "session_users")):
        emit("events_refused", tenant=tenant, reason=reason, events=3)
    assert process.value("refused_events_total", reason="tenant_events") == 3
    assert process.value("refused_events_total", reason="session_users") == 3
    assert process.value("refused_events_total", reason="session_events") == 0
    assert process.value("events_total", result="refused") == 3  # that user's join was routed


def test_unreadable_streams_are_counted_until_they_are_readable(process: MeasuredProcess) -> None:
    name = "acme:sync-events"
    emit("stream_unreadable", source=name, kind="string", streams=1)
    assert process.value("unreadable_streams") == 1
    emit("stream_readable", source=name, streams=0)
    assert process.value("unreadable_streams") == 0


def test_rare_counters_are_exported_as_0_before_their_first_increase(
    process: MeasuredProcess,
) -> None:
    stats = {"count": 1, "mailbox_depth": 0, "oldest_s": 0, "handled": 0}
    emit("actor_stats", kind="writer", **stats)
    assert process.value("actor_restarts_total", kind="writer") == 0
    assert process.value("actor_failures_total", kind="writer") == 0
    for reason in ("flooded", "reconnected", "restarted", "trimmed"):
        assert process.value("gaps_total", reason=reason) == 0
        assert process.value("lost_events_total", reason=reason) == 0


def test_a_gap_of_unknown_size_is_counted(process: MeasuredProcess) -> None:
    for lost in (7, None):
        emit("gap_detected", tenant="acme", reason="flooded", lost_events=lost)
    assert process.value("gaps_total", reason="flooded") == 2
    assert process.value("lost_events_total", reason="flooded") == 7


@pytest.mark.parametrize(("lag_s", "late"), [(15.0, 0), (15.1, 1)])
def test_a_tick_that_is_too_old_to_be_published_is_late(
    process: MeasuredProcess, lag_s: float, late: int
) -> None:
    emit("tick_completed", tick_at_ms=0, sessions=1, duration_s=0.5, lag_s=lag_s)
    assert process.value("ticks_completed_total") == 1
    assert process.value("ticks_late_total") == late
    assert process.value("tick_delay_seconds_sum") == lag_s + 0.5


def test_batches_are_measured_by_size_and_time(process: MeasuredProcess) -> None:
    emit("batch_written", rows=120, new_rows=100, duration_s=0.2)
    emit("updates_published", updates=80, duration_s=0.01)
    assert process.value("rows_written_total") == 120
    assert process.value("batch_rows_bucket", le="500.0") == 1
    assert process.value("write_duration_seconds_sum") == 0.2
    assert process.value("updates_published_total") == 80
    assert process.value("publish_duration_seconds_sum") == 0.01


def test_rows_in_the_outbox_are_counted_until_it_is_drained(process: MeasuredProcess) -> None:
    emit("outbox_found", entries=1)
    emit("rows_set_aside", rows=29, reason="memory")
    emit("rows_set_aside", rows=12, reason="flush")
    assert process.value("outbox_rows") == 42
    emit("outbox_drained", rows=42, duration_s=0.1)
    assert process.value("outbox_rows") == 0


def test_failovers_of_redis_are_counted(process: MeasuredProcess) -> None:
    assert process.value("primaries_lost_total", reason="sentinels") == 0
    emit("primary_lost", reason="role")
    emit("primary_changed", primary="mymaster", address="10.0.0.2:6379")
    assert process.value("primaries_lost_total", reason="role") == 1
    assert process.value("primary_changes_total") == 1


@pytest.mark.parametrize(
    ("step", "event"),
    [
        ("read", "events_read"),
        ("tick", "tick_completed"),
        ("store", "batch_written"),
        ("publish", "updates_published"),
        ("checkpoint", "checkpoint_committed"),
    ],
)
def test_each_step_records_when_it_last_succeeded(
    process: MeasuredProcess, step: str, event: str
) -> None:
    assert process.value("last_success_timestamp_seconds", step=step) == 0
    emit(event)
    assert process.value("last_success_timestamp_seconds", step=step) == NOW_S


def test_actors_are_measured_by_kind_and_never_by_session(process: MeasuredProcess) -> None:
    stats = {"count": 1, "mailbox_depth": 9, "oldest_s": 0.5, "failures": 0}
    for handled in (100, 250):
        emit("actor_stats", kind="writer", handled=handled, **stats)
    emit("actor_stats", kind="session", handled=1, quarantined=2, refused=0, **stats)
    names = {"actor": "session", "tenant": "acme", "session": "keynote"}
    emit("actor_failed", error="ValueError()", **names)
    emit("actor_restarted", **names)
    assert process.value("mailbox_messages", kind="writer") == 9
    assert process.value("mailbox_oldest_seconds", kind="writer") == 0.5
    assert process.value("messages_handled_total", kind="writer") == 250
    assert process.value("sessions_quarantined") == 2
    assert process.value("actor_failures_total", kind="session") == 1
    assert process.value("actor_restarts_total", kind="session") == 1
    label_values = {
        value
        for family in process.registry.collect()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not label_values & {"acme", "keynote"}


def test_a_process_owns_the_events_from_its_start_until_it_drains(process: MeasuredProcess) -> None:
    assert process.value("owner") == 0
    emit("service_started", version="1", tenants=[], transport="both")
    assert process.value("owner") == 1
    emit("drain_began", within_s=20)
    assert process.value("owner") == 0


def test_an_outage_lasts_until_the_service_is_back(process: MeasuredProcess) -> None:
    emit("outage_began", service="database", error="refused")
    assert process.value("outage", service="database") == 1
    emit("outage_ended", service="database", lasted_s=3)
    assert process.value("outage", service="database") == 0


@pytest.mark.parametrize("event", KINDS)
def test_every_event_can_be_observed(process: MeasuredProcess, event: str) -> None:
    """A subscriber that raised would kill the actor that emits."""
    process.metrics.observe(make_event(event))


def test_names_follow_the_conventions_of_prometheus(process: MeasuredProcess) -> None:
    for family in process.registry.collect():
        assert family.name.startswith("conductor_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_s", "_ms", "_count"))


def begin(session: str, tenant: str = "default", kind: str = "SUDDEN_DROP") -> None:
    emit("anomaly_detected", tenant=tenant, session=session, type=kind)


def end(session: str, tenant: str = "default", kind: str = "SUDDEN_DROP") -> None:
    emit("anomaly_ended", tenant=tenant, session=session, type=kind)


def test_anomalies_are_counted_by_type(process: MeasuredProcess) -> None:
    for name in ("anomalies_begun_total", "anomalies_ended_total", "anomalies_open"):
        assert process.value(name, type="GRADUAL_DECLINE") == 0
    for session in "abc":
        begin(session)
    begin("d", kind="MASS_EXIT")
    end("b")
    for kind, begun, ended, still_open in (("SUDDEN_DROP", 3, 1, 2), ("MASS_EXIT", 1, 0, 1)):
        assert process.value("anomalies_begun_total", type=kind) == begun
        assert process.value("anomalies_ended_total", type=kind) == ended
        assert process.value("anomalies_open", type=kind) == still_open


def test_an_anomaly_that_is_reported_again_after_a_restart_is_open_once(
    process: MeasuredProcess,
) -> None:
    emit("anomaly_continues", tenant="default", session="a", type="MASS_EXIT")
    begin("a", kind="MASS_EXIT")
    assert process.value("anomalies_open", type="MASS_EXIT") == 1
    end("a", kind="MASS_EXIT")
    end("a", kind="MASS_EXIT")
    assert process.value("anomalies_open", type="MASS_EXIT") == 0


def test_decisions_actions_and_outcomes_are_counted(process: MeasuredProcess) -> None:
    assert process.value("decisions_total", type="HOLD", origin="hold") == 0
    emit("decision_made", type="POLL", origin="act")
    emit("intervention_sent", type="POLL", waited_s=0.2)
    emit("intervention_given_up", type="POLL", reason="redis_away", waited_s=15.1)
    emit("intervention_refused", type="POLL", reason="event_limit")
    emit("intervention_moved", type="POLL", status="EXECUTED")
    for reward, censored in ((0.1, ""), (-0.1, ""), (0.0, "gap")):
        emit("outcome_measured", type="POLL", reward=reward, censored=censored)
    emit("policy_updated", trials=3, version=2)
    emit("trials_dropped", trials=4)
    assert process.value("decisions_total", type="POLL", origin="act") == 1
    assert process.value("interventions_sent_total", type="POLL") == 1
    assert process.value("intervention_delay_seconds_sum") == 0.2
    for reason, count in (("redis_away", 1), ("event_limit", 1), ("late", 0)):
        assert process.value("interventions_unsent_total", reason=reason) == count
    assert process.value("interventions_moved_total", status="EXECUTED") == 1
    for outcome, count in (("success", 1), ("no_success", 1), ("gap", 1), ("ended", 0)):
        assert process.value("intervention_outcomes_total", outcome=outcome) == count
    assert process.value("trials_learnt_total") == 3
    assert process.value("trials_dropped_total") == 4


def test_sessions_that_ended_and_titles_are_counted(process: MeasuredProcess) -> None:
    emit("sessions_summarised", sessions=3, duration_s=0.1)
    emit("lost_sessions_ended", sessions=2)
    emit("titles_stored", titles=5)
    emit("titles_set_aside", titles=4)
    emit("titles_refused", titles=1, reason="no text")
    assert process.value("sessions_summarised_total") == 3
    assert process.value("sessions_lost_total") == 2
    for result, count in {"stored": 5, "set_aside": 4, "refused": 1}.items():
        assert process.value("titles_total", result=result) == count


def test_the_largest_share_of_a_tenants_sessions_with_an_anomaly_is_measured(
    process: MeasuredProcess,
) -> None:
    def report(*left_out: str) -> float | None:
        figures = {"quarantined": 0, "mailbox_depth": 0, "handled_per_s": 0, "busy_share": 0}
        tenants = [
            {"tenant": tenant, "sessions": sessions, "oldest_s": 0, "refused": 0} | figures
            for tenant, sessions in (("acme", 20), ("globex", 100), ("small", 9))
            if tenant not in left_out
        ]
        emit("tenant_stats", count=3, tenants=tenants)
        return process.value("anomalies_tenant_share")

    assert report() == 0
    for number in range(9):
        begin(f"{number}", "small")
        begin(f"{number}", "globex")
        begin(f"{number}", "acme")
    assert report() == 9 / 20
    assert report("acme") == 9 / 20  # which is no longer among the busiest
    for number in range(9):
        end(f"{number}", "acme")
    assert report() == 9 / 100

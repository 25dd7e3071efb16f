"""What the log says, as figures."""

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


class Measured:
    """A process that logs, and what is measured of it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CollectorMetrics(self.registry, lambda: NOW_S)
        self.output = StringIO()
        logs.configure("error", "json", self.output)
        log_events.subscribe(self.metrics.observe)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"conductor_{name}", labels)


def say(event: str, **keys: Any) -> None:
    log_events.emit(make_event(event, **keys))


@pytest.fixture
def measured() -> Iterator[Measured]:
    measured = Measured()
    yield measured
    log_events.unsubscribe(measured.metrics.observe)
    structlog.reset_defaults()


def test_lines_below_the_log_level_are_measured_and_not_written(measured: Measured) -> None:
    say("events_read", entries=3, lag_s=1.5)
    say("rows_refused", rows=2, reason="no")
    assert measured.value("stream_lag_seconds") == 1.5
    assert measured.value("rows_refused_total") == 2
    assert measured.output.getvalue().count("\n") == 1
    assert "rows_refused" in measured.output.getvalue()


def test_events_are_counted_by_what_became_of_them(measured: Measured) -> None:
    say("events_routed", events=5, skipped=2, sessions=3)
    say("events_invalid", source="sync-events", reason="not_json", events=4)
    for result, count in {"routed": 5, "skipped": 2, "invalid": 4}.items():
        assert measured.value("events_total", result=result) == count
    assert measured.value("invalid_events_total", reason="not_json") == 4
    assert measured.value("sessions") == 3


def test_optional_keys_that_could_not_be_used_are_counted_by_name(measured: Measured) -> None:
    say("event_keys_ignored", key="userId", events=4)
    assert measured.value("ignored_event_keys_total", key="userId") == 4


def test_events_over_a_limit_are_counted_by_reason_and_never_by_tenant(measured: Measured) -> None:
    for tenant, reason in (("acme", "tenant_events"), ("acme", "session_users")):
        say("events_refused", tenant=tenant, reason=reason, events=3)
    assert measured.value("refused_events_total", reason="tenant_events") == 3
    assert measured.value("refused_events_total", reason="session_users") == 3
    assert measured.value("refused_events_total", reason="session_events") == 0
    assert measured.value("events_total", result="refused") == 3  # that user's join was routed


def test_names_that_are_no_streams_are_counted_while_they_are_none(measured: Measured) -> None:
    name = "acme:sync-events"
    say("stream_unreadable", source=name, kind="string", streams=1)
    assert measured.value("unreadable_streams") == 1
    say("stream_readable", source=name, streams=0)
    assert measured.value("unreadable_streams") == 0


def test_what_is_rare_is_there_at_0_so_that_its_first_step_is_seen(measured: Measured) -> None:
    stats = {"count": 1, "mailbox_depth": 0, "oldest_s": 0, "handled": 0}
    say("actor_stats", kind="writer", **stats)
    assert measured.value("actor_restarts_total", kind="writer") == 0
    assert measured.value("actor_failures_total", kind="writer") == 0
    for reason in ("flooded", "reconnected", "restarted", "trimmed"):
        assert measured.value("gaps_total", reason=reason) == 0
        assert measured.value("lost_events_total", reason=reason) == 0


def test_a_gap_counts_also_when_nobody_knows_how_much_is_lost(measured: Measured) -> None:
    for lost in (7, None):
        say("gap_detected", tenant="acme", reason="flooded", lost_events=lost)
    assert measured.value("gaps_total", reason="flooded") == 2
    assert measured.value("lost_events_total", reason="flooded") == 7


@pytest.mark.parametrize(("lag_s", "late"), [(15.0, 0), (15.1, 1)])
def test_a_tick_that_is_too_old_to_be_announced_is_late(
    measured: Measured, lag_s: float, late: int
) -> None:
    say("tick_completed", tick_at_ms=0, sessions=1, duration_s=0.5, lag_s=lag_s)
    assert measured.value("ticks_completed_total") == 1
    assert measured.value("ticks_late_total") == late
    assert measured.value("tick_delay_seconds_sum") == lag_s + 0.5


def test_batches_are_measured_by_size_and_time(measured: Measured) -> None:
    say("batch_written", rows=120, new_rows=100, duration_s=0.2)
    say("updates_published", updates=80, duration_s=0.01)
    assert measured.value("rows_written_total") == 120
    assert measured.value("batch_rows_bucket", le="500.0") == 1
    assert measured.value("write_duration_seconds_sum") == 0.2
    assert measured.value("updates_published_total") == 80
    assert measured.value("publish_duration_seconds_sum") == 0.01


def test_rows_in_the_outbox_are_counted_until_it_is_drained(measured: Measured) -> None:
    say("outbox_found", entries=1)
    say("rows_set_aside", rows=29, reason="memory")
    say("rows_set_aside", rows=12, reason="flush")
    assert measured.value("outbox_rows") == 42
    say("outbox_drained", rows=42, duration_s=0.1)
    assert measured.value("outbox_rows") == 0


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
def test_each_step_records_when_it_last_worked(measured: Measured, step: str, event: str) -> None:
    assert measured.value("last_success_timestamp_seconds", step=step) == 0
    say(event)
    assert measured.value("last_success_timestamp_seconds", step=step) == NOW_S


def test_actors_are_measured_by_kind_and_never_by_session(measured: Measured) -> None:
    stats = {"count": 1, "mailbox_depth": 9, "oldest_s": 0.5, "failures": 0}
    for handled in (100, 250):
        say("actor_stats", kind="writer", handled=handled, **stats)
    say("actor_stats", kind="session", handled=1, quarantined=2, refused=0, **stats)
    bound = {"actor": "session", "tenant": "acme", "session": "keynote"}
    say("actor_failed", error="ValueError()", **bound)
    say("actor_restarted", **bound)
    assert measured.value("mailbox_messages", kind="writer") == 9
    assert measured.value("mailbox_oldest_seconds", kind="writer") == 0.5
    assert measured.value("messages_handled_total", kind="writer") == 250
    assert measured.value("sessions_quarantined") == 2
    assert measured.value("actor_failures_total", kind="session") == 1
    assert measured.value("actor_restarts_total", kind="session") == 1
    shown = {
        value
        for family in measured.registry.collect()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not shown & {"acme", "keynote"}


def test_a_process_owns_the_events_from_its_start_until_it_drains(measured: Measured) -> None:
    assert measured.value("owner") == 0
    say("service_started", version="1", tenants=[], transport="both")
    assert measured.value("owner") == 1
    say("drain_began", within_s=20)
    assert measured.value("owner") == 0


def test_an_outage_lasts_until_the_service_is_back(measured: Measured) -> None:
    say("outage_began", service="database", error="refused")
    assert measured.value("outage", service="database") == 1
    say("outage_ended", service="database", lasted_s=3)
    assert measured.value("outage", service="database") == 0


@pytest.mark.parametrize("event", KINDS)
def test_every_event_can_be_observed(measured: Measured, event: str) -> None:
    """A subscriber that raised would kill the actor that emits."""
    measured.metrics.observe(make_event(event))


def test_names_follow_the_conventions_of_prometheus(measured: Measured) -> None:
    for family in measured.registry.collect():
        assert family.name.startswith("conductor_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_s", "_ms", "_count"))

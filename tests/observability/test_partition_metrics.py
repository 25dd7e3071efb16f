"""The metrics of a process that has many partitions."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from conductor_actors.observability.metrics import CollectorMetrics
from tests.support.log_lines import make_event

NOW_S = 1_800_000_000.0
NOBODY = {"quarantined": 0, "mailbox_depth": 0, "handled_per_s": 0, "busy_share": 0}


class MeasuredHost:
    """A process whose partitions' log events are counted."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.registry = CollectorRegistry()
        self.metrics = CollectorMetrics(self.registry, lambda: self.now_s)

    def observe(self, partition: str, event: str, **keys: Any) -> None:
        self.metrics.observe(make_event(event, partition=partition, **keys))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"conductor_{name}", labels)

    def stats(self, partition: str, **keys: Any) -> None:
        figures = {"count": 1, "mailbox_depth": 0, "oldest_s": 0, "handled": 0, "failures": 0}
        self.observe(partition, "actor_stats", **(figures | keys))


@pytest.fixture
def host() -> MeasuredHost:
    return MeasuredHost()


def test_what_partitions_have_is_added_up(host: MeasuredHost) -> None:
    for number in range(3):
        name = f"{number}/64"
        host.observe(name, "events_routed", events=5, skipped=0, sessions=10 + number)
        host.observe(name, "rows_set_aside", rows=2, reason="memory")
        host.observe(name, "partition_started")
        host.stats(name, kind="session", mailbox_depth=number, quarantined=1, refused=0)
        host.observe(name, "anomaly_detected", tenant="acme", session=name, type="MASS_EXIT")
    assert host.value("sessions") == 33
    assert host.value("outbox_rows") == 6
    assert host.value("owner") == 3
    assert host.value("mailbox_messages", kind="session") == 3
    assert host.value("sessions_quarantined") == 3
    assert host.value("anomalies_open", type="MASS_EXIT") == 3
    assert host.value("events_total", result="routed") == 15


def test_of_what_is_late_or_away_the_worst_partition_shows(host: MeasuredHost) -> None:
    for number, lag_s in enumerate((0.5, 40.0, 1.5)):
        host.observe(f"{number}/64", "events_read", entries=0, lag_s=lag_s)
        host.stats(f"{number}/64", kind="writer", oldest_s=lag_s)
    host.observe("0/64", "outage_began", service="database", error="refused")
    host.observe("1/64", "outage_began", service="database", error="refused")
    host.observe("1/64", "outage_ended", service="database", lasted_s=3)
    assert host.value("stream_lag_seconds") == 40
    assert host.value("mailbox_oldest_seconds", kind="writer") == 40
    assert host.value("outage", service="database") == 1
    host.observe("0/64", "outage_ended", service="database", lasted_s=4)
    assert host.value("outage", service="database") == 0


def test_a_partition_that_is_stuck_shows_beside_one_that_is_well(host: MeasuredHost) -> None:
    for name in ("0/64", "1/64"):
        host.observe(name, "partition_started")
    for _ in range(60):
        host.now_s += 1
        host.observe("0/64", "events_read", entries=1, lag_s=0)
    assert host.value("last_success_timestamp_seconds", step="read") == NOW_S
    host.observe("1/64", "events_read", entries=1, lag_s=0)
    assert host.value("last_success_timestamp_seconds", step="read") == NOW_S + 60


@pytest.mark.parametrize("event", ["tick_broadcast", "events_routed"])
def test_a_partition_without_sessions_is_not_stuck(event: str, host: MeasuredHost) -> None:
    host.observe("0/64", "partition_started")
    host.observe("1/64", "partition_started")
    host.now_s += 600
    host.observe("0/64", event, sessions=0)
    host.observe("1/64", event, sessions=3)
    for step, success in (("tick", "tick_completed"), ("store", "batch_written")):
        assert host.value("last_success_timestamp_seconds", step=step) == NOW_S
        host.observe("1/64", success)
        assert host.value("last_success_timestamp_seconds", step=step) == host.now_s


def test_the_values_of_a_partition_leave_with_it_and_its_counts_stay(host: MeasuredHost) -> None:
    for name, sessions in (("0/64", 10), ("1/64", 20)):
        host.observe(name, "partition_started")
        host.observe(name, "events_routed", events=5, skipped=0, sessions=sessions)
        host.observe(name, "anomaly_detected", tenant="acme", session=name, type="MASS_EXIT")
    host.observe("1/64", "outage_began", service="redis lease", error="refused")
    host.now_s += 60
    host.observe("0/64", "events_read", entries=0, lag_s=0.1)
    host.observe("1/64", "webhooks_counted", pending=7, failed=0, dead=1, oldest_s=30)
    host.observe("1/64", "partition_ended")
    assert host.value("sessions") == 10
    assert host.value("owner") == 1
    assert host.value("outage", service="redis lease") == 0
    assert host.value("webhooks_pending") == 0
    assert host.value("anomalies_open", type="MASS_EXIT") == 1
    assert host.value("last_success_timestamp_seconds", step="read") == NOW_S + 60
    assert host.value("events_total", result="routed") == 10


def test_a_process_without_partitions_has_no_last_success(host: MeasuredHost) -> None:
    host.observe("1/64", "partition_started")
    assert host.value("last_success_timestamp_seconds", step="read") == NOW_S
    host.observe("1/64", "partition_ended")
    assert host.value("last_success_timestamp_seconds", step="read") == 0


def test_messages_handled_are_counted_for_each_partition_and_after_its_return(
    host: MeasuredHost,
) -> None:
    for handled in (100, 150):
        for name in ("0/64", "1/64"):
            host.stats(name, kind="writer", handled=handled)
    assert host.value("messages_handled_total", kind="writer") == 300
    host.observe("1/64", "partition_ended")
    host.observe("1/64", "partition_started")
    host.stats("1/64", kind="writer", handled=7)
    assert host.value("messages_handled_total", kind="writer") == 307


def test_the_share_of_a_tenants_sessions_with_an_anomaly_is_that_of_all_partitions(
    host: MeasuredHost,
) -> None:
    def report(partition: str, sessions: int) -> None:
        row = {"tenant": "acme", "sessions": sessions, "oldest_s": 0, "refused": 0} | NOBODY
        host.observe(partition, "tenant_stats", count=1, tenants=[row])

    host.observe("0/64", "anomaly_detected", tenant="acme", session="a", type="MASS_EXIT")
    report("0/64", 4)
    assert host.value("anomalies_tenant_share") == 0  # few sessions are no storm
    report("1/64", 16)
    assert host.value("anomalies_tenant_share") == 1 / 20


def test_a_thread_that_outlives_its_partition_leaves_no_value(host: MeasuredHost) -> None:
    host.observe("1/64", "partition_started")
    host.observe("1/64", "partition_ended", exit_code=70)
    host.observe("1/64", "events_read", entries=0, lag_s=60)
    assert host.value("stream_lag_seconds") == 0
    assert host.value("last_success_timestamp_seconds", step="read") == 0
    host.observe("1/64", "checkpoint_loaded")
    host.observe("1/64", "anomaly_continues", tenant="acme", session="s", type="MASS_EXIT")
    host.observe("1/64", "partition_started")
    host.observe("1/64", "events_read", entries=0, lag_s=2)
    assert host.value("stream_lag_seconds") == 2
    assert host.value("anomalies_open", type="MASS_EXIT") == 1


def test_a_process_knows_into_how_many_partitions_sessions_are_divided(host: MeasuredHost) -> None:
    assert host.value("partitions") == 1
    host.observe("7/64", "partition_started")
    assert host.value("partitions") == 64


def test_missing_and_repeated_blocks_are_counted(host: MeasuredHost) -> None:
    assert host.value("rewinds_requested_total", reason="hole") == 0
    for partition in ("7/64", "8/64"):
        host.observe(partition, "rewind_requested", from_ms=5, reason="hole")
        host.observe(partition, "blocks_repeated", blocks=3)
    assert host.value("rewinds_requested_total", reason="hole") == 2
    assert host.value("blocks_repeated_total") == 6


def test_the_splitter_is_measured_from_its_start_to_its_end(host: MeasuredHost) -> None:
    assert host.value("splitter") == 0
    host.observe("", "splitter_started", partitions=64, frontier_ms=0)
    assert host.value("splitter") == 1
    assert host.value("partitions") == 64
    assert host.value("last_success_timestamp_seconds", step="read") == NOW_S
    assert host.value("last_success_timestamp_seconds", step="tick") == 0
    for _ in range(2):
        host.observe("", "events_split", events=50, blocks=64, lag_s=0.5)
    assert host.value("events_split_total") == 100
    assert host.value("blocks_written_total") == 128
    assert host.value("splitter_lag_seconds") == 0.5
    host.observe("", "splitter_stopped")
    assert host.value("splitter") == 0
    assert host.value("splitter_lag_seconds") == 0
    assert host.value("last_success_timestamp_seconds", step="read") == 0


@pytest.mark.parametrize(("partition", "splitter"), [("", 0), ("7/64", 1)])
def test_a_splitter_that_lost_its_ownership_is_none_any_more(
    partition: str, splitter: int, host: MeasuredHost
) -> None:
    host.observe("", "splitter_started", partitions=64, frontier_ms=0)
    host.observe(partition, "ownership_lost", reason="another")
    assert host.value("splitter") == splitter

"""The reports of many partitions are one line of each kind."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors import log_events
from conductor_actors.log_events import LogEvent, digested_by, observed_by
from conductor_actors.log_events.merged_reports import MAX_MERGED_TENANTS
from conductor_actors.observability.partition_digest import PartitionDigest, digest_partitions
from tests.support.fakes.fake_clock import FakeClock
from tests.support.log_lines import KINDS, make_event

PARTITIONS = [f"{number}/64" for number in range(32)]


def emit(event: str, partition: str = "", **keys: Any) -> None:
    log_events.emit(make_event(event, partition=partition, **keys))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def digest(clock: FakeClock) -> Iterator[PartitionDigest]:
    digest = PartitionDigest(clock)
    with digested_by(digest.take):
        yield digest


def written(digest: PartitionDigest, lines: list[EventDict]) -> list[EventDict]:
    """Return the lines of the digest alone."""
    lines.clear()
    digest.write()
    return lines


def test_the_same_report_of_all_partitions_is_one_line_after_5_s(
    digest: PartitionDigest, clock: FakeClock, log_lines: list[EventDict]
) -> None:
    for partition in PARTITIONS:
        figures = {"count": 1, "mailbox_depth": 2, "handled": 10, "failures": 0}
        emit("actor_stats", partition, kind="writer", oldest_s=0.5, **figures)
        emit("actor_stats", partition, kind="router", oldest_s=0.0, **figures)
    assert log_lines == []
    clock.advance(5.0)
    emit("actor_stats", "0/64", kind="writer", oldest_s=1.5, **figures)
    writer, router = log_lines
    assert (writer["kind"], writer["count"], writer["mailbox_depth"]) == ("writer", 32, 64)
    assert (writer["handled"], writer["oldest_s"]) == (320, 1.5)
    assert router["kind"] == "router"
    assert "partition" not in writer
    assert digest.take(make_event("actor_stats", partition="0/64"))


def test_work_is_added_up_and_reported_once(
    digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    for partition in PARTITIONS[:3]:
        for duration_s in (0.3, 0.1):
            emit("batch_written", partition, rows=5, new_rows=4, duration_s=duration_s)
            emit("events_routed", partition, events=9, skipped=1, sessions=7)
    batch, routed = written(digest, log_lines)
    assert (batch["rows"], batch["new_rows"], batch["duration_s"]) == (30, 24, 0.3)
    assert (routed["events"], routed["skipped"], routed["sessions"]) == (54, 6, 21)
    assert written(digest, log_lines) == []
    emit("events_routed", "0/64", events=2, skipped=0, sessions=8)
    [routed] = written(digest, log_lines)
    assert (routed["events"], routed["sessions"]) == (2, 22)


def test_a_tick_is_that_of_the_partition_which_is_furthest_behind(
    digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    for tick_at_ms, partition in ((5000, "0/64"), (10_000, "1/64"), (15_000, "1/64")):
        lag_s = 20.0 if partition == "0/64" else 0.1
        emit(
            "tick_completed",
            partition,
            tick_at_ms=tick_at_ms,
            sessions=4,
            lag_s=lag_s,
            duration_s=0.2,
        )
    [tick] = written(digest, log_lines)
    assert (tick["tick_at_ms"], tick["sessions"], tick["lag_s"]) == (5000, 8, 20.0)


@pytest.mark.parametrize("event", ["partition_ended", "tick_broadcast"])
def test_a_partition_that_ended_or_has_no_sessions_holds_up_no_tick(
    event: str, digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    emit("tick_completed", "0/64", tick_at_ms=5000, sessions=4)
    emit(event, "0/64")
    emit("tick_completed", "1/64", tick_at_ms=15_000, sessions=3)
    [tick] = written(digest, log_lines)
    assert (tick["tick_at_ms"], tick["sessions"]) == (15_000, 3)


def test_the_age_of_a_host_is_not_that_of_a_partition(
    digest: PartitionDigest, clock: FakeClock, log_lines: list[EventDict]
) -> None:
    assert written(digest, log_lines) == []
    clock.advance(60)
    for uptime_s in (50, 3):
        emit("service_stats", f"{uptime_s}/64", uptime_s=uptime_s, cpu_s=9.5)
    assert [(line["uptime_s"], line["cpu_s"]) for line in log_lines] == [(60, 9.5)]
    emit("partition_ended", "50/64")
    clock.advance(5)
    emit("service_stats", "3/64", uptime_s=8, cpu_s=10)
    assert log_lines[-1]["uptime_s"] == 65


def test_lists_of_sessions_and_tenants_stay_as_short_as_those_of_one_collector(
    digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    zeros = {"mailbox_depth": 0, "handled_per_s": 0, "oldest_s": 0, "refused": 0}
    for number, partition in enumerate(PARTITIONS):
        rows = [
            {
                "tenant": "acme",
                "session": f"{number}-{each}",
                "state": "running",
                "busy_share": number,
            }
            for each in range(90)
        ]
        emit("session_stats", partition, count=500, sessions=[zeros | row for row in rows])
        tenants = [
            {"tenant": f"t{each}", "sessions": 10, "quarantined": 1, "busy_share": each}
            for each in range(MAX_MERGED_TENANTS + number)
        ]
        emit("tenant_stats", partition, count=90, tenants=[zeros | row for row in tenants])
    sessions, tenants_line = written(digest, log_lines)
    assert sessions["count"] == 16_000
    assert len(sessions["sessions"]) <= 100
    assert any(row.session == "31-0" for row in sessions["sessions"])
    assert len(tenants_line["tenants"]) == MAX_MERGED_TENANTS
    assert tenants_line["count"] == 90
    shared = next(row for row in tenants_line["tenants"] if row.tenant == "t49")
    assert (shared.sessions, shared.quarantined) == (320, 32)


def test_subscribers_get_every_event_and_none_of_the_digest(
    digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    emitted: list[LogEvent] = []
    with observed_by(emitted.append):
        emit("batch_written", "0/64", rows=1)
        emit("batch_written", "1/64", rows=2)
        assert len(written(digest, log_lines)) == 1
    assert [event.partition for event in emitted] == ["0/64", "1/64"]


@pytest.mark.parametrize("event", ["actor_failed", "gap_detected", "outage_began"])
def test_what_is_not_regular_has_its_own_line_at_once(
    event: str, digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    emit(event, "7/64")
    assert [(line["event"], line["partition"]) for line in log_lines] == [(event, "7/64")]
    assert written(digest, log_lines) == []


def test_without_partitions_every_event_has_its_line(
    digest: PartitionDigest, log_lines: list[EventDict]
) -> None:
    emit("batch_written", rows=1)
    assert len(log_lines) == 1
    assert written(digest, log_lines) == []


def test_a_host_is_named_in_each_line_and_its_last_reports_are_written(
    log_lines: list[EventDict],
) -> None:
    with digest_partitions("node-1"):
        emit("outage_began", "7/64")
        emit("batch_written", "7/64", rows=1)
    emit("batch_written", "7/64", rows=1)
    found = [(line["event"], line.get("host"), line.get("partition")) for line in log_lines]
    assert found == [
        ("outage_began", "node-1", "7/64"),
        ("batch_written", "node-1", None),
        ("batch_written", None, "7/64"),
    ]


@pytest.mark.parametrize("event", KINDS)
def test_every_event_can_be_digested(event: str, digest: PartitionDigest) -> None:
    for partition in ("0/64", "1/64", "0/64"):
        digest.take(make_event(event, partition=partition))
    digest.write()
    copied = msgspec.structs.replace(make_event(event), partition="2/64")
    digest.take(copied)

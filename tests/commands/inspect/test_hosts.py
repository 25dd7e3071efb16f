"""The report of a service whose partitions are run by several hosts, or by several collectors."""

from typing import Any

from conductor_actors.commands.inspect.report import ActorReport, ServiceReport
from conductor_actors.commands.inspect.service_model import MAX_HOSTS, ServiceModel
from tests.commands.inspect.sample_lines import (
    actor,
    line,
    model_of,
    of_session,
    report_of,
    row,
    service,
    tenant_row,
)
from tests.support.log_lines import NOON


def of_host(host: str, event: str, at_s: float = 0, **keys: Any) -> bytes:
    return line(event, at_s, host=host, **keys)


def host_lines(host: str, at_s: float, **keys: Any) -> list[bytes]:
    """Return what a host writes every 5 s."""
    figures = {"count": 32, "mailbox_depth": 2, "oldest_s": at_s, "failures": 1, **keys}
    handled = 100 * int(at_s)
    session = f"acme/{host}"
    return [
        of_host(
            host,
            "service_stats",
            at_s,
            version="1",
            vocabulary=1,
            uptime_s=90 + at_s,
            cpu_s=at_s / 2,
        ),
        of_host(host, "actor_stats", at_s, kind="writer", handled=handled, **figures),
        of_host(host, "session_stats", at_s, count=7, sessions=[row(session)]),
        of_host(host, "tenant_stats", at_s, count=1, tenants=[tenant_row("acme", sessions=7)]),
        of_host(host, "events_routed", at_s, events=50, skipped=0, sessions=7),
        of_host(
            host,
            "tick_completed",
            at_s,
            tick_at_ms=1_767_528_000_000 + len(host) * 5000,
            sessions=7,
            lag_s=0.1 * len(host),
            duration_s=0.5,
        ),
        of_host(host, "batch_written", at_s, rows=30, new_rows=30, duration_s=0.1),
    ]


def writer_of(report: ServiceReport) -> ActorReport:
    [writer] = [one for one in report.actors if one.kind == "writer"]
    return writer


def test_the_figures_of_hosts_are_added_up_and_of_delays_the_longest_shows() -> None:
    report = report_of(
        *host_lines("a", 0), *host_lines("bb", 0), *host_lines("a", 5), *host_lines("bb", 5)
    )
    writer = writer_of(report)
    assert (writer.count, writer.mailbox_depth, writer.failures) == (64, 4, 2)
    assert (writer.handled_per_s, writer.oldest_s) == (200.0, 5.0)
    assert (report.session_count, report.tenant_count) == (14, 1)
    assert [(one.session, one.state) for one in report.sessions] == [
        ("a", "running"),
        ("bb", "running"),
    ]
    assert [(one.tenant, one.sessions) for one in report.tenants] == [("acme", 14)]
    assert (report.flow.events_per_s, report.flow.rows_per_s) == (20.0, 8.0)
    assert (report.service.phase, report.service.uptime_s, report.service.cpu_share) == (
        "running",
        95.0,
        1.0,
    )
    tick = report.flow.tick
    assert tick is not None
    assert (tick.at, tick.sessions, tick.lag_s) == (NOON.replace(second=5), 14, 0.2)


def test_a_host_that_restarts_begins_again_and_others_go_on() -> None:
    again = of_host("a", "service_stats", 6, version="1", vocabulary=1, uptime_s=1, cpu_s=0)
    report = report_of(*host_lines("a", 5), *host_lines("bb", 5), again)
    assert writer_of(report).count == 32
    assert report.session_count == 7


def test_a_host_that_is_silent_while_others_are_not_is_left_out() -> None:
    lines = [*host_lines("a", 0), *host_lines("bb", 0)]
    assert report_of(*lines, after_s=60).session_count == 14  # then the log may be what is silent
    assert report_of(*lines, *host_lines("bb", 15)).session_count == 14
    assert report_of(*lines, *host_lines("bb", 16)).session_count == 7


def test_a_host_that_was_lost_is_left_out_at_once() -> None:
    lines = [*host_lines("a", 0), *host_lines("bb", 0)]
    lost = line("host_lost", 1, host="a", partitions=32)
    moved = line("partition_moved", 1, partition="7/64", source="", target="bb", duration_s=1)
    assert report_of(*lines, lost, moved).session_count == 7


def test_the_end_of_the_program_that_started_the_hosts_ends_all() -> None:
    lines = [*host_lines("a", 0), *host_lines("bb", 0), line("drain_began", 1, within_s=20)]
    report = report_of(*lines, line("service_stopped", 2, duration_s=1, exit_code=0))
    assert report.service.phase == "stopped"
    assert writer_of(report).state == "stopped"


def test_one_partition_that_drains_or_stops_an_actor_stops_neither_the_others_nor_the_host() -> (
    None
):
    def partition(number: int, event: str, **keys: Any) -> bytes:
        return of_host("a", event, 1, partition=f"{number}/64", **keys)

    lines = [*host_lines("a", 0)]
    lines += [partition(number, "actor_started", actor="writer") for number in (7, 8)]
    lines += [partition(7, "drain_began"), partition(7, "actor_stopped", actor="writer")]
    report = report_of(*lines)
    assert report.service.phase == "running"
    assert writer_of(report).state == "running"
    failed = [*lines, partition(8, "actor_failed", actor="writer")]
    assert writer_of(report_of(*failed)).state == "restarting"
    ended = [*failed, partition(8, "partition_ended")]
    assert writer_of(report_of(*ended)).state == "stopped"


def test_an_outage_of_several_partitions_is_one_until_each_has_ended() -> None:
    def outage(event: str, host: str, number: int, at_s: float) -> bytes:
        keys = {"lasted_s": 1.0} if event == "outage_ended" else {"error": "refused"}
        return of_host(host, event, at_s, partition=f"{number}/64", service="database", **keys)

    lines = [outage("outage_began", "a", 7, 3), outage("outage_began", "a", 8, 2)]
    lines += [outage("outage_began", "bb", 9, 4)]
    [found] = report_of(*lines).outages
    assert (found.service, found.began_at) == ("database", NOON.replace(second=2))
    lines += [outage("outage_ended", "a", 8, 5), outage("outage_ended", "bb", 9, 5)]
    [found] = report_of(*lines).outages
    assert found.began_at == NOON.replace(second=3)
    assert report_of(*lines, outage("outage_ended", "a", 7, 5)).outages == []


def test_a_partition_that_moves_takes_its_open_anomalies_along() -> None:
    keys: dict[str, Any] = {
        "type": "MASS_EXIT",
        "tick_at_ms": 1_767_528_000_000,
        "reason": "9 left.",
    }
    report = report_of(
        *(
            of_session("anomaly_detected", name, host="a", partition=partition, **keys)
            for name, partition in (("acme/x", "7/64"), ("acme/y", "7/64"), ("acme/z", "8/64"))
        ),
        line("checkpoint_loaded", 1, host="bb", partition="7/64"),
        of_session("anomaly_continues", "acme/x", at_s=1, host="bb", partition="7/64", **keys),
        *host_lines("a", 2),
        *host_lines("bb", 2),
    )
    assert {one.session for one in report.sessions if one.anomaly} == {"x", "z"}


def test_partitions_without_a_host_are_added_up_too() -> None:
    lines = [
        line("actor_stats", kind="writer", count=1, handled=0, oldest_s=0, partition=partition)
        for partition in ("7/64", "8/64", "7/64")
    ]
    assert writer_of(report_of(*lines)).count == 2


def test_the_lines_of_one_process_without_partitions_are_of_one_process() -> None:
    report = report_of(service(0, 90), actor("writer"), actor("writer", 5))
    assert writer_of(report).count == 1


def test_a_log_with_invented_hosts_takes_bounded_memory() -> None:
    model: ServiceModel = model_of(
        *(of_host(f"h{number}", "rows_refused", rows=1) for number in range(MAX_HOSTS + 50))
    )
    assert model.process.refused_rows == MAX_HOSTS

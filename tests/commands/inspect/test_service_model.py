"""The report of a service after given log lines."""

from typing import Any

import pytest

from conductor_actors.commands.inspect.report import (
    Selection,
    SessionAnomaly,
    SessionReport,
    SortOrder,
    make_report,
)
from conductor_actors.domain.identity import SessionKey
from tests.commands.inspect.sample_lines import (
    actor,
    line,
    model_of,
    of_session,
    report_of,
    row,
    service,
    sessions,
    tenant_row,
    tenants,
)
from tests.support.log_lines import NOON

KEYNOTE = SessionKey("acme", "keynote")


def session_of(*lines: bytes, name: SessionKey = KEYNOTE) -> SessionReport:
    [found] = [one for one in report_of(*lines).sessions if (one.tenant, one.session) == name]
    return found


def test_before_the_first_line_nothing_is_known() -> None:
    report = report_of()
    assert (report.at, report.silent_s, report.service.phase) == (None, None, "unknown")
    assert (report.flow.events_per_s, report.flow.rows_per_s, report.flow.tick) == (
        None,
        None,
        None,
    )
    assert [*report.sessions, *report.tenants, *report.actors, *report.outages] == []


def test_the_process_is_known_from_its_first_line_or_from_its_stats() -> None:
    for text in (line("service_started", version="1.2.3", vocabulary=1), service(0, 0)):
        process = report_of(text).service
        assert (process.phase, process.version, process.vocabulary) == ("running", "1.2.3", 1)
    assert report_of(service(0, 90, 1.0), service(5, 95, 2.5)).service.cpu_share == 0.3


def test_a_drain_and_a_stop_change_the_phase() -> None:
    began = [service(0, 90), line("drain_began", within_s=20)]
    assert report_of(*began).service.phase == "draining"
    ended = line("service_stopped", duration_s=1, exit_code=0)
    assert report_of(*began, ended).service.phase == "stopped"


def test_after_a_clean_stop_every_actor_is_shown_as_stopped() -> None:
    report = report_of(
        service(0, 90),
        actor("supervisor"),
        sessions(row(), row("acme/panel")),
        of_session("session_quarantined", for_s=300),
        of_session("session_quarantined", name="acme/hall", for_s=300),
        line("drain_began", within_s=20),
        line("service_stopped", duration_s=1, exit_code=0),
    )
    assert {one.state for one in report.actors} == {"stopped"}
    assert {one.state for one in report.sessions} == {"stopped"}
    assert {one.session for one in report.sessions} == {"keynote", "panel"}
    assert report.session_count == 2


@pytest.mark.parametrize(
    "successor", [line("service_started", 9, version="1.2.4"), service(9, 4)], ids=["first", "age"]
)
def test_the_next_process_starts_with_an_empty_model(successor: bytes) -> None:
    report = report_of(
        service(0, 90),
        line("gap_detected", tenant="acme", lost_events=3),
        line("outage_began", service="database", error="away"),
        actor("writer", handled=10),
        sessions(row()),
        of_session("session_quarantined", for_s=300),
        successor,
    )
    assert (report.service.phase, report.flow.gaps) == ("running", 0)
    assert [*report.sessions, *report.actors, *report.outages] == []


def test_silence_is_measured_from_the_newest_line() -> None:
    lines = [actor("writer", 1), actor("writer", 7)]
    report = report_of(*lines, after_s=30)
    assert (report.silent_s, report.since, report.at) == (23.0, NOON.replace(second=1), report.at)
    assert report_of(*lines, after_s=0).silent_s == 0.0  # a clock that is behind is no silence


def test_a_rate_is_the_growth_of_a_counter_that_restarts_with_its_process() -> None:
    [writer] = report_of(actor("writer", 0, handled=100), actor("writer", 5, handled=150)).actors
    assert writer.handled_per_s == 10.0
    [writer] = report_of(actor("writer", 0, handled=100), actor("writer", 5, handled=50)).actors
    assert writer.handled_per_s is None
    [writer] = report_of(actor("writer", 0, handled=100)).actors
    assert writer.handled_per_s is None


def test_events_and_rows_per_second_come_from_the_last_lines() -> None:
    events = [line("events_routed", at, events=count) for at, count in ((0, 900), (5, 100))]
    assert report_of(*events).flow.events_per_s == 20.0
    rows = [line("batch_written", at, rows=150) for at in (0, 6, 20)]
    assert report_of(*rows).flow.rows_per_s == 20.0  # two batches in 15 s


def test_the_last_tick_is_shown_with_its_lag_and_duration() -> None:
    keys = {"tick_at_ms": 1_767_528_005_000, "sessions": 7, "duration_s": 0.5, "lag_s": 0.25}
    tick = report_of(line("tick_completed", **keys)).flow.tick
    assert tick is not None
    assert tick.at == NOON.replace(second=5)
    assert (tick.sessions, tick.duration_s, tick.lag_s) == (7, 0.5, 0.25)


def test_losses_are_summed_also_by_tenant() -> None:
    report = report_of(
        tenants(tenant_row("acme"), tenant_row("globex")),
        *(line("gap_detected", tenant="acme", lost_events=lost) for lost in (3, 4)),
        line("gap_detected", tenant="*", reason="reconnected", lost_events=None),
        line("events_invalid", events=5),
        line("rows_refused", rows=6),
        line("updates_dropped", updates=7, dead_letters=0),
        line("log_lines_dropped", lines=8),
    )
    flow = report.flow
    assert (flow.gaps, flow.lost_events) == (3, 7)
    assert (flow.invalid_events, flow.refused_rows, flow.dropped_updates) == (5, 6, 7)
    assert report.lines.dropped == 8
    assert {one.tenant: (one.gaps, one.lost_events) for one in report.tenants} == {
        "acme": (2, 7),
        "globex": (0, 0),
    }


def test_an_outage_lasts_until_it_ends_even_if_its_start_was_not_read() -> None:
    began = line("outage_began", 60, service="database", error="refused")
    goes_on = line("outage_continues", 60, service="redis", error="timeout", lasted_s=30)
    report = report_of(began, goes_on)
    assert [(one.service, one.error, one.began_at.second) for one in report.outages] == [
        ("database", "refused", 0),
        ("redis", "timeout", 30),
    ]
    ended = [line("outage_ended", service=name, lasted_s=1) for name in ("database", "redis")]
    assert report_of(began, goes_on, *ended).outages == []


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("actor_started", "running"),
        ("actor_failed", "restarting"),
        ("actor_restarted", "running"),
        ("restarts_exhausted", "failed"),
        ("actor_stopped", "stopped"),
    ],
)
def test_the_state_of_a_system_actor_follows_its_last_event(event: str, state: str) -> None:
    [writer] = report_of(actor("writer"), line(event, actor="writer")).actors
    assert (writer.kind, writer.state, writer.restarts) == (
        "writer",
        state,
        int(event == "actor_restarted"),
    )


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("actor_failed", "restarting"),
        ("actor_restarted", "running"),
        ("session_quarantined", "quarantined"),
        ("session_released", "running"),
    ],
)
def test_the_state_of_a_session_follows_its_last_event_or_figures(event: str, state: str) -> None:
    counted = sessions(row(state="passivating"))
    assert session_of(counted, of_session(event)).state == state
    assert session_of(of_session(event), counted).state == "passivating"


def test_a_quarantined_session_without_figures_is_reported_until_it_stops() -> None:
    lines = [of_session("session_quarantined", for_s=300), sessions(row("acme/other"))]
    found = session_of(*lines)
    assert (found.state, found.mailbox_depth) == ("quarantined", None)
    gone = report_of(*lines, of_session("actor_stopped"))
    assert [one.session for one in gone.sessions] == ["other"]


def test_restarts_are_counted_by_session_and_in_total_with_the_last_cause() -> None:
    lines = [
        *(of_session("actor_failed", error=error) for error in ("KeyError('a')", "OSError()")),
        *[of_session("actor_restarted")] * 2,
        actor("session", failures=2, count=3),
    ]
    found = session_of(*lines)
    assert (found.failures, found.restarts, found.last_error) == (2, 2, "OSError()")
    [kind] = report_of(*lines).actors
    assert (kind.kind, kind.count, kind.failures, kind.restarts) == ("session", 3, 2, 2)


def test_the_followed_session_has_its_incidents_with_their_details() -> None:
    lines = [
        of_session("actor_started"),
        of_session("actor_failed", error="KeyError('a')"),
        of_session("session_quarantined", for_s=300),
        of_session("session_released", lost_messages=4),
        line("handler_slow", name="acme/keynote", running_s=2.5, stack="…"),
        of_session("actor_failed", name="acme/other"),
    ]
    followed = report_of(*lines, followed=KEYNOTE).followed
    assert followed is not None
    assert [(one.event, one.detail) for one in followed.incidents] == [
        ("actor_started", ""),
        ("actor_failed", "KeyError('a')"),
        ("session_quarantined", "for 300 s"),
        ("session_released", "4 messages lost"),
        ("handler_slow", "for 2.5 s"),
    ]


def test_a_session_that_only_starts_and_stops_has_no_history() -> None:
    model = model_of(
        *(of_session("actor_started", f"acme/s{number}") for number in range(50)),
        followed=KEYNOTE,
    )
    assert make_report(model, NOON).sessions == []


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("depth", ["c", "a", "b", "d"]),
        ("rate", ["b", "a", "c", "d"]),
        ("handling", ["a", "c", "d", "b"]),
        ("oldest", ["d", "a", "b", "c"]),
        ("name", ["a", "b", "c", "d"]),
    ],
)
def test_sessions_and_tenants_are_in_the_selected_order(order: SortOrder, names: list[str]) -> None:
    figures: dict[str, dict[str, Any]] = {
        "a": {"busy_share": 0.9},
        "b": {"handled_per_s": 9.0},
        "c": {"mailbox_depth": 9},
        "d": {"oldest_s": 9.0},
    }
    lines = (
        sessions(*(row(f"acme/{name}", **each) for name, each in figures.items())),
        tenants(*(tenant_row(name, **each) for name, each in figures.items())),
    )
    report = report_of(*lines, selection=Selection(order))
    assert [one.session for one in report.sessions] == names
    assert [one.tenant for one in report.tenants] == names


def test_a_selected_tenant_alone_is_reported_and_counted() -> None:
    lines = (
        sessions(row("acme/a"), row("globex/b"), count=500),
        tenants(tenant_row("acme", sessions=300), tenant_row("globex", sessions=200)),
        of_session("session_quarantined", "globex/c"),
    )
    report = report_of(*lines, selection=Selection(tenant="globex"))
    assert [one.session for one in report.sessions] == ["b", "c"]
    assert [one.tenant for one in report.tenants] == ["globex"]
    assert report.session_count == 200
    assert report_of(*lines, selection=Selection(tenant="umbrella")).session_count == 0


def test_the_document_has_the_open_anomaly_of_a_session_also_one_from_before_a_restart() -> None:
    lines = [
        of_session(event, name, type="MASS_EXIT", tick_at_ms=1_767_528_000_000, reason="9 left.")
        for event, name in (("anomaly_detected", "acme/a"), ("anomaly_continues", "acme/b"))
    ]
    report = report_of(*lines, tenants(tenant_row("acme")))
    assert report.flow.open_anomalies == 2
    assert report.tenants[0].open_anomalies == 2
    assert [each.session for each in report.sessions] == ["a", "b"]
    assert {each.anomaly for each in report.sessions} == {
        SessionAnomaly("MASS_EXIT", NOON, "9 left.")
    }


def test_what_a_new_process_resumes_from_a_checkpoint_stays_open() -> None:
    report = report_of(
        service(0, 60),
        of_session("anomaly_detected", "acme/over", type="MASS_EXIT"),
        line("checkpoint_loaded", 5),
        of_session("anomaly_continues", "acme/open", at_s=5, type="MASS_EXIT"),
        line("service_started", 6),
    )
    assert [each.session for each in report.sessions if each.anomaly] == ["open"]


def test_a_new_process_has_no_anomaly_that_it_has_not_reported() -> None:
    began = of_session("anomaly_detected", type="MASS_EXIT")
    report = report_of(service(0, 60), began, service(5, 1))
    assert report.flow.open_anomalies == 0

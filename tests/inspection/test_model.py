"""What lines add up to."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.inspection.histories import MOST_INCIDENTS, MOST_SESSIONS
from conductor_actors.inspection.lines import LONGEST_BYTES
from conductor_actors.inspection.model import MOST_NAMES, Model
from conductor_actors.inspection.report import Session
from conductor_actors.inspection.reporting import Choice, Order, report
from conductor_actors.vocabulary import SESSION_KEYS, TENANT_KEYS, VOCABULARY
from tests.inspection.said import (
    NOON,
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

KEYNOTE = ("acme", "keynote")


def session_of(*lines: bytes, name: tuple[str, str] = KEYNOTE) -> Session:
    [found] = [one for one in report_of(*lines).sessions if (one.tenant, one.session) == name]
    return found


def test_before_the_first_line_nothing_is_known() -> None:
    known = report_of()
    assert (known.at, known.silent_s, known.service.phase) == (None, None, "unknown")
    assert (known.flow.events_per_s, known.flow.rows_per_s, known.flow.tick) == (None, None, None)
    assert [*known.sessions, *known.tenants, *known.actors, *known.outages] == []


def test_the_process_is_introduced_by_its_first_line_or_every_5_s() -> None:
    for said in (line("service_started", version="1.2.3", vocabulary=1), service(0, 0)):
        process = report_of(said).service
        assert (process.phase, process.version, process.vocabulary) == ("running", "1.2.3", 1)
    assert report_of(service(0, 90, 1.0), service(5, 95, 2.5)).service.cpu_share == 0.3


def test_a_drain_and_an_end_are_phases() -> None:
    began = [service(0, 90), line("drain_began", within_s=20)]
    assert report_of(*began).service.phase == "draining"
    ended = line("service_stopped", duration_s=1, exit_code=0)
    assert report_of(*began, ended).service.phase == "stopped"


@pytest.mark.parametrize(
    "successor", [line("service_started", 9, version="1.2.4"), service(9, 4)], ids=["first", "age"]
)
def test_the_next_process_begins_with_nothing(successor: bytes) -> None:
    known = report_of(
        service(0, 90),
        line("gap_detected", tenant="acme", lost_events=3),
        line("outage_began", service="database", error="away"),
        actor("writer", handled=10),
        sessions(row()),
        of_session("session_quarantined", for_s=300),
        successor,
    )
    assert (known.service.phase, known.flow.gaps) == ("running", 0)
    assert [*known.sessions, *known.actors, *known.outages] == []


def test_how_long_nothing_was_heard_is_measured_from_the_newest_line() -> None:
    lines = [actor("writer", 1), actor("writer", 7)]
    known = report_of(*lines, after_s=30)
    assert (known.silent_s, known.since, known.at) == (23.0, NOON.replace(second=1), known.at)
    assert report_of(*lines, after_s=0).silent_s == 0.0  # whose clock is wrong is not silent


def test_rates_come_from_counters_that_grow_and_start_again_with_a_process() -> None:
    [writer] = report_of(actor("writer", 0, handled=100), actor("writer", 5, handled=150)).actors
    assert writer.handled_per_s == 10.0
    [writer] = report_of(actor("writer", 0, handled=100), actor("writer", 5, handled=50)).actors
    assert writer.handled_per_s is None
    [writer] = report_of(actor("writer", 0, handled=100)).actors
    assert writer.handled_per_s is None


def test_events_and_rows_a_second_are_those_of_the_last_lines() -> None:
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


def test_what_was_lost_is_added_up_by_tenant_too() -> None:
    known = report_of(
        tenants(tenant_row("acme"), tenant_row("globex")),
        *(line("gap_detected", tenant="acme", lost_events=lost) for lost in (3, 4)),
        line("gap_detected", tenant="*", reason="reconnected", lost_events=None),
        line("events_invalid", events=5),
        line("rows_refused", rows=6),
        line("updates_dropped", updates=7, dead_letters=0),
        line("log_lines_dropped", lines=8),
    )
    flow = known.flow
    assert (flow.gaps, flow.lost_events) == (3, 7)
    assert (flow.invalid_events, flow.refused_rows, flow.dropped_updates) == (5, 6, 7)
    assert known.lines.dropped == 8
    assert {one.tenant: (one.gaps, one.lost_events) for one in known.tenants} == {
        "acme": (2, 7),
        "globex": (0, 0),
    }


def test_an_outage_lasts_until_it_has_ended_though_its_beginning_was_not_heard() -> None:
    began = line("outage_began", 60, service="database", error="refused")
    goes_on = line("outage_continues", 60, service="redis", error="timeout", lasted_s=30)
    known = report_of(began, goes_on)
    assert [(one.service, one.error, one.began_at.second) for one in known.outages] == [
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
def test_a_system_actors_state_is_the_last_that_was_said(event: str, state: str) -> None:
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
def test_a_sessions_state_is_the_last_that_was_said_or_counted(event: str, state: str) -> None:
    counted = sessions(row(state="passivating"))
    assert session_of(counted, of_session(event)).state == state
    assert session_of(of_session(event), counted).state == "passivating"


def test_a_quarantined_session_that_leads_in_nothing_is_shown_until_it_stops() -> None:
    lines = [of_session("session_quarantined", for_s=300), sessions(row("acme/other"))]
    found = session_of(*lines)
    assert (found.state, found.mailbox_depth) == ("quarantined", None)
    gone = report_of(*lines, of_session("actor_stopped"))
    assert [one.session for one in gone.sessions] == ["other"]


def test_restarts_are_counted_with_the_last_cause_by_session_and_in_all() -> None:
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


def test_sessions_that_only_come_and_go_are_not_kept() -> None:
    model = model_of(
        *(of_session("actor_started", f"acme/s{number}") for number in range(50)),
        followed=KEYNOTE,
    )
    assert report(model, NOON).sessions == []


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("depth", ["c", "a", "b", "d"]),
        ("rate", ["b", "a", "c", "d"]),
        ("handling", ["a", "b", "c", "d"]),
        ("oldest", ["d", "a", "b", "c"]),
        ("name", ["a", "b", "c", "d"]),
    ],
)
def test_sessions_and_tenants_are_sorted_by_what_was_chosen(order: Order, names: list[str]) -> None:
    figures: dict[str, dict[str, Any]] = {
        "a": {"busy_share": 0.9},
        "b": {"handled_per_s": 9.0},
        "c": {"mailbox_depth": 9},
        "d": {"oldest_s": 9.0},
    }
    said = (
        sessions(*(row(f"acme/{name}", **each) for name, each in figures.items())),
        tenants(*(tenant_row(name, **each) for name, each in figures.items())),
    )
    known = report_of(*said, choice=Choice(order))
    assert [one.session for one in known.sessions] == names
    assert [one.tenant for one in known.tenants] == names


def test_of_one_tenant_only_its_own_is_shown_and_counted() -> None:
    said = (
        sessions(row("acme/a"), row("globex/b"), count=500),
        tenants(tenant_row("acme", sessions=300), tenant_row("globex", sessions=200)),
        of_session("session_quarantined", "globex/c"),
    )
    known = report_of(*said, choice=Choice(tenant="globex"))
    assert [one.session for one in known.sessions] == ["b", "c"]
    assert [one.tenant for one in known.tenants] == ["globex"]
    assert known.session_count == 200
    assert report_of(*said, choice=Choice(tenant="umbrella")).session_count == 0


NOT_OURS = [
    b"starting; the log is in /var/log/demo.log",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b'"batch_written"',
    b"\xff\xfe{\x00}",
    b"[" * 100_000 + b"{" * 100_000,
    line("somebody_elses"),
    line("batch_written"),
    line("batch_written", rows=-1),
    line("batch_written", rows="3"),
    line("batch_written", rows=1e300),
    line("batch_written", rows=10**400),
    line("batch_written", rows=3).replace(b"2026", b"noon"),
    line("batch_written", rows=3).replace(b"Z", b""),
    line("batch_written", rows=3)[:-5],
    line("batch_written", rows=3, more="x" * LONGEST_BYTES),
    line("session_stats", count=1, sessions=[row(mailbox_depth=None)]),
    line("session_stats", count=1, sessions=[row()] * 1001),
    actor("k" * 513),
]


@pytest.mark.parametrize("text", NOT_OURS, ids=range(len(NOT_OURS)))
def test_what_is_no_line_of_ours_is_ignored_and_counted(text: bytes) -> None:
    known = report_of(text, text, sessions(row()))
    assert (known.lines.read, known.lines.ignored) == (3, 2)
    assert len(known.sessions) == 1


@pytest.mark.parametrize("before", [b"collector-1  | ", b"Jan 04 12:00:00 host conductor[7]: "])
def test_what_a_collector_of_logs_writes_before_a_line_is_passed_over(before: bytes) -> None:
    known = report_of(before + sessions(row()))
    assert (known.lines.ignored, len(known.sessions)) == (0, 1)


@pytest.mark.parametrize("event", VOCABULARY)
def test_no_line_of_the_vocabulary_with_typical_keys_is_ignored(event: str) -> None:
    typical: dict[str, Any] = dict.fromkeys(VOCABULARY[event].keys, 1)
    texts = ("version", "service", "error", "kind", "name", "actor", "tenant", "session", "reason")
    typical |= {key: "text" for key in texts if key in typical}
    if event == "session_stats":
        typical["sessions"] = [row()]
    if event in ("tenant_stats", "service_started"):
        typical["tenants"] = [tenant_row("acme")]
    assert report_of(line(event, **typical)).lines.ignored == 0


def test_rows_have_the_keys_that_the_vocabulary_lists() -> None:
    assert tuple(row()) == SESSION_KEYS
    assert tuple(tenant_row("acme")) == TENANT_KEYS


def test_however_many_names_are_made_up_memory_is_bounded() -> None:
    model = Model(followed=("acme", "s0"))
    for number in range(2 * MOST_SESSIONS):
        model.take(of_session("actor_failed", f"acme/s{number}", error="x" * 100_000))
        model.take(actor(f"kind {number}"))
        model.take(line("outage_began", service=f"service {number}", error="x"))
        model.take(line("gap_detected", tenant=f"t{number}", lost_events=1))
    for _ in range(3 * MOST_INCIDENTS):
        model.take(of_session("actor_restarted", "acme/s0"))
    known = report(model, NOON)
    assert len(known.sessions) == MOST_SESSIONS
    assert len(known.actors) <= MOST_NAMES
    assert len(known.outages) <= MOST_NAMES
    assert known.followed is not None
    assert len(known.followed.incidents) == MOST_INCIDENTS
    assert known.followed.session.failures == 1
    assert max(len(one.last_error or "") for one in known.sessions) <= 500


def test_times_at_the_ends_of_the_calendar_break_nothing() -> None:
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
    for stamps in ([first, last], [last, first]):
        for stamp in stamps:
            lines = [
                line("outage_continues", service="redis", lasted_s=1e12, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamp),
                line("events_routed", events=1, timestamp=stamp),
                line("batch_written", rows=1, timestamp=stamps[0]),
            ]
            known = report_of(*lines)
            assert known.lines.ignored == 0
            json.dumps(msgspec.to_builtins(known), allow_nan=False)


numbers = st.sampled_from([0, 1, -1, 0.5, 2**53, 2**64, 1e12, -1e300, None])
names = st.sampled_from(["acme", "keynote", "writer", "session", "*", "", "\x1b[2J", "\u202e/", 7])
stamps = st.sampled_from(
    [
        *("2026-01-04T12:00:00Z", "2026-01-04T12:00:05Z", "0001-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ]
)
LISTS = {
    "sessions": st.lists(st.builds(row, mailbox_depth=numbers, state=names), max_size=3),
    "tenants": st.lists(st.builds(tenant_row, names, oldest_s=numbers), max_size=3),
}


def said_of(event: str) -> st.SearchStrategy[bytes]:
    """Make lines of an event whose keys may have any value."""
    keys: dict[str, st.SearchStrategy[Any]] = {"tenant": names, "session": names, "actor": names}
    for key in VOCABULARY[event].keys:
        is_figure = key.endswith(("_s", "_ms", "count", "s", "depth", "handled"))
        keys[key] = LISTS.get(key, numbers) if is_figure else names
    filled = st.fixed_dictionaries({"event": st.just(event), "timestamp": stamps, **keys})
    return filled.map(lambda each: json.dumps(each).encode())


hostile_lines = st.one_of(*map(said_of, VOCABULARY))


@given(st.lists(st.binary(max_size=80) | hostile_lines, max_size=30))
def test_any_lines_make_a_document_that_json_can_hold(texts: list[bytes]) -> None:
    known = report_of(*texts, followed=KEYNOTE)
    assert known.lines.read == len(texts)
    assert known.lines.ignored <= len(texts)
    json.dumps(msgspec.to_builtins(known), allow_nan=False)


ordinary = st.one_of(
    st.integers(0, 1000).map(lambda rows: line("batch_written", rows=rows)),
    st.builds(
        of_session,
        st.sampled_from(["actor_failed", "actor_restarted", "session_quarantined"]),
        st.sampled_from(["acme/a", "acme/b"]),
    ),
    st.integers(0, 9).map(lambda depth: sessions(row("acme/a", mailbox_depth=depth))),
    st.integers(0, 9).map(lambda lost: line("gap_detected", tenant="acme", lost_events=lost)),
)


@given(st.lists(ordinary, max_size=30), st.data())
def test_lines_that_are_not_ours_change_nothing_but_their_count(
    texts: list[bytes], data: st.DataObject
) -> None:
    mixed = [*texts]
    for text in data.draw(st.lists(st.sampled_from(NOT_OURS[:16]), max_size=5)):
        mixed.insert(data.draw(st.integers(0, len(mixed))), text)
    plain, found = report_of(*texts), report_of(*mixed)
    assert found.lines.ignored == len(mixed) - len(texts)
    assert msgspec.structs.replace(found, lines=plain.lines) == plain


@given(st.lists(ordinary, max_size=30))
def test_figures_add_up_to_what_was_said(texts: list[bytes]) -> None:
    said = [json.loads(text) for text in texts]
    known = report_of(*texts)
    assert known.flow.lost_events == sum(each.get("lost_events", 0) for each in said)
    assert sum(one.restarts for one in known.sessions) == sum(
        each["event"] == "actor_restarted" for each in said
    )
    rows = sum(each.get("rows", 0) for each in said)
    assert math.isclose(known.flow.rows_per_s or 0, rows / 15, abs_tol=0.001)

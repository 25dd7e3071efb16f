"""The screen, draw for terminals of any size."""

import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from conductor_actors.commands.inspect.cluster_report import ClusterReport
from conductor_actors.commands.inspect.rendering import ScreenContext, render_plain, render_screen
from conductor_actors.commands.inspect.report import Selection, make_report
from conductor_actors.commands.inspect.screen_view import ScreenView
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions, Signals
from conductor_actors.wire.updates import Update
from tests.commands.inspect.sample_lines import (
    actor,
    line,
    model_of,
    of_session,
    row,
    service,
    sessions,
    tenant_row,
    tenants,
)
from tests.support.log_lines import NOON

TICK = {"tick_at_ms": 1_767_528_005_000, "sessions": 1000, "duration_s": 0.012, "lag_s": 0.3}
KINDS = ("ticker", "publisher", "writer", "router", "session", "supervisor", "owner")
ROOMS = [row(f"acme/room-{number:02}", mailbox_depth=40 - number) for number in range(40)]
LINES = (
    service(0, 7980, 10.0),
    service(5, 7985, 11.0),
    *(line("events_routed", at, events=500) for at in (0, 5)),
    line("tick_completed", 5, **TICK),
    *(actor(kind, at, handled=at) for at in (0, 5) for kind in KINDS),
    tenants(*(tenant_row(name, sessions=500) for name in ("acme", "globex")), at_s=5),
    sessions(*ROOMS, at_s=5, count=1000),
)
CONTEXT = ScreenContext("redis")


def draw(
    *lines: bytes,
    view: ScreenView | None = None,
    context: ScreenContext = CONTEXT,
    width: int = 80,
    height: int = 24,
    after_s: float = 5,
) -> list[str]:
    view = view or ScreenView()
    model = model_of(*lines, followed=view.followed)
    report = make_report(model, NOON + timedelta(seconds=after_s), view.selection)
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    with console.capture() as captured:
        console.print(render_screen(report, view, context, width, height))
    return captured.get().splitlines()


def test_the_header_shows_the_service_its_rates_and_its_last_tick() -> None:
    assert [text.rstrip() for text in draw(*LINES)[:3]] == [
        "conductor 1.2.3 · up 2 h 13 min · cpu 20% · 100 events/s · - rows/s",
        "tick 12:00:05 UTC: 300 ms behind, took 12 ms for 1,000 sessions",
        "no outage, no gap; lines from redis",
    ]


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (
            ClusterReport(3, 6, 64, [], 0.4, []),
            "6 hosts on 3 nodes · 64 partitions · 400 ms behind",
        ),
        (
            ClusterReport(None, None, 64, [7], None, ["collector: nobody has partition 7"]),
            "coordinator away · 64 partitions · collector: nobody has partition 7",
        ),
    ],
)
def test_a_cluster_has_a_line_of_its_own(cluster: ClusterReport, expected: str) -> None:
    report = replace(make_report(model_of(*LINES), NOON + timedelta(seconds=5)), cluster=cluster)
    console = Console(file=io.StringIO(), width=80, legacy_windows=False)
    with console.capture() as captured:
        console.print(render_screen(report, ScreenView(), CONTEXT, 80, 24))
    screen = captured.get().splitlines()
    assert screen[1].rstrip() == expected
    assert len(screen) <= 24


def test_actors_tenants_and_sessions_are_in_tables_with_aligned_columns() -> None:
    screen = draw(*LINES)
    titles = [text.split() for text in screen if "handled/s" in text]
    assert titles[0] == ["actor", "state", "mailbox", "handled/s", "oldest", "count", "failures"]
    assert titles[1][1:] == ["quarantined", "mailbox▾", "handled/s", "oldest", "takes", "sessions"]
    assert titles[2][1:] == ["state", "mailbox▾", "handled/s", "oldest", "takes", "restarts"]
    [room] = [text.split() for text in screen if text.startswith("acme/room-00")]
    assert room[1:] == ["running", "40", "1.0", "0", "ms", "10", "ms", "0"]


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (120, 50), (200, 45), (80, 18)])
def test_a_screen_is_filled_and_never_overflows(size: tuple[int, int]) -> None:
    width, height = size
    screen = draw(*LINES, width=width, height=height)
    assert len(screen) == height
    assert max(map(len, screen)) <= width
    assert screen[-1].startswith("d mailbox")
    assert any("acme/room-00" in text for text in screen)


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (40, 10)])
def test_a_screen_of_any_small_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert draw(*LINES, width=size[0], height=size[1])


def test_at_80_columns_no_key_and_no_title_is_cut_off() -> None:
    assert "…" not in "".join(draw(*LINES))


def test_the_cursor_reaches_every_session() -> None:
    for cursor in (0, 20, 39, 99):
        screen = draw(*LINES, view=ScreenView(cursor=cursor))
        assert any(f"acme/room-{min(cursor, 39):02}" in text for text in screen)


def test_the_screen_counts_the_rows_it_shows_and_all_there_are() -> None:
    assert any("of 1,000 sessions, 2 of 2 tenants" in text for text in draw(*LINES))
    filtered = ScreenView(Selection(tenant="acme"))
    assert any("of 500 sessions of tenant acme" in text for text in draw(*LINES, view=filtered))


@pytest.mark.parametrize(
    ("more", "alert"),
    [
        ([line("outage_began", service="database", error="x")], "database is away since 12:00:00"),
        ([line("gap_detected", tenant="acme", lost_events=1200)], "1 gaps (1,200 events lost)"),
        ([line("rows_refused", rows=3)], "3 rows refused"),
        ([line("updates_dropped", updates=3)], "3 updates dropped"),
        ([line("events_invalid", events=3)], "3 invalid events"),
        ([line("log_lines_dropped", lines=3)], "3 log lines missing"),
        ([b"rubbish"], "1 lines ignored"),
    ],
)
def test_the_third_line_shows_what_needs_attention(more: Sequence[bytes], alert: str) -> None:
    assert alert in draw(*LINES, *more)[2]


def test_silence_is_shown_after_15_s_and_after_the_trouble_of_the_source() -> None:
    assert "no log line" not in draw(*LINES, after_s=19.9)[2]
    assert "no log line for 15 s" in draw(*LINES, after_s=20)[2]
    assert "no log line yet" in draw()[2]
    away = ScreenContext("redis", "redis: connection refused")
    assert draw(*LINES, context=away, after_s=90)[2].startswith(
        "redis: connection refused · no log line for 1 min 25 s"
    )


def test_the_header_shows_that_a_service_drains_or_has_stopped() -> None:
    assert "draining" in draw(*LINES, line("drain_began"))[0]
    assert "stopped" in draw(*LINES, line("service_stopped"))[0]


def test_a_tenant_being_typed_is_shown_instead_of_the_keys() -> None:
    assert draw(*LINES, view=ScreenView(typed="ac"))[-1].startswith("tenant (none: all): ac_")


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[31mred", "a\nb\rc", "[red]m[/red]", "\u202eabc"])
def test_a_hostile_text_can_neither_move_the_cursor_nor_break_a_line(hostile: str) -> None:
    more = (
        *LINES,
        actor(hostile),
        tenants(tenant_row(hostile)),
        sessions(row(f"acme/{hostile}", state=hostile)),
        of_session("actor_failed", f"acme/{hostile}", error=hostile),
        line("outage_began", service=hostile, error=hostile),
        line("service_stats", 5, version=hostile, vocabulary=1, uptime_s=7990, cpu_s=1),
    )
    view = ScreenView(Selection(tenant="acme"), typed=hostile)
    for chosen in (view, ScreenView(followed=SessionKey("acme", hostile))):
        screen = draw(*more, view=chosen, context=ScreenContext(hostile, hostile), height=40)
        assert len(screen) <= 40
        assert all(char.isprintable() for text in screen for char in text)


UPDATE = Update(
    "2026-01-04T12:00:00.000Z",
    "acme",
    "keynote",
    "summit",
    0.61,
    "HIGH",
    Signals(12.0, 0.4, 31, 50, 9.0, 0.02),
    Contributions(0.2527, 0.1, 0.155, 0.096, -0.002),
)
KEYNOTE = SessionKey("acme", "keynote")
FAILED = (
    *LINES,
    sessions(row(mailbox_depth=3)),
    of_session("actor_failed", at_s=1, error="KeyError('a')"),
    of_session("actor_restarted", at_s=2),
)


def message(at_s: float, kind: str = "EventBatch", **keys: Any) -> bytes:
    return of_session("message_traced", at_s=at_s, kind=kind, **keys)


def test_a_followed_session_shows_its_last_traced_messages() -> None:
    more = (
        *FAILED,
        *(message(number, kinds={"ChatMessage": number + 1}) for number in range(5)),
        of_session("message_traced", "acme/other", kind="Tick", score=0.1),
        message(6, kinds={"UserJoined": 2, "ChatMessage": 1}, duration_s=26e-6),
        message(7, "Tick", score=0.57, duration_s=0.0015),
        message(8, has_failed=True),
    )
    screen = [text.rstrip() for text in draw(*more, view=ScreenView(followed=KEYNOTE))]
    begin = screen.index("last messages")
    assert screen[begin + 3 : begin + 8] == [
        "12:00:06  EventBatch   26 µs  2 UserJoined, 1 ChatMessage",
        "12:00:07  Tick         2 ms  score 57%",
        "12:00:08  EventBatch   0 ms   failed",
        "",
        "incidents",
    ]
    assert len(draw(*more, view=ScreenView(followed=KEYNOTE), height=18)) <= 18
    assert draw(*more)[-1] == draw(*LINES)[-1]


def test_a_followed_session_shows_its_score_and_its_incidents() -> None:
    context = CONTEXT._replace(update=UPDATE)
    screen = [
        text.rstrip() for text in draw(*FAILED, view=ScreenView(followed=KEYNOTE), context=context)
    ]
    assert screen[4].split()[:3] == ["acme/keynote", "running", "3"]
    assert screen[6:12] == [
        "score 61% HIGH at 12:00:00 UTC",
        "chat                  12/min    +25.3%",
        "poll                     40%    +10.0%",
        "active           31/50 users    +15.5%",
        "reactions              9/min     +9.6%",
        "leave rate              2.0%     -0.2%",
    ]
    assert screen[13:16] == [
        "incidents",
        "12:00:01  actor_failed         KeyError('a')",
        "12:00:02  actor_restarted",
    ]


def test_the_newest_of_many_incidents_are_on_the_screen() -> None:
    failures = [of_session("actor_failed", at_s=at, error=f"error {at}") for at in range(20)]
    context = CONTEXT._replace(update=UPDATE)
    screen = draw(*LINES, *failures, view=ScreenView(followed=KEYNOTE), context=context)
    assert len(screen) <= 24
    assert "error 19" in screen[-2]


def test_a_cause_longer_than_a_line_is_shown_in_full() -> None:
    cause = " ".join(f"word-{number}" for number in range(40))
    failed = of_session("actor_failed", error=cause)
    screen = draw(*LINES, failed, view=ScreenView(followed=KEYNOTE), height=40)
    assert " ".join(" ".join(screen).split()).count(cause) == 1


def test_without_a_redis_the_screen_shows_how_to_see_a_score() -> None:
    context = CONTEXT._replace(can_score=False)
    assert "set REDIS_URL" in draw(*FAILED, view=ScreenView(followed=KEYNOTE), context=context)[-1]


@pytest.mark.parametrize("followed", [None, KEYNOTE])
def test_the_plain_output_has_everything_whatever_the_height(followed: SessionKey | None) -> None:
    model = model_of(*FAILED, *[of_session("actor_failed")] * 15, followed=followed)
    report = make_report(model, NOON)
    console = Console(file=io.StringIO(), width=80, height=10)
    with console.capture() as captured:
        console.print(render_plain(report, ScreenView(followed=followed), CONTEXT, 80))
    text = captured.get()
    assert text.count("actor_failed") == (16 if followed else 0)
    assert "q quit" not in text


BEGAN = of_session(
    "anomaly_detected",
    at_s=5,
    type="SUDDEN_DROP",
    tick_at_ms=1_767_528_005_000,
    reason="2 events in 9 s, 14 were expected.",
)
ENDED = of_session("anomaly_ended", at_s=70, type="SUDDEN_DROP", duration_s=65)


def test_open_anomalies_are_counted_and_shown_with_their_sessions_and_tenants() -> None:
    shown = draw(*LINES, BEGAN, width=120, height=60)
    assert shown[1].rstrip().endswith("for 1,000 sessions · 1 with an anomaly")
    with_anomaly = [text for text in shown if "SUDDEN_DROP" in text]
    assert [text.split()[0] for text in with_anomaly] == ["acme/keynote"]
    [acme] = [text.split() for text in shown if text.startswith("acme ")]
    assert acme[-1] == "1"
    over = draw(*LINES, BEGAN, ENDED, width=120, height=60)
    assert "SUDDEN_DROP" not in "".join(over)
    assert "anomaly" not in over[1]


def test_a_followed_session_shows_the_begin_and_the_end_of_its_anomaly() -> None:
    view = ScreenView(followed=SessionKey("acme", "keynote"))
    shown = "\n".join(draw(*LINES, BEGAN, ENDED, view=view, width=120))
    assert "12:00:05  anomaly_detected" in shown
    assert "SUDDEN_DROP: 2 events in 9 s, 14 were expected." in shown
    assert "SUDDEN_DROP after 65 s" in shown


def test_a_followed_session_shows_what_its_conductor_does() -> None:
    view = ScreenView(followed=SessionKey("acme", "keynote"))
    done = [
        of_session("decision_made", type="POLL", origin="act", reason="2 events in 9 s."),
        of_session("intervention_sent", type="POLL", waited_s=0.25),
        of_session("intervention_moved", type="POLL", status="FAILED", note="no such room"),
        of_session("intervention_given_up", type="POLL", reason="late"),
        of_session("outcome_measured", type="POLL", score_before=0.25, score_after=0.5, reward=0.1),
        of_session("outcome_measured", type="HOLD", censored="gap"),
    ]
    shown = "\n".join(draw(*LINES, *done, view=view, width=120))
    for text in (
        "POLL (act): 2 events in 9 s.",
        "POLL after 0.25 s",
        "POLL FAILED: no such room",
        "POLL: late",
        "POLL: 0.25 → 0.5, reward +0.1",
        "HOLD: gap",
    ):
        assert text in shown

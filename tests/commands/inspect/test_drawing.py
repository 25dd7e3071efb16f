"""The screen, as it is drawn for terminals of any size."""

import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from conductor_actors.commands.inspect.drawing import ScreenContext, plain, render
from conductor_actors.commands.inspect.reporting import Choice, report
from conductor_actors.commands.inspect.updates import FollowedScore
from conductor_actors.commands.inspect.view import View
from conductor_actors.commands.terminal import duration, rate, share, span
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions, Signals
from tests.commands.inspect.said import (
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
SAID = (
    service(0, 7980, 10.0),
    service(5, 7985, 11.0),
    *(line("events_routed", at, events=500) for at in (0, 5)),
    line("tick_completed", 5, **TICK),
    *(actor(kind, at, handled=at) for at in (0, 5) for kind in KINDS),
    tenants(*(tenant_row(name, sessions=500) for name in ("acme", "globex")), at_s=5),
    sessions(*ROOMS, at_s=5, count=1000),
)
ELSEWHERE = ScreenContext("redis")


def drawn(
    *lines: bytes,
    view: View | None = None,
    around: ScreenContext = ELSEWHERE,
    width: int = 80,
    height: int = 24,
    after_s: float = 5,
) -> list[str]:
    view = view or View()
    model = model_of(*lines, followed=view.followed)
    known = report(model, NOON + timedelta(seconds=after_s), view.choice)
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    with console.capture() as captured:
        console.print(render(known, view, around, width, height))
    return captured.get().splitlines()


def test_the_header_tells_what_it_is_and_how_it_is_doing() -> None:
    assert [text.rstrip() for text in drawn(*SAID)[:3]] == [
        "conductor 1.2.3 · up 2 h 13 min · cpu 20% · 100 events/s · - rows/s",
        "tick 12:00:05 UTC: 300 ms behind, took 12 ms for 1,000 sessions",
        "no outage, no gap; lines from redis",
    ]


def test_actors_tenants_and_sessions_stand_in_tables_of_the_same_columns() -> None:
    screen = drawn(*SAID)
    titles = [text.split() for text in screen if "handled/s" in text]
    assert titles[0] == ["actor", "state", "mailbox", "handled/s", "oldest", "count", "failures"]
    assert titles[1][1:] == ["quarantined", "mailbox▾", "handled/s", "oldest", "takes", "sessions"]
    assert titles[2][1:] == ["state", "mailbox▾", "handled/s", "oldest", "takes", "restarts"]
    [room] = [text.split() for text in screen if text.startswith("acme/room-00")]
    assert room[1:] == ["running", "40", "1.0", "0", "ms", "10", "ms", "0"]


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (120, 50), (200, 45), (80, 18)])
def test_a_screen_is_filled_and_never_overflows(size: tuple[int, int]) -> None:
    width, height = size
    screen = drawn(*SAID, width=width, height=height)
    assert len(screen) == height
    assert max(map(len, screen)) <= width
    assert screen[-1].startswith("d mailbox")
    assert any("acme/room-00" in text for text in screen)


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (40, 10)])
def test_a_screen_that_is_far_too_small_breaks_nothing(size: tuple[int, int]) -> None:
    assert drawn(*SAID, width=size[0], height=size[1])


def test_at_80_columns_nothing_of_keys_and_titles_is_cut() -> None:
    assert "…" not in "".join(drawn(*SAID))


def test_the_cursor_can_go_through_all_sessions() -> None:
    for cursor in (0, 20, 39, 99):
        screen = drawn(*SAID, view=View(cursor=cursor))
        assert any(f"acme/room-{min(cursor, 39):02}" in text for text in screen)


def test_how_many_of_how_many_are_shown_is_said() -> None:
    assert any("of 1,000 sessions, 2 of 2 tenants" in text for text in drawn(*SAID))
    filtered = View(Choice(tenant="acme"))
    assert any("of 500 sessions of tenant acme" in text for text in drawn(*SAID, view=filtered))


@pytest.mark.parametrize(
    ("said", "alert"),
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
def test_what_somebody_should_know_is_in_the_third_line(said: Sequence[bytes], alert: str) -> None:
    assert alert in drawn(*SAID, *said)[2]


def test_silence_is_said_after_15_s_and_the_trouble_of_the_source_before_it() -> None:
    assert "heard" not in drawn(*SAID, after_s=19.9)[2]
    assert "nothing was heard for 15 s" in drawn(*SAID, after_s=20)[2]
    assert "nothing was heard yet" in drawn()[2]
    away = ScreenContext("redis", "redis: connection refused")
    assert drawn(*SAID, around=away, after_s=90)[2].startswith(
        "redis: connection refused · nothing was heard for 1 min 25 s"
    )


def test_a_service_that_drains_or_has_stopped_says_so() -> None:
    assert "draining" in drawn(*SAID, line("drain_began"))[0]
    assert "stopped" in drawn(*SAID, line("service_stopped"))[0]


def test_while_a_tenant_is_typed_it_is_shown_instead_of_the_keys() -> None:
    assert drawn(*SAID, view=View(typed="ac"))[-1].startswith("tenant (none: all): ac_")


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[31mred", "a\nb\rc", "[red]m[/red]", "\u202eabc"])
def test_a_hostile_text_can_neither_move_the_cursor_nor_break_a_line(hostile: str) -> None:
    said = (
        *SAID,
        actor(hostile),
        tenants(tenant_row(hostile)),
        sessions(row(f"acme/{hostile}", state=hostile)),
        of_session("actor_failed", f"acme/{hostile}", error=hostile),
        line("outage_began", service=hostile, error=hostile),
        line("service_stats", 5, version=hostile, vocabulary=1, uptime_s=7990, cpu_s=1),
    )
    view = View(Choice(tenant="acme"), typed=hostile)
    for chosen in (view, View(followed=SessionKey("acme", hostile))):
        screen = drawn(*said, view=chosen, around=ScreenContext(hostile, hostile), height=40)
        assert len(screen) <= 40
        assert all(char.isprintable() for text in screen for char in text)


UPDATE = FollowedScore(
    NOON,
    "keynote",
    0.61,
    "HIGH",
    Signals(12.0, 0.4, 31, 50, 9.0, 0.02),
    Contributions(0.2527, 0.1, 0.155, 0.096, -0.002),
)
KEYNOTE = SessionKey("acme", "keynote")
FAILED = (
    *SAID,
    sessions(row(mailbox_depth=3)),
    of_session("actor_failed", at_s=1, error="KeyError('a')"),
    of_session("actor_restarted", at_s=2),
)


def message(at_s: float, kind: str = "EventBatch", **keys: Any) -> bytes:
    return of_session("message_traced", at_s=at_s, kind=kind, **keys)


def test_a_followed_session_that_is_traced_has_its_last_messages() -> None:
    said = (
        *FAILED,
        *(message(number, kinds={"ChatMessage": number + 1}) for number in range(5)),
        of_session("message_traced", "acme/other", kind="Tick", score=0.1),
        message(6, kinds={"UserJoined": 2, "ChatMessage": 1}, duration_s=26e-6),
        message(7, "Tick", score=0.57, duration_s=0.0015),
        message(8, has_failed=True),
    )
    screen = [text.rstrip() for text in drawn(*said, view=View(followed=KEYNOTE))]
    begin = screen.index("its last messages")
    assert screen[begin + 3 : begin + 8] == [
        "12:00:06  EventBatch   26 µs  2 UserJoined, 1 ChatMessage",
        "12:00:07  Tick         2 ms  score 57%",
        "12:00:08  EventBatch   0 ms   failed",
        "",
        "what became of it",
    ]
    assert len(drawn(*said, view=View(followed=KEYNOTE), height=18)) <= 18
    assert drawn(*said)[-1] == drawn(*SAID)[-1]


def test_the_followed_session_has_its_score_and_what_became_of_it() -> None:
    around = ELSEWHERE._replace(update=UPDATE)
    screen = [text.rstrip() for text in drawn(*FAILED, view=View(followed=KEYNOTE), around=around)]
    assert screen[4].split()[:3] == ["acme/keynote", "running", "3"]
    assert screen[6:12] == [
        "score 61% HIGH at 12:00:00 UTC",
        "chat                  12/min    +25.3%",
        "poll                     40%    +10.0%",
        "active           31/50 users    +15.5%",
        "reactions              9/min     +9.6%",
        "leaving                 2.0%     -0.2%",
    ]
    assert screen[13:16] == [
        "what became of it",
        "12:00:01  actor_failed         KeyError('a')",
        "12:00:02  actor_restarted",
    ]


def test_of_many_incidents_the_newest_fit_the_screen() -> None:
    failures = [of_session("actor_failed", at_s=at, error=f"error {at}") for at in range(20)]
    around = ELSEWHERE._replace(update=UPDATE)
    screen = drawn(*SAID, *failures, view=View(followed=KEYNOTE), around=around)
    assert len(screen) <= 24
    assert "error 19" in screen[-2]


def test_a_cause_is_told_to_its_end_though_it_is_longer_than_a_line() -> None:
    cause = " ".join(f"word-{number}" for number in range(40))
    failed = of_session("actor_failed", error=cause)
    screen = drawn(*SAID, failed, view=View(followed=KEYNOTE), height=40)
    assert " ".join(" ".join(screen).split()).count(cause) == 1


def test_without_a_redis_it_says_how_to_see_a_score() -> None:
    around = ELSEWHERE._replace(can_score=False)
    assert "set REDIS_URL" in drawn(*FAILED, view=View(followed=KEYNOTE), around=around)[-1]


@pytest.mark.parametrize("followed", [None, KEYNOTE])
def test_once_everything_is_printed_whatever_the_height(followed: SessionKey | None) -> None:
    model = model_of(*FAILED, *[of_session("actor_failed")] * 15, followed=followed)
    known = report(model, NOON)
    console = Console(file=io.StringIO(), width=80, height=10)
    with console.capture() as captured:
        console.print(plain(known, View(followed=followed), ELSEWHERE, 80))
    text = captured.get()
    assert text.count("actor_failed") == (16 if followed else 0)
    assert "q quit" not in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (rate(None), "-"),
        (rate(0.04), "0.0"),
        (rate(12_345.6), "12,346"),
        (share(0.004), "0.4%"),
        (share(0.0), "0%"),
        (share(2.5), "250%"),
        (duration(0.0421), "42 ms"),
        (duration(59.94), "59.9 s"),
        (duration(3600), "3,600 s"),
        (duration(-0.2), "-200 ms"),
        (span(59), "59 s"),
        (span(3599), "59 min 59 s"),
        (span(90_000), "1 d 1 h"),
    ],
)
def test_figures_are_written_as_people_read_them(words: Any, expected: str) -> None:
    assert words == expected

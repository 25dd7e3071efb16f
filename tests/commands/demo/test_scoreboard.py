import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.screen import show_updates
from conductor_actors.domain.identity import prefixed
from conductor_actors.ports import UPDATES, PublishedMessage
from tests.commands.demo.boards import board_of, draw, line_of, message


def test_a_row_shows_every_signal_of_its_session() -> None:
    shown = line_of(board_of(message()), "keynote")
    assert shown.split()[1:] == [
        "█████░░░",
        "60%",
        "→",
        "▅",
        "HIGH",
        "12",
        "40%",
        "31/50",
        "9",
        "2%",
    ]


def test_the_session_with_the_lowest_score_is_first() -> None:
    board = board_of(message("good", 0.9), message("bad", 0.1), message("fair", 0.5))
    sessions = [line.split()[0] for line in draw(board).splitlines()[2:-1]]
    assert sessions == ["bad", "fair", "good"]


def test_the_header_shows_the_number_of_sessions_and_the_last_tick() -> None:
    header = draw(board_of(message("a"), message("b", at_s=5))).splitlines()[0]
    assert header == "Engagement · 2 sessions · simulated events · last tick 12:00:05 UTC"


def test_the_header_shows_that_no_score_has_come_yet() -> None:
    assert "waiting for the first scores" in draw(Scoreboard())


def test_during_an_outage_of_redis_the_header_shows_it_and_the_scores_stay() -> None:
    board = board_of(message())
    board.is_connected = False
    assert "Redis is away" in draw(board)
    assert "60%" in line_of(board, "keynote")


def test_the_last_line_shows_how_to_stop() -> None:
    assert draw(board_of(message())).splitlines()[-1] == "Ctrl-C to stop"


@pytest.mark.parametrize(
    ("score", "colour"),
    [
        (1.0, "32"),
        (0.7, "32"),
        (0.69, "38;5;141"),
        (0.5, "38;5;141"),
        (0.49, "38;5;208"),
        (0.3, "38;5;208"),
        (0.29, "31"),
    ],
)
def test_the_bar_has_the_colour_of_its_level(score: float, colour: str) -> None:
    assert f"\x1b[{colour}m█" in line_of(board_of(message(score=score)), "keynote", colours=True)


@pytest.mark.parametrize(("score", "bar"), [(0.0, "░░░░░░░░   0%"), (1.0, "████████ 100%")])
def test_the_bar_is_as_long_as_the_score_is_high(score: float, bar: str) -> None:
    assert bar in line_of(board_of(message(score=score)), "keynote")


@pytest.mark.parametrize(
    ("before", "now", "trend"), [(0.5, 0.62, "↑ +12"), (0.5, 0.42, "↓ -8"), (0.5, 0.51, "→")]
)
def test_the_trend_is_the_change_within_a_minute(before: float, now: float, trend: str) -> None:
    board = board_of(message(score=0.0), message(score=before, at_s=5), message(score=now, at_s=65))
    assert f" {trend} " in line_of(board, "keynote")


def test_the_sparkline_shows_the_last_minute_and_blanks_before_the_first_score() -> None:
    rising = [message(score=tick / 12, at_s=5 * tick) for tick in range(13)]
    assert " ▁▂▃▃▄▅▅▆▇▇██ " in line_of(board_of(*rising), "keynote")
    assert "  ▁▁▂▃▃ " in line_of(board_of(*rising[:5]), "keynote")


def test_a_repeated_or_late_update_changes_nothing() -> None:
    board = board_of(message(score=0.5, at_s=5))
    before = draw(board)
    assert board.add(message(score=0.9, at_s=5)) is None
    assert board.add(message(score=0.9, at_s=0)) is None
    assert draw(board) == before


def test_a_session_without_ticks_for_a_minute_disappears() -> None:
    board = board_of(message("over"), message("live", at_s=55))
    assert "over" in draw(board)
    board.add(message("live", at_s=60))
    assert "over" not in draw(board)


def test_a_score_of_the_year_1_is_shown() -> None:
    board = board_of(
        *(message(at_s=at_s, timestamp=f"0001-01-01T00:00:{at_s:02}.000Z") for at_s in (0, 5))
    )
    assert "60%" in line_of(board, "keynote")


def test_the_tenant_column_is_shown_if_there_are_several_tenants() -> None:
    board = board_of(message("a"), message("b"))
    assert "tenant" not in draw(board)
    board.add(message("a", tenant="acme"))
    assert "acme" in line_of(board, "a  ")
    assert sum("keynote" in line or line.startswith("a") for line in draw(board).splitlines()) == 2


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_or_wrapped(width: int) -> None:
    board = board_of(message("s" * 255, 0.4), message("t", tenant="acme"))
    lines = draw(board, width).splitlines()
    assert len(lines) == 5
    assert max(len(line) for line in lines) <= width


def test_a_narrow_terminal_omits_whole_columns_by_rank() -> None:
    board = board_of(message())
    titles = [draw(board, width).splitlines()[1].split() for width in (40, 80, 120)]
    assert titles[0] == ["session", "score", "trend"]
    assert titles[1] == ["session", "score", "trend", "category", "chat/min", "poll", "active"]
    assert titles[2][-4:] == ["active", "reactions/min", "leave", "rate"]


def test_a_low_terminal_shows_the_lowest_scores_and_counts_the_others() -> None:
    board = board_of(*(message(f"s{number:02}", number / 100) for number in range(50)))
    lines = draw(board, height=10).splitlines()
    assert len(lines) < 10
    assert lines[2].startswith("s00")
    assert "… and 45 more" in lines[-2]


@pytest.mark.parametrize(
    "session", ["\x1b[2J\x1b[31mred", "a\nb\rc", "[red]markup[/red]", "\u202eabc"]
)
def test_a_hostile_id_can_neither_move_the_cursor_nor_break_a_line(session: str) -> None:
    shown = draw(board_of(message(session)))
    assert len(shown.splitlines()) == 4
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "[red]" not in session or session in shown


@given(
    st.binary()
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_a_message_that_is_not_an_update_is_ignored(rubbish: bytes) -> None:
    assert Scoreboard().add(PublishedMessage("default", UPDATES, rubbish)) is None


@pytest.mark.parametrize(
    "wrong",
    [{"score": 1.5}, {"score": None}, {"timestamp": "noon"}, {"signals": {}}],
)
def test_an_update_with_a_wrong_value_is_ignored(wrong: dict[str, Any]) -> None:
    assert Scoreboard().add(message(**wrong)) is None


class WaitableOutput(io.StringIO):
    """An output in which a test can wait for a text."""

    def __init__(self) -> None:
        super().__init__()
        self._printed = threading.Condition()

    def write(self, text: str) -> int:
        with self._printed:
            self._printed.notify_all()
            return super().write(text)

    def wait_for(self, text: str) -> None:
        with self._printed:
            assert self._printed.wait_for(lambda: text in self.getvalue(), 10)


@pytest.fixture
def start_screen(valkey_url: str) -> Iterator[Callable[[Console], None]]:
    """Return a function that shows updates on a console until the test ends."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(console: Console) -> None:
        reader = RedisUpdateReader(valkey_url)
        readers.callback(reader.close)
        thread = threading.Thread(target=show_updates, args=(reader, console, stop))
        threads.append(thread)
        thread.start()

    with ExitStack() as readers:
        yield start
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def publish(client: redis.Redis, message: PublishedMessage) -> None:
    """Publish as soon as there is a subscriber."""
    deadline_s = time.monotonic() + 10
    while not client.publish(prefixed(message.tenant, message.name), message.body):
        assert time.monotonic() < deadline_s


def test_without_a_terminal_each_update_is_one_line_of_text(
    start_screen: Callable[[Console], None], redis_client: redis.Redis
) -> None:
    output = WaitableOutput()
    start_screen(Console(file=output, width=40))
    publish(redis_client, message())
    publish(redis_client, message("\x1b[2Jtalk", tenant="acme"))
    publish(redis_client, PublishedMessage("default", UPDATES, b"rubbish"))
    publish(redis_client, message(at_s=5))
    output.wait_for("12:00:05")
    common = "60% HIGH chat/min=12 poll=40% active=31/50 reactions/min=9 leave_rate=2%"
    assert output.getvalue().splitlines() == [
        f"2026-01-04T12:00:00Z default keynote {common}",
        f"2026-01-04T12:00:00Z acme \\x1b[2Jtalk {common}",
        f"2026-01-04T12:00:05Z default keynote {common}",
    ]


def test_on_a_terminal_the_table_follows_the_updates(
    start_screen: Callable[[Console], None], redis_client: redis.Redis
) -> None:
    output = WaitableOutput()
    start_screen(Console(file=output, width=100, height=20, force_terminal=True))
    output.wait_for("waiting for the first scores")
    publish(redis_client, message(score=0.61))
    output.wait_for("61%")
    publish(redis_client, message(score=0.62, tenant="acme"))
    output.wait_for("62%")


def test_updates_are_shown_again_after_the_connection_was_lost(
    start_screen: Callable[[Console], None], redis_client: redis.Redis
) -> None:
    output = WaitableOutput()
    start_screen(Console(file=output, width=100))
    publish(redis_client, message())
    output.wait_for("12:00:00")
    redis_client.client_kill_filter(_type="pubsub")
    publish(redis_client, message(at_s=5))
    output.wait_for("12:00:05")


def test_the_table_is_drawn_during_an_outage_of_redis() -> None:
    class StopAtFirstWait(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout
            self.set()
            return True

    output = WaitableOutput()
    console = Console(file=output, width=100, height=20, force_terminal=True)
    with closing(RedisUpdateReader(f"redis://127.0.0.1:{free_port()}")) as reader:
        show_updates(reader, console, StopAtFirstWait())
    assert "Redis is away, reconnecting" in output.getvalue()

"""Which ticks the Ticker broadcasts, in which order, and what it answers."""

import threading

import pytest

from conductor_actors.actors.messages import (
    StartTicking,
    Tick,
    TicksBroadcast,
    WatermarkReached,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.ticker import TickerActor
from conductor_actors.domain.gaps import Gap, GapMark
from conductor_actors.domain.ticks import LIVE_MS, TickPosition, TickSchedule, Watermark
from tests.actors.scripted_actors import Ref
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TIMEOUT_S = 5.0
TICK_MS = 5000
STARTED = TickPosition(AT_MS, AT_MS + TICK_MS)


class Sessions:
    """Counts as two sessions, which record what is broadcast; can be made to raise."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self.failures = 0

    def count_listening(self) -> int:
        return 2

    def broadcast(self, message: object) -> None:
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        self.messages.append(message)


class TickerHarness:
    """A Ticker with a schedule that outlives it, between a Router and two sessions."""

    def __init__(self, position: TickPosition = STARTED) -> None:
        self.schedule = TickSchedule(5, 1800, 60, position)
        self.sessions, self.router = Sessions(), RecordingMailbox()
        self.supervisor = RecordingMailbox()
        self.room = threading.Event()
        self.room.set()
        self.mailbox = ThreadMailbox()
        self.start()

    def start(self) -> None:
        context = ActorContext("ticker", self.mailbox, self.supervisor)
        self._ref: Ref = TickerActor.start(
            context, self.schedule, self.sessions, self.router, lambda: not self.room.is_set()
        )

    def reach(self, watermark: Watermark, now_ms: int | None = None) -> None:
        now_ms = watermark.at_ms if now_ms is None else now_ms
        self._ref.ask(WatermarkReached(watermark, now_ms), timeout=TIMEOUT_S)

    def ticks(self) -> list[Tick]:
        return [each for each in self.sessions.messages if isinstance(each, Tick)]

    def positions(self) -> list[TickPosition]:
        return [each.position for each in self.router.of(TicksBroadcast)]


def reached(after_ms: int, last_event_ms: int = AT_MS) -> Watermark:
    return Watermark(AT_MS + after_ms, last_event_ms)


def test_missed_ticks_are_broadcast_in_order_before_the_reply_to_the_router() -> None:
    harness = TickerHarness()
    harness.reach(reached(3 * TICK_MS + 1))
    assert [tick.at_ms for tick in harness.ticks()] == [
        AT_MS + each * TICK_MS for each in (1, 2, 3)
    ]
    assert harness.positions()[-1] == TickPosition(AT_MS + 3 * TICK_MS, AT_MS + 4 * TICK_MS)


def test_a_watermark_before_the_next_tick_broadcasts_nothing_and_is_answered() -> None:
    harness = TickerHarness()
    harness.reach(reached(TICK_MS - 1))
    assert harness.ticks() == []
    assert harness.positions() == [STARTED, STARTED]


def test_each_tick_is_broadcast_once_even_if_the_router_repeats_a_watermark() -> None:
    harness = TickerHarness()
    for _ in range(2):
        harness.reach(reached(TICK_MS))
    assert [tick.at_ms for tick in harness.ticks()] == [AT_MS + TICK_MS]


@pytest.mark.parametrize(("lag_ms", "is_live"), [(LIVE_MS, True), (LIVE_MS + 1, False)])
def test_an_old_tick_is_not_live(lag_ms: int, *, is_live: bool) -> None:
    harness = TickerHarness()
    harness.reach(reached(TICK_MS), AT_MS + TICK_MS + lag_ms)
    [tick] = harness.ticks()
    assert (tick.is_live, tick.sessions.total, tick.sessions.lag_s) == (is_live, 2, lag_ms / 1000)


def test_a_tick_has_the_gap_marks_of_its_window() -> None:
    harness = TickerHarness()
    gap = Gap("acme", "trimmed", 7, AT_MS, AT_MS + 1)
    harness.reach(Watermark(AT_MS + TICK_MS, AT_MS, (gap,)))
    assert harness.ticks()[0].marks == {"acme": GapMark("trimmed", 7)}


def test_the_schedule_starts_after_the_first_watermark_or_at_the_given_time() -> None:
    harness = TickerHarness(TickPosition())
    harness.reach(reached(1))
    assert harness.positions()[-1] == TickPosition(0, AT_MS + TICK_MS)
    told = TickerHarness(TickPosition())
    told.mailbox.tell(StartTicking(AT_MS + TICK_MS + 1))
    told.reach(reached(2 * TICK_MS))
    assert [tick.at_ms for tick in told.ticks()] == [AT_MS + 2 * TICK_MS]


def test_a_tick_waits_while_mailboxes_downstream_are_full() -> None:
    harness = TickerHarness()
    harness.room.clear()
    harness.mailbox.tell(WatermarkReached(reached(TICK_MS), AT_MS))
    assert harness.ticks() == []
    harness.room.set()
    harness.reach(reached(TICK_MS))
    assert [tick.at_ms for tick in harness.ticks()] == [AT_MS + TICK_MS]


def test_the_successor_of_a_failed_ticker_replies_and_broadcasts_the_tick() -> None:
    harness = TickerHarness()
    harness.sessions.failures = 1
    harness.mailbox.tell(WatermarkReached(reached(TICK_MS), AT_MS))
    assert isinstance(harness.supervisor.take(ChildFailed).error, ZeroDivisionError)
    harness.start()
    harness.reach(reached(TICK_MS))
    assert harness.positions()[1] == STARTED
    assert [tick.at_ms for tick in harness.ticks()] == [AT_MS + TICK_MS]

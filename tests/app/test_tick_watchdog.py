"""A collector that makes no tick although it could is found out, and no other."""

from collections.abc import Callable

import pytest

from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.app.tick_watchdog import (
    MAX_STALL_S,
    TickActivity,
    TickWatchdog,
    format_stacks,
)
from tests.support.fakes.fake_clock import FakeClock
from tests.support.log_lines import make_event

POLLS_PER_S = 2
BEGAN_MS = 1_000_000


class WatchedCollector:
    """A collector whose next tick is due in 5 s, and a watchdog."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.activity = TickActivity(BEGAN_MS + 5000, 0, is_blocked=False)
        self._began_s = self.clock()
        self.watchdog = TickWatchdog(
            lambda: self.activity, self._redis_now_ms, AwakeClock(self.clock)
        )

    def emit(self, event: str, **keys: object) -> None:
        self.watchdog.observe(make_event(event, **keys))

    def stalled_after(self, seconds: float, each_time: Callable[[], None] = lambda: None) -> float:
        """Return for how long it has stalled after this time."""
        for _ in range(round(seconds * POLLS_PER_S)):
            self.clock.advance(1 / POLLS_PER_S)
            each_time()
            stalled_s = self.watchdog.stalled_s()
        return stalled_s

    def make_tick(self) -> None:
        next_ms = self.activity.next_tick_ms or 0
        self.activity = self.activity._replace(next_tick_ms=next_ms + 5000)

    def handle_message(self) -> None:
        self.activity = self.activity._replace(handled=self.activity.handled + 1)

    def _redis_now_ms(self) -> float:
        return BEGAN_MS + (self.clock() - self._began_s) * 1000


@pytest.fixture
def collector() -> WatchedCollector:
    return WatchedCollector()


def test_a_tick_that_is_due_and_not_made_is_a_stall(collector: WatchedCollector) -> None:
    assert collector.stalled_after(5) < 1
    assert collector.stalled_after(MAX_STALL_S) >= MAX_STALL_S
    collector.make_tick()
    assert collector.stalled_after(0.5) == 0


def test_a_collector_that_never_reads_stalls(collector: WatchedCollector) -> None:
    collector.activity = collector.activity._replace(next_tick_ms=None)
    assert collector.stalled_after(MAX_STALL_S + 1) >= MAX_STALL_S


def test_a_collector_that_reads_nothing_before_the_first_entry_is_not_stalled(
    collector: WatchedCollector,
) -> None:
    collector.activity = collector.activity._replace(next_tick_ms=None)
    assert collector.stalled_after(MAX_STALL_S, lambda: collector.emit("events_read")) < 1
    assert collector.stalled_after(MAX_STALL_S + 1) >= MAX_STALL_S


def test_a_tick_that_is_broadcast_and_never_completed_is_a_stall(
    collector: WatchedCollector,
) -> None:
    collector.emit("tick_broadcast", tick_at_ms=BEGAN_MS + 5000, sessions=3)
    assert collector.stalled_after(MAX_STALL_S + 1, collector.make_tick) >= MAX_STALL_S
    collector.emit("tick_completed", tick_at_ms=BEGAN_MS + 5000)
    assert collector.stalled_after(0.5) == 0


def test_sessions_that_handle_messages_are_slow_and_not_stalled(
    collector: WatchedCollector,
) -> None:
    assert collector.stalled_after(100, collector.handle_message) == 0


def test_a_collector_that_reads_what_it_missed_is_slow_and_not_stalled(
    collector: WatchedCollector,
) -> None:
    def read() -> None:
        collector.emit("events_read", entries=1000)

    assert collector.stalled_after(100, read) == 0
    collector.emit("tick_broadcast", tick_at_ms=BEGAN_MS + 5000, sessions=3)
    assert collector.stalled_after(100, read) >= MAX_STALL_S


@pytest.mark.parametrize("service", ["redis events", "redis lease"])
def test_an_outage_of_redis_is_no_stall(collector: WatchedCollector, service: str) -> None:
    collector.emit("outage_began", service=service, error="refused")
    assert collector.stalled_after(100) == 0
    collector.emit("outage_ended", service=service, lasted_s=100)
    assert collector.stalled_after(20) < MAX_STALL_S
    assert collector.stalled_after(20) >= MAX_STALL_S


def test_an_outage_of_the_database_excuses_only_while_rows_can_be_stored_nowhere(
    collector: WatchedCollector,
) -> None:
    collector.emit("outage_began", service="database", error="refused")
    collector.activity = collector.activity._replace(is_blocked=True)
    assert collector.stalled_after(100) == 0
    collector.activity = collector.activity._replace(is_blocked=False)
    assert collector.stalled_after(40) >= MAX_STALL_S


def test_a_suspension_of_the_process_is_no_stall(collector: WatchedCollector) -> None:
    collector.stalled_after(10)
    collector.clock.advance(3600)
    assert collector.watchdog.stalled_s() < 10


def test_no_tick_is_due_is_no_stall(collector: WatchedCollector) -> None:
    collector.activity = collector.activity._replace(next_tick_ms=BEGAN_MS + 3_600_000)
    assert collector.stalled_after(100) == 0


def test_the_stacks_name_each_thread() -> None:
    assert "MainThread:" in format_stacks()
    assert "format_stacks()" in format_stacks()

"""Readiness follows the ticks of the sessions that there are."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.observability.lifecycle import LifecycleTracker
from tests.support.fakes.fake_clock import FakeClock
from tests.support.log_lines import make_event


class Ticks(NamedTuple):
    """Ticks of a collector that runs, and why it is not ready."""

    clock: FakeClock
    observe: Callable[..., None]
    obstacles: Callable[[], Sequence[str]]

    def emit(self, event: str, **keys: object) -> None:
        self.observe(make_event(event, **keys))


@pytest.fixture(params=["run", "collect"])
def ticks(request: pytest.FixtureRequest) -> Ticks:
    clock = FakeClock()
    if request.param == "collect":
        lifecycle = LifecycleTracker(clock)
        lifecycle.observe(make_event("service_started"))
        return Ticks(clock, lifecycle.observe, lambda: lifecycle.status().obstacles)
    progress = CollectorProgress(clock)

    def obstacles() -> Sequence[str]:
        progress.record_start()  # events are read
        return progress.status().obstacles

    return Ticks(clock, progress.observe, obstacles)


def test_a_tick_that_takes_too_long_makes_the_collector_not_ready_until_it_is_completed(
    ticks: Ticks,
) -> None:
    assert ticks.obstacles() == []
    ticks.emit("tick_broadcast", tick_at_ms=5000, sessions=3, lag_s=0.5)
    ticks.clock.advance(14)
    assert ticks.obstacles() == []
    ticks.clock.advance(2)
    ticks.emit("tick_broadcast", tick_at_ms=10_000, sessions=3, lag_s=0.5)
    assert ticks.obstacles() == ["collector: ticks are 16 s late"]
    ticks.emit("tick_completed", tick_at_ms=10_000, lag_s=0.5, duration_s=0.1)
    assert ticks.obstacles() == []


def test_a_collector_that_catches_up_is_not_ready(ticks: Ticks) -> None:
    ticks.emit("tick_broadcast", tick_at_ms=5000, sessions=3, lag_s=60)
    assert ticks.obstacles() == ["collector: ticks are 60 s late"]
    ticks.emit("tick_completed", tick_at_ms=5000, lag_s=60, duration_s=1)
    assert ticks.obstacles() == ["collector: ticks are 61 s late"]
    ticks.emit("tick_broadcast", tick_at_ms=10_000, sessions=3, lag_s=1)
    ticks.emit("tick_completed", tick_at_ms=10_000, lag_s=1, duration_s=1)
    assert ticks.obstacles() == []


def test_a_collector_whose_sessions_are_over_is_ready(ticks: Ticks) -> None:
    ticks.emit("tick_broadcast", tick_at_ms=5000, sessions=3, lag_s=0)
    ticks.clock.advance(60)
    ticks.emit("events_routed", sessions=0)
    assert ticks.obstacles() == []
    ticks.emit("tick_broadcast", tick_at_ms=10_000, sessions=3, lag_s=60)
    ticks.emit("tick_completed", tick_at_ms=10_000, lag_s=60, duration_s=1)
    ticks.clock.advance(16)
    assert ticks.obstacles() == []


def test_a_collector_that_makes_no_further_tick_for_its_sessions_is_not_ready(
    ticks: Ticks,
) -> None:
    for tick_at_ms in (60_000, 120_000):
        ticks.emit("tick_broadcast", tick_at_ms=tick_at_ms, sessions=3, lag_s=0)
        ticks.emit("tick_completed", tick_at_ms=tick_at_ms, lag_s=0, duration_s=0)
    ticks.emit("events_routed", sessions=3)
    ticks.clock.advance(74)
    assert ticks.obstacles() == []
    ticks.clock.advance(2)
    assert ticks.obstacles() == ["collector: ticks are 16 s late"]
    ticks.emit("events_routed", sessions=0)
    assert ticks.obstacles() == []

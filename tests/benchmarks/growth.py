"""What more sessions cost: each event, each tick, memory; up to 100,000 of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Final, NamedTuple

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.audience import Audience, audience
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.ingest import add
from tests.benchmarks.phases import cost_us, idle
from tests.benchmarks.ticks import finished_s
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World

FEW: Final = (100, 1_000)
MANY: Final = 100_000
EVENTS: Final = 200_000
TICK_S: Final = 10  # of 100,000 sessions; so that there is rest between two, however slow they are
WINDOW_S: Final = 60
AGO_S: Final = 35.0  # what came so long ago is still read at the start, and soon forgotten
ACTIVE_SHARE: Final = 0.1  # of the sessions, each minute
BEATS_PER_S: Final = 5


class Crowd(NamedTuple):
    """What 100,000 sessions cost."""

    event_us: tuple[float, ...]
    ticks_s: tuple[float, ...]
    rss_bytes: int


def growth(bench: Bench) -> Iterator[Figure]:
    """One event at 100, 1,000 and 100,000 sessions; a tick and the memory of the most."""
    bench.not_quick()
    costs = {sessions: _few(bench, sessions) for sessions in FEW}
    for sessions, each in costs.items():
        yield Figure(f"one event, streams, {sessions:,} sessions", "µs", each)
    crowd = _many(bench)
    what = f"{MANY:,} sessions"
    yield Figure(f"one event, streams, {what}", "µs", crowd.event_us)
    name = f"cost of an event, {MANY:,} sessions against {FEW[0]:,}"
    yield Figure(name, "µs", crowd.event_us, costs[FEW[0]], Target(1.5, RATIO))
    note = "from its instant until stored and published"
    name = f"a tick of {what}, a tenth active a minute"
    yield Figure(name, "s", crowd.ticks_s, target=Target(5, "s"), note=note)
    yield Figure(f"memory of all, {what}", "MB", (crowd.rss_bytes / 1e6,))


def _few(bench: Bench, sessions: int) -> tuple[float, ...]:
    world = bench.world
    world.clear()
    with world.collecting(TICK_S=bench.tick_s) as collector:
        made.send(world.redis_url, made.added(bulk(sessions, sessions, seed=1000)))
        collector.wait_tick(0, sessions)
        collector.settle()
        return tuple(_event_us(world, collector, sessions, run) for run in range(bench.few))


def _many(bench: Bench) -> Crowd:
    """Begin all sessions by events that soon leave the window, so that they are idle."""
    world = bench.world
    world.clear()
    old_ms = int(time.time() - AGO_S) * 1000
    made.send(world.redis_url, made.added(bulk(2 * MANY, MANY, seed=1000), old_ms))
    with (
        audience(world.redis_url) as listener,
        world.collecting(TICK_S=str(TICK_S)) as collector,
    ):
        collector.wait_tick(old_ms + WINDOW_S * 1000, MANY)
        collector.settle()
        with _some_active(world):
            ticks_s = tuple(_tick_s(collector, listener) for _ in range(bench.few))
        idle(collector)
        rss_bytes = collector.rss_bytes()
        runs = range(bench.few)
        event_us = tuple(_event_us(world, collector, MANY, run) for run in runs)
    return Crowd(event_us, ticks_s, rss_bytes)


def _event_us(world: World, collector: Watched, sessions: int, run: int) -> float:
    packed = made.added(bulk(EVENTS, sessions, seed=run))
    return cost_us(collector, partial(add, world, collector, packed), EVENTS)


def _tick_s(collector: Watched, listener: Audience) -> float:
    rows = collector.total("batch_written", "rows")
    listener.forget()
    instant_s: float = collector.wait_tick(time.time() * 1000, MANY)["tick_at_ms"] / 1000
    done_s = finished_s(collector, listener, rows + MANY, MANY)
    collector.settle()
    return done_s - instant_s


@contextmanager
def _some_active(world: World) -> Iterator[None]:
    """Let a tenth of the sessions have an event each minute, evenly over it."""
    stop = threading.Event()
    events = [*bulk(MANY, MANY, seed=2000)]
    at_once = int(MANY * ACTIVE_SHARE / 60 / BEATS_PER_S)

    def live() -> None:
        dice = Random(0)
        while not stop.wait(1 / BEATS_PER_S):
            made.send(world.redis_url, made.added(dice.choices(events, k=at_once)))

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

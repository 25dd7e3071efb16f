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
from tests.benchmarks.phases import added_us, cost_us
from tests.benchmarks.ticks import finished_s
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World

FEW: Final = 100
MANY: Final = 100_000
EVENTS: Final = 200_000
TWICE: Final = range(2)  # because each takes half a minute
TICK_S: Final = 10  # of 100,000 sessions; so that there is rest between two, however slow they are
WINDOW_S: Final = 60
AGO_S: Final = 45.0  # what came so long ago is still read at the start, and soon forgotten
ACTIVE_SHARE: Final = 0.1  # of the sessions, each minute
BEATS_PER_S: Final = 5


class Crowd(NamedTuple):
    """What many sessions cost."""

    event_us: tuple[float, ...]
    ticks_s: tuple[float, ...]
    rss_bytes: int


def growth(bench: Bench) -> Iterator[Figure]:
    """One event at 100 and at 100,000 sessions; a tick and the memory of the most."""
    bench.not_quick()
    few, crowd = _few(bench), _many(bench)
    what = f"{MANY:,} sessions"
    name = f"one event, streams, {what} against {FEW:,}"
    yield Figure(name, "µs", crowd.event_us, few, Target(1.5, RATIO))
    note = "from its instant until stored and published"
    name = f"a tick of {what}, a tenth active a minute"
    yield Figure(name, "s", crowd.ticks_s, target=Target(5, "s"), note=note)
    yield Figure(f"memory of all, {what}", "MB", (crowd.rss_bytes / 1e6,))


def _few(bench: Bench) -> tuple[float, ...]:
    world = bench.world
    world.clear()
    with world.collecting(TICK_S=bench.tick_s) as collector:
        made.send(world.redis_url, made.added(bulk(FEW, FEW, seed=1000)))
        collector.wait_tick(0, FEW)
        collector.settle()
        costs = []
        for run in TWICE:
            packed = made.added(bulk(EVENTS, FEW, seed=run))
            costs.append(cost_us(collector, partial(add, world, collector, packed), EVENTS))
    return tuple(costs)


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
        cpu_s = collector.cpu_s()
        with _some_active(world):
            ticks_s = tuple(_tick_s(collector, listener) for _ in TWICE)
        tick_cpu_s = (collector.cpu_s() - cpu_s) / len(ticks_s)
        rss_bytes = collector.rss_bytes()
        event_us = []
        for run in TWICE:
            packed = made.added(bulk(EVENTS, MANY, seed=run))
            bring = partial(add, world, collector, packed)
            event_us.append(added_us(tick_cpu_s, collector, bring, EVENTS))
    return Crowd(tuple(event_us), ticks_s, rss_bytes)


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

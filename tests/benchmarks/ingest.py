"""What one event costs, beside what merely reading and decoding it costs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.events import Event, Packed
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.phases import cost_us, wait_routed
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World

THREE: Final = Target(3, RATIO)
FIVE: Final = Target(5, RATIO)
PUBLISHED_PER_S: Final = 50_000


def streams(bench: Bench) -> Iterator[Figure]:
    """One event, read from streams, of many sessions that have all begun."""
    sessions, events = (2_000, 50_000) if bench.is_quick else (10_000, 100_000)
    ours, limit = _read_beside_the_limit(
        bench, sessions, lambda run: bulk(events, sessions, seed=run)
    )
    what = f"one event, streams, {sessions:,} sessions"
    yield Figure(what, "µs", ours, limit, THREE)


def hot(bench: Bench) -> Iterator[Figure]:
    """One event of a session that takes them all."""
    events = 50_000 if bench.is_quick else 100_000
    ours, limit = _read_beside_the_limit(
        bench, 1, lambda run: made.hot(events, f"hot-{run}", seed=run)
    )
    yield Figure("one event, one hot session", "µs", ours, limit, THREE)


def pubsub(bench: Bench) -> Iterator[Figure]:
    """One event, heard on pub/sub, of many sessions that have all begun."""
    sessions, events = (2_000, 50_000) if bench.is_quick else (10_000, 100_000)
    world = bench.world
    world.clear()
    ours, limit = [], []
    with world.collecting(TICK_S=bench.tick_s, TRANSPORT="pubsub") as collector:
        made.send(world.redis_url, made.published(bulk(sessions, sessions, seed=1000)))
        collector.wait_tick(0, sessions)
        collector.settle()
        for run in range(bench.runs):
            packed = made.published(bulk(events, sessions, seed=run))
            with _null(world, "pubsub", events) as finished:
                due = sessions + (run + 1) * events
                bring = partial(_publish, world, packed, collector, due)
                ours.append(cost_us(collector, bring, events))
                limit.append(finished() / events * 1e6)
        _refuse_gaps(collector)
    what = f"one event, pub/sub, {sessions:,} sessions"
    note = f"at {PUBLISHED_PER_S:,}/s"
    yield Figure(what, "µs", tuple(ours), tuple(limit), FIVE, note)


def _read_beside_the_limit(
    bench: Bench, sessions: int, events_of: Callable[[int], Iterator[Event]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure, by turns, the collector and the limit reading the same entries."""
    world = bench.world
    world.clear()
    ours, limit = [], []
    with world.collecting(TICK_S=bench.tick_s) as collector:
        made.send(world.redis_url, made.added(bulk(sessions, sessions, seed=1000)))
        collector.wait_tick(0, sessions)
        collector.settle()
        for run in range(bench.runs):
            packed = made.added(events_of(run))
            began_ms = time.time() * 1000
            ours.append(cost_us(collector, partial(add, world, collector, packed), packed.events))
            with _null(world, "streams", packed.events, f"{began_ms:.0f}-0") as finished:
                limit.append(finished() / packed.events * 1e6)
        wait_routed(collector, sessions + bench.runs * packed.events)
    return tuple(ours), tuple(limit)


def add(world: World, process: Watched, packed: Packed) -> None:
    """Add events while the process is stopped: it finds them lying there."""
    with process.stopped():
        made.send(world.redis_url, packed)


def _publish(world: World, packed: Packed, collector: Watched, due: int) -> None:
    made.send(world.redis_url, packed, PUBLISHED_PER_S)
    wait_routed(collector, due)


def _refuse_gaps(collector: Watched) -> None:
    gaps = collector.all("gap_detected")
    assert not gaps, f"events were lost, so the figures are none: {gaps[0]}"


@contextmanager
def _null(world: World, transport: str, *arguments: object) -> Iterator[Callable[[], float]]:
    """Run the limit; the block gets a function that waits and gives its CPU seconds."""
    command = [sys.executable, "-m", "tests.benchmarks.null", transport, world.redis_url]
    process = subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    try:
        yield lambda: float(json.loads(process.communicate(timeout=60)[0])["cpu_s"])
    finally:
        process.kill()
        process.communicate()

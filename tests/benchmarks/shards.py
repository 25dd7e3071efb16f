"""How many more events two shards take than one, on two cores."""

import os
import time
from collections.abc import Iterator
from typing import Final

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.events import Packed
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.phases import wait_routed
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import Unmeasured, World

SESSIONS: Final = 1_000
EVENTS: Final = 300_000
LOOK_S: Final = 0.02
WORKS: Final = 0.2  # of one core: less is waiting
PATIENCE_S: Final = 60.0


def shards(bench: Bench) -> Iterator[Figure]:
    """Both read the same events, by turns; what counts is the wall clock."""
    bench.not_quick()
    if len(os.sched_getaffinity(0)) < 2:
        raise Unmeasured("needs two cores")
    runs = range(bench.few)
    packed = [made.added(bulk(EVENTS, SESSIONS, seed=run)) for run in runs]
    found = [
        (_events_per_s(bench.world, 1, each), _events_per_s(bench.world, 2, each))
        for each in packed
    ]
    one, two = zip(*found, strict=True)
    yield Figure("events/s, 2 shards against 1", "/s", two, one, Target(1.6, RATIO, is_least=True))


def _events_per_s(world: World, count: int, packed: Packed) -> float:
    world.clear()
    with world.collecting("--shards", str(count), TICK_S="5") as collector:
        made.send(world.redis_url, made.added(bulk(SESSIONS, SESSIONS, seed=1000)))
        wait_routed(collector, SESSIONS)
        collector.settle()
        with collector.stopped():
            made.send(world.redis_url, packed)
        wall_s = _busy_s(collector)
        wait_routed(collector, SESSIONS + packed.events)
    return packed.events / wall_s


def _busy_s(collector: Watched) -> float:
    """Measure for how long it works on what it found; a tick after that is not part of it."""
    began_s = last_s = time.monotonic()
    cpu_s = collector.cpu_s()
    while time.monotonic() - last_s < 10 * LOOK_S:
        looked_s = time.monotonic()
        assert looked_s - began_s < PATIENCE_S
        time.sleep(LOOK_S)
        before_s, cpu_s = cpu_s, collector.cpu_s()
        if cpu_s - before_s > WORKS * (time.monotonic() - looked_s):
            last_s = time.monotonic()
    return last_s - began_s

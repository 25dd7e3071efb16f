"""What one event costs the splitter, from its stream until it is in the block of its partition."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.events import Packed
from tests.benchmarks.figures import Bench, Figure, Target
from tests.benchmarks.watched import Watched, watched
from tests.benchmarks.world import World

PARTITIONS: Final = 64
IDLE_S: Final = 3.0
LIMITS: Final = {
    "TENANT_EVENTS_PER_S": "1000000",
    "TENANT_SESSIONS": "1000000",
    "SESSION_EVENTS_PER_S": "1000000",
}


def splitter(bench: Bench) -> Iterator[Figure]:
    """Read events that lie in the streams; what reading nothing costs is taken off."""
    sessions, events = (2_000, 50_000) if bench.is_quick else (10_000, 200_000)
    what = f"one event, split into {PARTITIONS} partitions, {sessions:,} sessions"
    runs_us = _cost_us(bench, sessions, events, {})
    yield Figure(what, "µs", runs_us, target=Target(3, "µs"))
    runs_us = _cost_us(bench, sessions, events, LIMITS)
    yield Figure(f"{what}, with limits of tenants", "µs", runs_us)


def _cost_us(bench: Bench, sessions: int, events: int, limits: dict[str, str]) -> tuple[float, ...]:
    bench.world.clear()
    with _splitting(bench.world, limits) as process:
        made.send(bench.world.redis_url, made.added(bulk(sessions, sessions, seed=1000)))
        _wait_split(process, sessions)
        process.settle()
        return tuple(
            _run_us(
                bench.world,
                process,
                made.added(bulk(events, sessions, seed=run)),
                sessions + (run + 1) * events,
            )
            for run in range(bench.runs)
        )


def _run_us(world: World, process: Watched, packed: Packed, due: int) -> float:
    """Measure the CPU time of events until all that are due were split."""
    began_s, cpu_s = time.monotonic(), process.cpu_s()
    time.sleep(IDLE_S)
    idle = (process.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    with process.stopped():
        made.send(world.redis_url, packed)
        began_s, cpu_s = time.monotonic(), process.cpu_s()
    _wait_split(process, due)
    process.settle()
    spent_s = process.cpu_s() - cpu_s - idle * (time.monotonic() - began_s)
    return spent_s / packed.events * 1e6


def _wait_split(process: Watched, events: int) -> None:
    process.wait(lambda: process.total("events_read", "entries") >= events, f"{events} events")


@contextmanager
def _splitting(world: World, limits: dict[str, str]) -> Iterator[Watched]:
    settings = world.variables() | {"CONDUCTOR_PARTITIONS": str(PARTITIONS)}
    settings["CONDUCTOR_LOG_LEVEL"] = "debug"  # a line a second says how many were read
    settings |= {f"CONDUCTOR_{name}": value for name, value in limits.items()}
    command = [sys.executable, "-m", "tests.support.splitter_program"]
    with watched(command, settings, world.folder) as process:
        process.wait(lambda: "splitter_started" in process.lines, "its start")
        yield process

"""What one tick costs, and how long it takes until its rows are committed and published."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import starmap
from typing import Final, NamedTuple

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.audience import Audience, audience
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.watched import Watched, at_s
from tests.benchmarks.world import World

HANDED_TO: Final = ("WriterActor", "PublisherActor")  # whose threads' work is not the tick's own
LONGEST_S: Final = 60.0
EVENTS_EACH: Final = 10


class Sample(NamedTuple):
    """CPU time by now: of the whole process, and of all threads but Writer's and Publisher's."""

    at_s: float
    cpu_s: float
    scoring_cpu_s: float

    @classmethod
    def of(cls, process: Watched) -> "Sample":
        return cls(time.monotonic(), process.cpu_s(), process.threads_cpu_s(*HANDED_TO))

    def since(self, other: "Sample") -> "Sample":
        return Sample(*starmap(float.__sub__, zip(self, other, strict=True)))


class Tick(NamedTuple):
    """What one took. CPU time without that of waiting, wall time from the tick's instant on."""

    cpu_s: float
    scoring_cpu_s: float
    wall_s: float
    limit_cpu_s: float
    limit_wall_s: float


def ticks(bench: Bench) -> Iterator[Figure]:
    """Ticks of many sessions with something in their windows."""
    sessions = 1_999 if bench.is_quick else 9_999  # no multiple of the writer's batch
    world = bench.world
    world.clear()
    tick_s = "2" if bench.is_quick else "5"
    with audience(world.redis_url) as listener, world.collecting(TICK_S=tick_s) as collector:
        made.send(world.redis_url, made.added(bulk(EVENTS_EACH * sessions, sessions)))
        collector.wait_tick(time.time() * 1000, sessions)
        collector.tidy()
        found = [_one(world, collector, listener, sessions, number) for number in range(bench.runs)]
    cpu, scoring, wall, limit_cpu, limit_wall = zip(*found, strict=True)
    what = f"a tick of {sessions:,} sessions"
    each_us = tuple(value / sessions * 1e6 for value in scoring)
    yield Figure(f"{what}, until handed over, a session", "µs", each_us, target=Target(25, "µs"))
    ratio = Target(2.5, RATIO)
    yield Figure(f"{what}, stored and published, wall", "s", wall, limit_wall, ratio)
    yield Figure(f"{what}, stored and published, CPU", "s", cpu, limit_cpu)
    yield Figure(f"{what}, stored and published", "s", wall, target=Target(1.5, "s"))


def _one(world: World, collector: Watched, listener: Audience, sessions: int, number: int) -> Tick:
    collector.settle()
    before, rows = Sample.of(collector), collector.total("batch_written", "rows")
    listener.forget()
    instant_s = collector.wait_tick(time.time() * 1000, sessions)["tick_at_ms"] / 1000
    done_s = finished_s(collector, listener, rows + sessions, sessions)
    collector.settle()
    after = Sample.of(collector)
    limit = _limit(world, sessions, number)
    idle, busy = Sample.of(collector).since(after), after.since(before)
    waiting = busy.at_s / idle.at_s
    return Tick(
        busy.cpu_s - idle.cpu_s * waiting,
        busy.scoring_cpu_s - idle.scoring_cpu_s * waiting,
        done_s - instant_s,
        limit["cpu_s"],
        limit["wall_s"],
    )


def finished_s(collector: Watched, listener: Audience, rows: int, messages: int) -> float:
    """Wait until so many rows in all are stored and so many messages heard; say when."""
    collector.wait(
        lambda: sum(line["rows"] for line in collector.lines.get("batch_written", ())) >= rows,
        f"{rows} rows",
    )
    heard_s = listener.heard_at_s(messages, LONGEST_S)
    return max(heard_s, at_s(collector.all("batch_written")[-1]))


def _limit(world: World, sessions: int, number: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.tick_limit"]
    command += [world.database_url, world.redis_url, str(sessions), str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LONGEST_S)
    found: dict[str, float] = json.loads(done.stdout)
    return found

"""What live scores notice of 50 exports: by how much the ticks of nine tenants are delayed.

Delays are from a tick's instant until somebody who listens has heard the tenant's last score of it.
Exports are of all rows of five of these tenants; their clients read as fast as they can, on the
same cores. Rounds without and with exports alternate, in one run of the service.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from tests.benchmarks.downloads import EXPORTED_TENANTS, EXPORTS, PATIENCE_S
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.isolation import OTHERS, TICK_S, Ears, Sender
from tests.benchmarks.raw_redis import RawRedis, command
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World
from tests.support.past_sessions import PastSessions, store_past_sessions

PAST: Final = PastSessions(400, 400, 100, 5760, EXPORTED_TENANTS)  # 2.3 million rows
FEW_PAST: Final = PastSessions(100, 100, 50, 1000, EXPORTED_TENANTS)
LAYOUTS: Final = {"one process": ((),), "two processes": (("collect",), ("dashboard",))}


class Round(NamedTuple):
    """The delays of ticks, and what was exported meanwhile."""

    delays_s: list[float]
    megabytes_per_s: float = 0.0
    running: float = 0.0

    def p(self, hundredth: int) -> float:
        return statistics.quantiles(self.delays_s, n=100)[hundredth - 1]


def exports(bench: Bench) -> Iterator[Figure]:
    """With collector and dashboard in one process, and in one each."""
    world, past = bench.world, FEW_PAST if bench.is_quick else PAST
    world.clear()
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE sessions, session_titles, event_titles")
    store_past_sessions(world.database_url, past)
    length_s = 10.0 if bench.is_quick else 15.0
    for what, commands in (
        ("one process", ((),)),
        ("two processes", (("collect",), ("dashboard",))),
    ):
        alone, beside = _rounds(world, commands, length_s, bench.runs)
        note = (
            f"p50 {_median(beside, 50):.3f} s, alone {_median(alone, 50):.3f} s; "
            f"{statistics.mean(each.running for each in beside):.0f} exports at once, "
            f"{statistics.mean(each.megabytes_per_s for each in beside):.1f} MB/s"
        )
        yield Figure(
            f"p99 tick delay beside {EXPORTS} exports, {what}",
            "s",
            tuple(each.p(99) for each in beside),
            tuple(each.p(99) for each in alone),
            Target(1.5, RATIO),
            note,
        )


def _median(rounds: list[Round], hundredth: int) -> float:
    return statistics.median(each.p(hundredth) for each in rounds)


def _rounds(
    world: World, commands: tuple[tuple[str, ...], ...], length_s: float, count: int
) -> tuple[list[Round], list[Round]]:
    port = free_port()
    settings = {"TICK_S": str(TICK_S), "TENANTS": ",".join(OTHERS), "HTTP_PORT": str(port)}
    settings |= {"METRICS_PORT": "0"}
    with redis.Redis.from_url(world.redis_url) as client:
        client.flushall()
    alone, beside = [], []
    with RawRedis(world.redis_url, patience_s=None) as line, _running(world, commands, settings):
        line.pipeline(command("PSUBSCRIBE", "*:engagement:update"), 1)
        ears = Ears(line)
        with Sender(world.redis_url, "others").sending():
            time.sleep(2 * TICK_S + 5)
            for _ in range(count):
                alone.append(Round(_delays(ears, length_s)))
                with _exporting(port) as exporters:
                    delays_s = _delays(ears, length_s)
                beside.append(Round(delays_s, *exporters.result))
                time.sleep(2 * TICK_S)
    return alone, beside


@contextmanager
def _running(
    world: World, commands: tuple[tuple[str, ...], ...], settings: dict[str, str]
) -> Iterator[list[Watched]]:
    first, *others = commands
    with world.running(*first, **settings) as process:
        if not others:
            yield [process]
            return
        with _running(world, tuple(others), settings) as more:
            yield [process, *more]


def _delays(ears: Ears, length_s: float) -> list[float]:
    began_s = time.time()
    time.sleep(length_s)
    ended_s = time.time()
    time.sleep(2 * TICK_S)  # for the last ticks to be heard
    return ears.delays_s(began_s, ended_s)


class Exporters:
    """A process with the clients; `result` is the megabytes a second, and how many ran at once."""

    result = (0.0, 0.0)


@contextmanager
def _exporting(port: int) -> Iterator[Exporters]:
    """Run the exports for as long as the block; wait until all of them have begun."""
    pipe = subprocess.PIPE
    arguments = [sys.executable, "-m", "tests.benchmarks.downloads", f"http://127.0.0.1:{port}"]
    process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True)
    exporters = Exporters()
    try:
        assert process.stdout is not None
        begun = process.stdout.readline()
        assert begun == "begun\n", "not all exports began"
        yield exporters
    finally:
        found: dict[str, Any] = json.loads(process.communicate("stop", PATIENCE_S)[0] or "{}")
        if found:
            exporters.result = found["megabytes_per_s"], found["running"]

"""What partitions cost: an event on three hosts against one, and the start of a partition."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Final

import msgspec
import psutil  # type: ignore[import-untyped]

from conductor_actors.adapters.redis.partitions.block_writer import BlockWriter
from conductor_actors.app.partition_collector import HostServices, PartitionCollector
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST, Interval
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.domain.partitions.splitting import SplitRules, Splitter
from conductor_actors.settings import Settings
from conductor_actors.simulate import bulk
from tests.benchmarks.events import Event
from tests.benchmarks.figures import RATIO, Bench, Figure, Target
from tests.benchmarks.partition_host import Progress
from tests.benchmarks.world import World

PARTITIONS: Final = 12
SESSIONS: Final = 1_000
PER_READ: Final = 2_000
HOSTS: Final = 3
MAX_WAIT_S: Final = 60.0
LOOK_S: Final = 0.005
SETTLED_S: Final = 0.5


def partitions(bench: Bench) -> Iterator[Figure]:
    """Hosts read blocks that are there before they run, by turns with one host."""
    events = 50_000 if bench.is_quick else 200_000
    three, one = [], []
    for run in range(bench.few):
        made = list(bulk(events, SESSIONS, seed=run))
        three.append(_cost_us(bench.world, HOSTS, made))
        one.append(_cost_us(bench.world, 1, made))
    what = f"one event of {SESSIONS:,} sessions, three hosts against one"
    note = f"CPU time of the hosts, {PARTITIONS} partitions"
    yield Figure(what, "µs", tuple(three), tuple(one), Target(1.15, RATIO), note)
    starts_s = tuple(_starts_s(bench.world, bench.runs))
    yield Figure("start of a partition with 1,000 sessions", "s", starts_s, target=Target(0.3, "s"))


class _Blocks:
    """Writes events as the blocks of partitions, as of now."""

    def __init__(self, world: World, count: int) -> None:
        self._splitter = Splitter(SplitRules(count, IntakeRules()))
        self._writer = BlockWriter([world.redis_url], count)
        self.close = self._writer.close

    def write(self, events: Sequence[Event]) -> None:
        now_ms, frontier = int(time.time() * 1000), self._splitter.frontier
        first_tick_ms = now_ms if frontier == FIRST else None
        for begin in range(0, len(events), PER_READ):
            entries = [
                (now_ms, number, name, body)
                for number, (name, body) in enumerate(events[begin : begin + PER_READ], begin)
            ]
            end: Frontier = now_ms, begin + len(entries)
            read = Interval(frontier, end, now_ms, first_tick_ms=first_tick_ms)
            self._writer.write(self._splitter.split(entries, read))
            first_tick_ms = None


class _Host:
    """A process with the collectors of some partitions."""

    def __init__(self, world: World, numbers: Sequence[int]) -> None:
        arguments = map(str, (PARTITIONS, *numbers))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.partition_host", *arguments],
            env=os.environ | world.variables() | {"CONDUCTOR_TICK_S": "5"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.progress = Progress(0, 0, 0)
        threading.Thread(target=self._follow, daemon=True).start()
        self.process = psutil.Process(self._process.pid)

    def cpu_s(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _follow(self) -> None:
        for line in self._process.stdout or ():
            self.progress = msgspec.json.decode(line, type=Progress)


def _cost_us(world: World, count: int, events: Sequence[Event]) -> float:
    """Return the CPU time that `count` hosts need for one event."""
    world.clear()
    with closing(_Blocks(world, PARTITIONS)) as blocks, _hosts(world, count) as hosts:
        _wait(hosts, lambda found: found.running == PARTITIONS)
        blocks.write(list(bulk(SESSIONS, SESSIONS)))
        _wait(hosts, lambda found: found.entries == SESSIONS)
        for host in hosts:
            host.process.suspend()
        blocks.write(events)
        before_s = sum(host.cpu_s() for host in hosts)
        for host in hosts:
            host.process.resume()
        _wait(hosts, lambda found: found.entries == SESSIONS + len(events))
        time.sleep(SETTLED_S)  # until the sessions have handled what was read last
        return (sum(host.cpu_s() for host in hosts) - before_s) / len(events) * 1e6


@contextmanager
def _hosts(world: World, count: int) -> Iterator[list[_Host]]:
    with ExitStack() as cleanup:
        hosts = [_Host(world, range(number, PARTITIONS, count)) for number in range(count)]
        for host in hosts:
            cleanup.callback(host.kill)
        yield hosts


def _wait(hosts: Sequence[_Host], is_reached: Callable[[Progress], bool]) -> None:
    until_s = time.monotonic() + MAX_WAIT_S
    while True:
        found = [host.progress for host in hosts]
        total = Progress(
            sum(each.running for each in found),
            sum(each.sessions for each in found),
            sum(each.entries for each in found),
        )
        if is_reached(total):
            return
        assert time.monotonic() < until_s, f"the hosts are at {total}"
        time.sleep(LOOK_S)


def _starts_s(world: World, runs: int) -> Iterator[float]:
    """Return how long a partition takes from its start until it reads on, from a checkpoint."""
    world.clear()
    settings = Settings(tick_s=5, checkpoint_s=3600)
    services = HostServices(settings, ServerUrls(world.redis_url, world.database_url))
    services.prepare(threading.Event())
    partition = Partition(0, 1)
    with closing(_Blocks(world, 1)) as blocks, closing(services):
        blocks.write(list(bulk(10 * SESSIONS, SESSIONS)))
        for run in range(runs + 1):
            collector = PartitionCollector(services, partition, "host", lambda _: False)
            began_s = time.perf_counter()
            collector.start()
            while collector.status().state != "running":
                time.sleep(LOOK_S / 10)
            took_s = time.perf_counter() - began_s
            while collector.status().sessions < SESSIONS:
                time.sleep(LOOK_S)
            collector.stop()
            assert collector.wait(MAX_WAIT_S)
            if run > 0:  # the first had no checkpoint
                yield took_s

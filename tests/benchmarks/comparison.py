"""The same events and the same window by others, each in a process of its own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec
from typing import Final, NamedTuple

from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.events import Packed
from tests.benchmarks.figures import Bench, Figure
from tests.benchmarks.ingest import add
from tests.benchmarks.phases import cost_us, tick_cpu_s, wait_routed
from tests.benchmarks.watched import Watched, watched
from tests.benchmarks.world import World

SESSIONS: Final = 1_000
EVENTS: Final = 100_000
TICK_S: Final = "1"
INSTALL: Final = "not installed: pip install -e '.[bench]'"
BROKER: Final = "does not run without a Kafka broker, not even with a source of its own"
PEERS: Final = {
    "asyncio, deques, INSERTs": ("plain", "asyncio"),
    "bytewax": ("bytewax_flow", "bytewax"),
}


Start = Callable[[], AbstractContextManager[Watched]]


class Cost(NamedTuple):
    event_us: float
    tick_us: float  # of a session


def peers(bench: Bench) -> Iterator[Figure]:
    """By turns, what an event costs them and us, and what a session's tick does."""
    bench.not_quick()
    present: dict[str, Start] = {
        name: partial(_peer, bench.world, module)
        for name, (module, package) in PEERS.items()
        if find_spec(package)
    }
    ours: Start = partial(bench.world.collecting, TICK_S=TICK_S)
    costs: dict[str, list[Cost]] = {name: [] for name in ("ours", *present)}
    for run in range(bench.few):
        for name, start in {"ours": ours, **present}.items():
            costs[name].append(_cost(bench, start, run))
    for name in PEERS:
        if name not in present:
            yield Figure(f"ours against {name}", note=INSTALL)
            continue
        for index, what in enumerate(("one event", "a session's tick")):
            runs, theirs = (tuple(cost[index] for cost in costs[each]) for each in ("ours", name))
            note = f"{SESSIONS:,} sessions; the limit is theirs"
            yield Figure(f"{what}, ours against {name}", "µs", runs, theirs, note=note)
    yield Figure("ours against quixstreams", note=BROKER)


def _cost(bench: Bench, start: Start, run: int) -> Cost:
    world = bench.world
    world.clear()
    made.send(world.redis_url, made.added(bulk(SESSIONS, SESSIONS, seed=1000)))
    packed = made.added(bulk(EVENTS, SESSIONS, seed=run))
    with start() as process:
        process.wait_tick(0, SESSIONS)
        process.settle()
        event_us = cost_us(process, partial(_bring, world, process, packed), EVENTS)
        return Cost(event_us, tick_cpu_s(process) / SESSIONS * 1e6)


def _bring(world: World, process: Watched, packed: Packed) -> None:
    add(world, process, packed)
    wait_routed(process, SESSIONS + packed.events)


def _peer(world: World, module: str) -> AbstractContextManager[Watched]:
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}"]
    variables = world.variables() | {"CONDUCTOR_TICK_S": TICK_S}
    return watched(command, variables, world.folder)

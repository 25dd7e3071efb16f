"""How long a start with checkpointed sessions takes, until the first tick."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import redis

from conductor_actors.settings import Settings
from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.figures import Bench, Figure, Target
from tests.benchmarks.world import Unmeasured, World

CHECKPOINT_S: Final = "5"
LEASE: Final = "conductor:owner"


def restart(bench: Bench) -> Iterator[Figure]:
    """Kill the collector after a checkpoint, start it again, and again."""
    if "checkpoint_s" not in Settings.model_fields:
        raise Unmeasured("there are no checkpoints yet")
    sessions = 2_000 if bench.is_quick else 10_000
    world = bench.world
    world.clear()
    with world.collecting(TICK_S="1", CHECKPOINT_S=CHECKPOINT_S) as collector:
        made.send(world.redis_url, made.added(bulk(10 * sessions, sessions)))
        collector.wait_tick(time.time() * 1000, sessions)
        begun = len(collector.all("checkpoint_committed"))
        collector.wait(
            lambda: len(collector.lines.get("checkpoint_committed", ())) > begun, "a checkpoint"
        )
        collector.kill()
    starts_s = tuple(_start_s(world, sessions) for _ in range(bench.runs))
    what = f"start with {sessions:,} checkpointed sessions until the first tick"
    note = "after kill -9, once its lease is gone; the process's own start included"
    yield Figure(what, "s", starts_s, target=Target(3, "s"), note=note)


def _start_s(world: World, sessions: int) -> float:
    """Time one start: the tick that was missed meanwhile is computed at once."""
    with redis.Redis.from_url(world.redis_url) as client:
        client.delete(LEASE)
    with ExitStack() as stack:
        began_s = time.monotonic()
        collector = stack.enter_context(world.collecting(TICK_S="1", CHECKPOINT_S="3600"))
        collector.wait_tick(0, sessions)
        took_s = time.monotonic() - began_s
        collector.settle()
        collector.kill()
    return took_s

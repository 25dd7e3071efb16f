"""How long a start with checkpointed sessions takes, until the first tick."""

import time
from collections.abc import Iterator
from typing import Final

import redis

from conductor_actors.settings import Settings
from conductor_actors.simulate import bulk
from tests.benchmarks import events as made
from tests.benchmarks.figures import Bench, Figure, Target
from tests.benchmarks.world import Unmeasured, World

TICK_S: Final = 5
CHECKPOINT_S: Final = "5"
NEVER_S: Final = "3600"
LEASE: Final = "conductor:owner"


def restart(bench: Bench) -> Iterator[Figure]:
    """Kill the collector after a checkpoint, start it again, kill it at its first tick, and so on.

    A tick is due at each start, so that nothing is waited for but the start itself.
    """
    if "checkpoint_s" not in Settings.model_fields:
        raise Unmeasured("there are no checkpoints yet")
    bench.not_quick()
    sessions = 10_000
    world = bench.world
    world.clear()
    with world.collecting(TICK_S=str(TICK_S), CHECKPOINT_S=CHECKPOINT_S) as collector:
        made.send(world.redis_url, made.added(bulk(10 * sessions, sessions)))
        collector.wait_tick(time.time() * 1000, sessions)
        begun = len(collector.all("checkpoint_committed"))
        collector.wait(
            lambda: len(collector.lines.get("checkpoint_committed", ())) > begun, "a checkpoint"
        )
        collector.kill()
    time.sleep(TICK_S)
    starts_s = tuple(_start_s(world, sessions) for _ in range(bench.few))
    what = f"start with {sessions:,} checkpointed sessions until the first tick"
    note = "after kill -9, once its lease is gone; the process's own start included"
    yield Figure(what, "s", starts_s, target=Target(3, "s"), note=note)


def _start_s(world: World, sessions: int) -> float:
    with redis.Redis.from_url(world.redis_url) as client:
        client.delete(LEASE)
    began_s = time.monotonic()
    with world.collecting(TICK_S=str(TICK_S), CHECKPOINT_S=NEVER_S) as collector:
        collector.wait_tick(0, sessions)
        took_s = time.monotonic() - began_s
        collector.kill()
    return took_s

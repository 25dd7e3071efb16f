"""How long it takes from an event's XADD until a row that shows it can be read by SQL."""

import json
import statistics
import time
from collections.abc import Iterator
from typing import Final

import psycopg
import redis

from conductor_actors.simulate import bulk
from conductor_actors.simulate.producer import REACTION
from tests.benchmarks import events as made
from tests.benchmarks.figures import Bench, Figure, Target
from tests.benchmarks.watched import Watched
from tests.benchmarks.world import World

SESSIONS: Final = 1_000
BESIDE: Final = 50  # other events each time
PAUSE_S: Final = 0.02
FOUND: Final = "SELECT DISTINCT session_id FROM engagement_metrics WHERE session_id = ANY(%s)"


def delay(bench: Bench) -> Iterator[Figure]:
    """With ticks every second, and every five."""
    lengths_s = {1: 5} if bench.is_quick else {1: 15, 5: 20}
    for tick_s, length_s in lengths_s.items():
        bench.world.clear()
        with bench.world.collecting(TICK_S=str(tick_s)) as collector:
            delays_s = _delays(bench.world, collector, length_s)
        hundredths = statistics.quantiles(delays_s, n=100)
        what = f"XADD until the row, {SESSIONS:,} sessions, p99, tick {tick_s} s"
        note = f"{len(delays_s)} events, p50 {hundredths[49]:.2f} s, most {max(delays_s):.2f} s"
        yield Figure(what, "s", (hundredths[98],), target=Target(tick_s + 1, "s"), note=note)


def _delays(world: World, collector: Watched, length_s: float) -> list[float]:
    """Let a session of its own begin with each event that is waited for."""
    made.send(world.redis_url, made.added(bulk(10 * SESSIONS, SESSIONS)))
    collector.wait_tick(time.time() * 1000, SESSIONS)
    collector.settle()
    others = list(bulk(BESIDE, SESSIONS, seed=1))
    sent_s: dict[str, float] = {}
    delays_s: list[float] = []
    until_s = time.monotonic() + length_s
    with (
        redis.Redis.from_url(world.redis_url) as client,
        psycopg.connect(world.database_url, autocommit=True) as connection,
    ):
        while sent_s or time.monotonic() < until_s:
            if time.monotonic() < until_s:
                session = f"awaited-{len(delays_s) + len(sent_s)}"
                sent_s[session] = time.monotonic()
                client.xadd(REACTION, {"data": json.dumps({"sessionId": session})})
                made.send(world.redis_url, made.added(others))
            for (session,) in connection.execute(FOUND, (list(sent_s),)).fetchall():
                delays_s.append(time.monotonic() - sent_s.pop(session))
            assert time.monotonic() < until_s + 60, f"{len(sent_s)} events never became rows"
            time.sleep(PAUSE_S)
    return delays_s

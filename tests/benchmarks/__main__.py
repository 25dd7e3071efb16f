"""Measure the collector on a real Valkey and PostgreSQL: `python -m tests.benchmarks`.

Events lie in the streams beforehand, so the producer costs nothing. CPU time is that of this
process, which does nothing else meanwhile; its share for waiting is measured first, on a
collector without sessions, and taken off. Each figure is the median of `--runs`.
"""

import argparse
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import redis

from conductor_actors import logs
from conductor_actors.adapters import migrations
from conductor_actors.adapters.embedded import EmbeddedServers
from conductor_actors.adapters.redis_feed import RedisFeed
from conductor_actors.adapters.redis_lease import RedisLease
from conductor_actors.adapters.redis_outbox import RedisOutbox
from conductor_actors.adapters.redis_source import RedisSource, SourceOptions
from conductor_actors.adapters.timescale import TimescaleStore
from conductor_actors.collector import Collector, Ports
from conductor_actors.ports import Read
from conductor_actors.settings import Settings
from conductor_actors.simulate import bulk

TICKS = 4
PIPELINE = 5000
LOOK_S = 0.005


class CountingSource:
    """A source that knows how many entries it has given."""

    def __init__(self, source: RedisSource) -> None:
        self._source = source
        self.entries = 0

    def read(self) -> Read:
        read = self._source.read()
        self.entries += len(read.entries)
        return read

    def close(self) -> None:
        self._source.close()


class Figures(NamedTuple):
    events_per_s: float
    cpu_us_per_event: float
    tick_cpu_ms: float


def main() -> None:
    arguments = _arguments()
    logs.configure("warning", "json", StringIO())
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        redis_url, database_url = servers.start_valkey(), servers.start_postgres()
        migrations.migrate(database_url)
        print(
            f"{platform.machine()}, Python {platform.python_version()}, {arguments.events:,} events"
        )
        print(f"median of {arguments.runs} runs; a tick: score, row, message, stored and announced")
        print("sessions | events/s | CPU µs an event | CPU ms a tick | CPU µs a session's tick")
        for sessions in arguments.sessions:
            runs = [
                measure(redis_url, database_url, arguments.events, sessions)
                for _ in range(arguments.runs)
            ]
            each = Figures(*map(statistics.median, zip(*runs, strict=True)))
            print(
                f"{sessions:8,} | {each.events_per_s:8,.0f} | {each.cpu_us_per_event:15.2f} | "
                f"{each.tick_cpu_ms:13.1f} | {each.tick_cpu_ms * 1000 / sessions:23.1f}",
                flush=True,
            )


def measure(redis_url: str, database_url: str, events: int, sessions: int) -> Figures:
    """Run a collector over events that lie in the streams, and on for some ticks."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        with _running(redis_url, database_url):
            idle_cpu_per_s = _cpu_per_s(TICKS)
        client.flushall()
        _fill(client, events, sessions)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    with _running(redis_url, database_url) as source:
        while source.entries < events:
            time.sleep(LOOK_S)
        wall_s = time.perf_counter() - began_s
        cpu_s = time.process_time() - began_cpu_s
        settings = Settings()
        time.sleep(settings.tick_s + 1)  # the tick that shows the last events is not measured
        tick_cpu_s = (_cpu_per_s(TICKS * settings.tick_s) - idle_cpu_per_s) * settings.tick_s
    return Figures(events / wall_s, cpu_s / events * 1e6, tick_cpu_s * 1e3)


def _cpu_per_s(seconds: float) -> float:
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)


@contextmanager
def _running(redis_url: str, database_url: str) -> Iterator[CountingSource]:
    settings = Settings()
    options = SourceOptions("streams", (), "earliest", settings.window_s)
    source = CountingSource(RedisSource(redis_url, options))
    store, feed, lease = TimescaleStore(database_url), RedisFeed(redis_url), RedisLease(redis_url)
    outbox = RedisOutbox(redis_url)
    collector = Collector(settings, Ports(source, store, feed, feed, store, lease, outbox))
    collector.start()
    try:
        yield source
    finally:
        collector.drain()
        for port in (source, store, feed, lease, outbox):
            port.close()


def _fill(client: redis.Redis, events: int, sessions: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number, (name, body) in enumerate(bulk(events, sessions), 1):
            pipeline.xadd(name, {"data": body})
            if number % PIPELINE == 0:
                pipeline.execute()
        pipeline.execute()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()

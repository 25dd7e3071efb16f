"""Measure updates that nobody waits for: `python -m tests.benchmarks.heard`.

A dashboard of its own, a real Valkey, and many sessions, none of which has a subscriber: with no
client at all, with a client of another session, and with a client of another tenant. CPU time is
the dashboard's.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.observability import logs
from tests.benchmarks import fanout
from tests.benchmarks.figures import Figure, table
from tests.support.fences import take_ownership
from tests.support.score_rows import row

SESSIONS_PER_BATCH: Final = 1000
SETTLE_S: Final = 2.0
_CASES: Final = (  # what is measured, whether there is a client, the tenant of the updates
    ("no client", False, "default"),
    ("a client of another session", True, "default"),
    ("a client of another tenant", True, "acme"),
)


def main() -> None:
    arguments = _arguments()
    logs.configure("error", "text")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        redis_url, database_url = servers.start_valkey(), servers.start_postgres()
        migrations.migrate(database_url)
        for name, has_client, tenant in _CASES:
            with ExitStack() as stack:
                dashboard = stack.enter_context(fanout.run_dashboard(redis_url, database_url))
                stack.enter_context(_client(dashboard.port) if has_client else nullcontext())
                time.sleep(SETTLE_S)
                began_s = fanout.process_cpu_s(dashboard.pid)
                updates = _publish(redis_url, tenant, arguments.sessions, arguments.ticks)
                time.sleep(SETTLE_S)
                used_us = (fanout.process_cpu_s(dashboard.pid) - began_s) * 1e6
            figures.append(Figure(f"CPU of an update, {name}", "µs", (used_us / updates,)))
    print(table(figures))


@contextmanager
def _client(port: int) -> Iterator[None]:
    with fanout.run_crowd(port, fanout.Case(clients=1, sessions=1, deaf=0, ticks=1000)):
        yield


def _publish(redis_url: str, tenant: str, sessions: int, ticks: int) -> int:
    publisher = RedisUpdatePublisher(redis_url, take_ownership(redis_url))
    first_ms = int(time.time() // 5 * 5000)
    for tick in range(ticks):
        for begin in range(0, sessions, SESSIONS_PER_BATCH):
            ids = range(begin, begin + SESSIONS_PER_BATCH)
            publisher.publish([_row(each, first_ms + 5000 * tick, tenant) for each in ids])
            time.sleep(0.02)
        time.sleep(0.5)
    publisher.close()
    return sessions * ticks


def _row(number: int, at_ms: int, tenant: str) -> ScoreRow:
    return row(f"session-{number}", at_ms, tenant_id=tenant)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.heard", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()

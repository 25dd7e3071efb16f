"""A real Valkey and PostgreSQL, and the collector as its operators run it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import redis

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres import migrations
from tests.benchmarks.watched import Watched, watched


class Unmeasured(Exception):  # noqa: N818 - not an error: the reason stands in the table
    """Something can't be measured here."""


class World(NamedTuple):
    redis_url: str
    database_url: str
    folder: Path

    def clear(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("TRUNCATE engagement_metrics")

    def variables(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "CONDUCTOR_STATE_DIR": str(self.folder / "state"),
            "CONDUCTOR_LOG_FORMAT": "json",
            "CONDUCTOR_TRANSPORT": "streams",
            "CONDUCTOR_START": "window",
        }

    @contextmanager
    def collecting(self, *arguments: str, **variables: str) -> Iterator[Watched]:
        """Run `collect`, with settings of `CONDUCTOR_…` on top, for as long as the block."""
        with self.running("collect", *arguments, **variables) as collector:
            yield collector

    @contextmanager
    def running(self, *arguments: str, **variables: str) -> Iterator[Watched]:
        """Run any command in the same way; without arguments, the whole service."""
        command = [sys.executable, "-m", "tests.benchmarks.child", *arguments]
        settings = self.variables()
        settings |= {f"CONDUCTOR_{name}": value for name, value in variables.items()}
        started = "dashboard_started" if "dashboard" in arguments else "service_started"
        with watched(command, settings, self.folder) as process:
            process.wait(lambda: started in process.lines, "its start")
            yield process


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start both servers, for as long as the block."""
    with EmbeddedServers(folder / "servers") as servers:
        made = World(servers.start_valkey(), servers.start_postgres(), folder)
        migrations.migrate(made.database_url)
        yield made

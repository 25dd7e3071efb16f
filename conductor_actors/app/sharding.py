"""The processes of several collectors that share the sessions of one Redis.

Resharding: the old collectors read up to the same moment once more and drain; then every
session's checkpoint moves to the shard that it now belongs to.
"""

import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final, NamedTuple

from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.app.process_group import ProcessGroup, Worker
from conductor_actors.domain.shards import all_shards
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import SessionsReshared, emit
from conductor_actors.settings import Settings

LEASES_EXPIRED_WITHIN_S: Final = 10.0  # a lease expires after 8
LEASE_POLL_S: Final = 0.25


class Urls(NamedTuple):
    """Where the two servers are."""

    redis: str
    database: str


def collectors(settings: Settings, urls: Urls, count: int, *options: str) -> list[Worker]:
    """List the collectors. Each has its own metrics port: shard k the k-th from the setting."""
    shared = _shared(settings, urls)
    return [
        Worker(
            str(shard),
            ("collect", *options),
            {**shared, "CONDUCTOR_SHARD": str(shard), **_metrics(settings, shard.number)},
        )
        for shard in all_shards(count)
    ]


def dashboard(settings: Settings, urls: Urls, count: int) -> Worker:
    """Return the dashboard; its metrics port follows those of the shards."""
    shared = _shared(settings, urls)
    variables = {**shared, "CONDUCTOR_SHARDS": str(count), **_metrics(settings, count)}
    return Worker("dashboard", ("dashboard",), variables)


def reshared(settings: Settings, urls: Urls, count: int, run: Callable[[ProcessGroup], int]) -> int:
    """Reshard the sessions to `count` collectors, if they are not; return the exit code.

    While Redis is away nothing is done: a collector that starts later checks the number.
    """
    with closing(ShardRegistry(urls.redis)) as redis:
        found = None
        with suppress(Unavailable):
            found = redis.count()
        if found in (None, count):
            return 0
        _wait_for_expired_leases(redis, found)
        began_s = time.monotonic()
        if found > 1:
            redis.require_checkpoints(found)
            until = collectors(settings, urls, found, "--until-ms", str(redis.now_ms()))
            group = ProcessGroup(until, they_end=True)
            exit_code = run(group)
            if exit_code:
                return exit_code
            if group.is_stopped:
                raise Unavailable("asked to stop before the sessions had changed hands")
        sessions = redis.reshard(found, count)
        duration_s = round(time.monotonic() - began_s, 2)
        emit(
            SessionsReshared(
                old_shards=found, new_shards=count, sessions=sessions, duration_s=duration_s
            )
        )
    return 0


def _wait_for_expired_leases(redis: ShardRegistry, count: int) -> None:
    """Wait until leases of killed owners have expired; a lease that remains has a live owner."""
    until_s = time.monotonic() + LEASES_EXPIRED_WITHIN_S
    while owners := redis.owners(count):
        if time.monotonic() >= until_s:
            raise ConfigError(
                f"CONDUCTOR_SHARDS: the sessions are shared by {count}, who still run "
                f"({', '.join(owners.values())}): stop them first, or set CONDUCTOR_SHARDS={count}"
            )
        time.sleep(LEASE_POLL_S)


def _shared(settings: Settings, urls: Urls) -> dict[str, str]:
    style = settings.log_format
    if style == "auto":  # they write into a pipe, whatever we write to
        style = "text" if sys.stdout.isatty() else "json"
    return {"REDIS_URL": urls.redis, "DATABASE_URL": urls.database, "CONDUCTOR_LOG_FORMAT": style}


def _metrics(settings: Settings, offset: int) -> dict[str, str]:
    port = settings.metrics_port
    return {"CONDUCTOR_METRICS_PORT": str(port + offset if port else 0)}

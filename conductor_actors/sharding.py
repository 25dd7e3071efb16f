"""Which processes there are when several collectors share the sessions of one Redis."""

import sys

from conductor_actors.domain.shards import shards
from conductor_actors.fleet import Worker
from conductor_actors.settings import Settings


def workers(settings: Settings, redis_url: str, database_url: str, count: int) -> list[Worker]:
    """List the collectors. Each answers on a metrics port of its own: shard k on the k-th."""
    shared = _shared(settings, redis_url, database_url)
    return [
        Worker(
            str(shard),
            "collect",
            {**shared, "CONDUCTOR_SHARD": str(shard), **_metrics(settings, shard.number)},
        )
        for shard in shards(count)
    ]


def dashboard(settings: Settings, redis_url: str, database_url: str, count: int) -> Worker:
    """Give the dashboard, whose metrics stand on the port behind those of the shards."""
    shared = _shared(settings, redis_url, database_url)
    variables = {**shared, "CONDUCTOR_SHARDS": str(count), **_metrics(settings, count)}
    return Worker("dashboard", "dashboard", variables)


def _shared(settings: Settings, redis_url: str, database_url: str) -> dict[str, str]:
    style = settings.log_format
    if style == "auto":  # they write into a pipe, whatever we write to
        style = "text" if sys.stdout.isatty() else "json"
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "CONDUCTOR_LOG_FORMAT": style}


def _metrics(settings: Settings, offset: int) -> dict[str, str]:
    port = settings.metrics_port
    return {"CONDUCTOR_METRICS_PORT": str(port + offset if port else 0)}

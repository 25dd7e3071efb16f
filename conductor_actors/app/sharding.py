"""The processes of several collectors that share the sessions of one Redis."""

import sys

from conductor_actors.app.process_group import Worker
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.shards import all_shards
from conductor_actors.settings import Settings


def collector_workers(
    settings: Settings, urls: ServerUrls, count: int, *options: str
) -> list[Worker]:
    """Return a worker for each of `count` shards. Their metrics ports follow each other."""
    variables = _common_variables(settings, urls)
    return [
        Worker(
            str(shard),
            ("collect", *options),
            {**variables, "CONDUCTOR_SHARD": str(shard), **_metrics_port(settings, shard.number)},
        )
        for shard in all_shards(count)
    ]


def dashboard_worker(settings: Settings, urls: ServerUrls, count: int) -> Worker:
    """Return the worker for the dashboard; its metrics port follows those of the shards."""
    variables = _common_variables(settings, urls)
    variables |= {"CONDUCTOR_SHARDS": str(count), **_metrics_port(settings, count)}
    return Worker("dashboard", ("dashboard",), variables)


def _common_variables(settings: Settings, urls: ServerUrls) -> dict[str, str]:
    log_format = settings.log_format
    if log_format == "auto":  # workers write into a pipe, so this process decides
        log_format = "text" if sys.stdout.isatty() else "json"
    return {
        "REDIS_URL": urls.redis,
        "DATABASE_URL": urls.database,
        "CONDUCTOR_LOG_FORMAT": log_format,
    }


def _metrics_port(settings: Settings, offset: int) -> dict[str, str]:
    port = settings.metrics_port
    return {"CONDUCTOR_METRICS_PORT": str(port + offset if port else 0)}

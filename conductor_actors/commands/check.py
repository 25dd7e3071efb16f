"""`check`: check whether Redis and the database can be used, and how this package was built."""

import sys
from collections.abc import Sequence

import typer

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis import access_check
from conductor_actors.adapters.redis.partitions.partition_check import check_partitions
from conductor_actors.app.deliveries import has_webhook
from conductor_actors.app.partition_urls import partition_redis_urls
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.compiled import IS_COMPILED
from conductor_actors.ports import CheckResult
from conductor_actors.settings import Settings


def check_servers() -> bool:
    """Print a line for each finding; return whether all are ok."""
    settings = configure(sys.stderr)
    with open_servers(settings) as urls:
        findings = [
            CheckResult(ok=True, line=f"compiled: {str(IS_COMPILED).lower()}"),
            *access_check.check(urls.redis, settings.transport, settings.tenants),
            *check_partitions(_own_partition_urls(settings, urls.redis), settings.partitions),
            *PostgresRowStore(urls.database, has_webhook=has_webhook(settings)).check(),
        ]
    for finding in findings:
        typer.echo(f"{_verdict(finding)} {finding.line}")
    return all(finding.ok for finding in findings)


def _own_partition_urls(settings: Settings, redis_url: str) -> Sequence[str]:
    return partition_redis_urls(settings, redis_url) if settings.partition_redis_urls else ()


def _verdict(finding: CheckResult) -> str:
    if not finding.ok:
        return "FAILED"
    return "WARN  " if finding.is_warning else "ok    "

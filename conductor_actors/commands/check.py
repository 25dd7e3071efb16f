"""`check`: check whether Redis and the database can be used, and how this package was built."""

import sys

import typer

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis import access_check
from conductor_actors.app.deliveries import has_webhook
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.compiled import IS_COMPILED
from conductor_actors.ports import CheckResult


def check_servers() -> bool:
    """Print a line for each finding; return whether all are ok."""
    settings = configure(sys.stderr)
    with open_servers(settings) as urls:
        findings = [
            CheckResult(ok=True, line=f"compiled: {str(IS_COMPILED).lower()}"),
            *access_check.check(urls.redis, settings.transport, settings.tenants),
            *PostgresRowStore(urls.database, has_webhook=has_webhook(settings)).check(),
        ]
    for finding in findings:
        typer.echo(f"{_verdict(finding)} {finding.line}")
    return all(finding.ok for finding in findings)


def _verdict(finding: CheckResult) -> str:
    if not finding.ok:
        return "FAILED"
    return "WARN  " if finding.is_warning else "ok    "

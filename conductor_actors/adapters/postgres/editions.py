"""What the server is, and what is done differently because of it."""

import re
from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.connection import Connection, deadline, transaction
from conductor_actors.errors import ConfigError

TIME_COLUMNS: Final = {
    "engagement_metrics": "time",
    "interventions": "timestamp",
    "agent_performance": "time",
    "anomalies": "timestamp",
}

# Pages of 8 KB in one DELETE: about 10,000 rows of engagement_metrics.
_BATCH_PAGES: Final = 256


class Edition(Enum):
    """What a server offers."""

    COMMUNITY = "community licence"
    APACHE = "Apache licence"
    PLAIN = "plain PostgreSQL"


class DatabaseServer(NamedTuple):
    """A server as found; `timescaledb` is the version of the extension in this database."""

    edition: Edition
    postgresql: str
    timescaledb: str | None

    def __str__(self) -> str:
        if self.timescaledb is None:
            return f"PostgreSQL {self.postgresql}"
        return (
            f"PostgreSQL {self.postgresql}, TimescaleDB {self.timescaledb} ({self.edition.value})"
        )


def detect_server(connection: Connection) -> DatabaseServer:
    """Ask the server what it is; raise `ConfigError` for one that is too old."""
    found = connection.execute(
        """
        SELECT current_setting('server_version'),
               (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
               current_setting('timescaledb.license', true)
        """
    ).fetchone()
    assert found is not None  # noqa: S101 - a SELECT without FROM has one row
    return server_of(*found)


def server_of(postgresql: str, timescaledb: str | None, licence: str | None) -> DatabaseServer:
    """Judge what a server says of itself. A licence alone is a library without its extension."""
    number = postgresql.partition(" ")[0]
    if _major_minor(number) < (15, 0):
        raise ConfigError(f"PostgreSQL {number} is too old: 15 or newer is needed")
    if timescaledb is None:
        return DatabaseServer(Edition.PLAIN, number, None)
    if _major_minor(timescaledb) < (2, 18):
        raise ConfigError(
            f"TimescaleDB {timescaledb} is too old: install 2.18 or newer, "
            "then run: ALTER EXTENSION timescaledb UPDATE"
        )
    edition = Edition.COMMUNITY if licence == "timescale" else Edition.APACHE
    return DatabaseServer(edition, number, timescaledb)


def retain(connection: Connection, edition: Edition, days: float, deadline_s: float) -> int:
    """Drop older rows, or make the server do so from now on.

    Return what went now: rows of plain tables, chunks of hypertables, 0 for a policy. Each step
    is a transaction of its own and has the deadline for itself.
    """
    keep = timedelta(days=days)
    gone = 0
    for table, time_column in TIME_COLUMNS.items():
        match edition:
            case Edition.COMMUNITY:
                _set_policy(connection, table, keep, deadline_s)
            case Edition.APACHE:
                gone += _drop_chunks(connection, table, keep, deadline_s)
            case Edition.PLAIN:
                gone += _delete(connection, table, time_column, keep, deadline_s)
    return gone


def _set_policy(connection: Connection, table: str, keep: timedelta, deadline_s: float) -> None:
    """Replace the policy: an existing one keeps its age whatever is asked of it."""
    with transaction(connection, deadline_s):
        connection.execute("SELECT remove_retention_policy(%s, if_exists => true)", (table,))
        connection.execute("SELECT add_retention_policy(%s, drop_after => %s)", (table, keep))


def _drop_chunks(connection: Connection, table: str, keep: timedelta, deadline_s: float) -> int:
    with transaction(connection, deadline_s):
        dropped = connection.execute("SELECT drop_chunks(%s, older_than => %s)", (table, keep))
        return dropped.rowcount


def _delete(
    connection: Connection, table: str, time_column: str, keep: timedelta, deadline_s: float
) -> int:
    """Go through the table once, page by page: no index on time is needed, no batch is long."""
    delete = sql.SQL(
        "DELETE FROM {} WHERE ctid >= %s::tid AND ctid < %s::tid AND {} < now() - %s"
    ).format(sql.Identifier(table), sql.Identifier(time_column))
    gone = 0
    for first in range(0, _pages(connection, table, deadline_s), _BATCH_PAGES):
        with transaction(connection, deadline_s):
            pages = (f"({first},0)", f"({first + _BATCH_PAGES},0)")
            gone += connection.execute(delete, (*pages, keep)).rowcount
    return gone


def _pages(connection: Connection, table: str, deadline_s: float) -> int:
    with deadline(connection, deadline_s):
        found = connection.execute(
            "SELECT pg_relation_size(%s) / current_setting('block_size')::int", (table,)
        ).fetchone()
    return int(found[0]) if found else 0


def _major_minor(version: str) -> tuple[int, int]:
    major, minor, *_ = (*re.findall(r"\d+", version), "0", "0")
    return int(major), int(minor)

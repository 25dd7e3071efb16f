"""The editions of a database server, and how each deletes old rows."""

import re
from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.connection import DatabaseConnection, transaction
from conductor_actors.errors import ConfigError

TIME_COLUMNS: Final = {
    "engagement_metrics": "time",
    "interventions": "timestamp",
    "agent_performance": "time",
    "anomalies": "timestamp",
}

# Of sessions, what is listed expires with their last row; titles also wait for planned sessions.
_EXPIRED: Final = {
    "sessions": "ended_at < now() - %b",
    "session_titles": """
        greatest(updated_at, planned_end) < now() - %b AND NOT EXISTS (
            SELECT FROM sessions
            WHERE sessions.tenant_id = session_titles.tenant_id
              AND sessions.session_id = session_titles.session_id
        )
    """,
    "event_titles": """
        updated_at < now() - %b AND NOT EXISTS (
            SELECT FROM sessions
            WHERE sessions.tenant_id = event_titles.tenant_id
              AND sessions.event_id = event_titles.event_id
        ) AND NOT EXISTS (
            SELECT FROM session_titles
            WHERE session_titles.tenant_id = event_titles.tenant_id
              AND session_titles.event_id = event_titles.event_id
        )
    """,
}

# Of 8 KB each: about 10,000 rows of engagement_metrics.
_PAGES_PER_DELETE: Final = 256


class Edition(Enum):
    """Which features of TimescaleDB a server has."""

    COMMUNITY = "community licence"
    APACHE = "Apache licence"
    PLAIN = "plain PostgreSQL"


class DatabaseServer(NamedTuple):
    """A server's edition and versions; `timescaledb` is that of the extension in this database."""

    edition: Edition
    postgresql: str
    timescaledb: str | None

    def __str__(self) -> str:
        if self.timescaledb is None:
            return f"PostgreSQL {self.postgresql}"
        return (
            f"PostgreSQL {self.postgresql}, TimescaleDB {self.timescaledb} ({self.edition.value})"
        )


def detect_server(connection: DatabaseConnection) -> DatabaseServer:
    """Return what the server is; raise `ConfigError` if it is too old."""
    found = connection.execute(
        """
        SELECT current_setting('server_version'),
               (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
               current_setting('timescaledb.license', true)
        """
    ).fetchone()
    assert found is not None  # noqa: S101 - a SELECT without FROM has one row
    return server_of(*found)


def timescaledb_schema(connection: DatabaseConnection) -> sql.Identifier:
    """Return the schema of TimescaleDB's functions, which need not be in the search path."""
    found = connection.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
        " WHERE extname = 'timescaledb'"
    ).fetchone()
    assert found is not None  # noqa: S101 - the server's edition says that the extension is there
    return sql.Identifier(found[0])


def server_of(postgresql: str, timescaledb: str | None, licence: str | None) -> DatabaseServer:
    """Return what a server is, given its settings; raise `ConfigError` if it is too old.

    A licence without the extension means a library that is loaded but not used.
    """
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


def apply_retention(
    connection: DatabaseConnection, edition: Edition, days: float, deadline_s: float
) -> int:
    """Delete older rows, or make the server do so from now on, and what is listed of sessions.

    Return how many rows of plain tables or chunks of hypertables were deleted; 0 for a policy. Each
    step is a transaction with the whole deadline.
    """
    age = timedelta(days=days)
    deleted = 0
    for table, time_column in TIME_COLUMNS.items():
        match edition:
            case Edition.COMMUNITY:
                _set_policy(connection, table, age, deadline_s)
            case Edition.APACHE:
                deleted += _drop_chunks(connection, table, age, deadline_s)
            case Edition.PLAIN:
                is_old = sql.SQL("{} < now() - %b").format(sql.Identifier(time_column))
                deleted += _delete(connection, table, is_old, age, deadline_s)
    for table, is_expired in _EXPIRED.items():
        deleted += _delete(connection, table, sql.SQL(is_expired), age, deadline_s)
    return deleted


def _set_policy(
    connection: DatabaseConnection, table: str, age: timedelta, deadline_s: float
) -> None:
    """Replace the policy: adding one does not change the age of an existing one."""
    with transaction(connection, deadline_s):
        schema = timescaledb_schema(connection)
        remove = sql.SQL("SELECT {}.remove_retention_policy(%s, if_exists => true)").format(schema)
        add = sql.SQL("SELECT {}.add_retention_policy(%s, drop_after => %b)").format(schema)
        connection.execute(remove, (table,))
        connection.execute(add, (table, age))


def _drop_chunks(
    connection: DatabaseConnection, table: str, age: timedelta, deadline_s: float
) -> int:
    with transaction(connection, deadline_s):
        drop = sql.SQL("SELECT {}.drop_chunks(%s, older_than => %b)").format(
            timescaledb_schema(connection)
        )
        return connection.execute(drop, (table, age)).rowcount


def _delete(
    connection: DatabaseConnection,
    table: str,
    is_old: sql.Composable,
    age: timedelta,
    deadline_s: float,
) -> int:
    """Scan the table once, some pages at a time: this needs no index and no long transaction."""
    delete = sql.SQL("DELETE FROM {} WHERE ctid >= %s::tid AND ctid < %s::tid AND {}").format(
        sql.Identifier(table), is_old
    )
    deleted = 0
    for first in range(0, _pages(connection, table, deadline_s), _PAGES_PER_DELETE):
        with transaction(connection, deadline_s):
            pages = (f"({first},0)", f"({first + _PAGES_PER_DELETE},0)")
            deleted += connection.execute(delete, (*pages, age)).rowcount
    return deleted


def _pages(connection: DatabaseConnection, table: str, deadline_s: float) -> int:
    with transaction(connection, deadline_s):
        found = connection.execute(
            "SELECT pg_relation_size(%s) / current_setting('block_size')::int", (table,)
        ).fetchone()
    return int(found[0]) if found else 0


def _major_minor(version: str) -> tuple[int, int]:
    major, minor, *_ = (*re.findall(r"\d+", version), "0", "0")
    return int(major), int(minor)

"""Where rows are kept: TimescaleDB, or plain PostgreSQL with the same tables."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from typing import Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from conductor_actors.adapters.postgres import editions, migrations
from conductor_actors.adapters.postgres.connection import (
    DEADLINE_S,
    Connection,
    connect,
    deadline,
    one_line,
    transaction,
)
from conductor_actors.domain.gaps import Mark
from conductor_actors.domain.rows import COLUMNS, VALUE_TYPES, ScoreRecord, record_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import DatabaseConnected, emit
from conductor_actors.ports import Finding, Written

# The types of the columns, without metadata.
COLUMN_TYPES: Final = {"time": "timestamptz"} | {
    name: {str: "text", float: "float8", int: "int8"}[kind] for name, kind in VALUE_TYPES.items()
}
_MEASURED: Final = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_NAMES: Final = sql.SQL("{}, metadata").format(_MEASURED)

# The way of new rows that miss nothing: one statement, half the server's work, and few turns of
# waiting for an answer, each of which ends with waiting for the threads that score.
_ADD: Final = sql.SQL("COPY engagement_metrics ({}) FROM STDIN (FORMAT BINARY)").format(_MEASURED)

# What it can't do, and the other way can: some rows are there; the table, for whose lock it waited,
# is a hypertable by now.
_NOT_BY_COPY: Final = (psycopg.errors.UniqueViolation, psycopg.errors.FeatureNotSupported)

# COPY can't skip rows that are there. So those that may be arrive in a table of their own first,
# which lives as long as the connection and is emptied by every commit.
_CREATE_ARRIVALS: Final = sql.SQL(
    "CREATE TEMPORARY TABLE arrivals ON COMMIT DELETE ROWS AS"
    " SELECT {} FROM engagement_metrics WITH NO DATA"
).format(_NAMES)
_COPY: Final = sql.SQL("COPY arrivals FROM STDIN (FORMAT BINARY)")
_INSERT: Final = sql.SQL(
    "INSERT INTO engagement_metrics ({}) SELECT {}, coalesce(metadata, '{{}}') FROM arrivals"
    " ON CONFLICT DO NOTHING"
).format(_NAMES, _MEASURED)


class PostgresScoreStore:
    """Stores rows in a database; the first call connects, and so does the next one after a failure.

    Each transaction has the deadline for itself. One thread at a time may use a store.
    """

    def __init__(self, url: str, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connection: Connection | None = None
        self._has_arrivals = False
        self._meets_known_rows = False  # as after a crash

    def write(self, rows: Sequence[ScoreRow]) -> Written:
        """Store the rows, each once however often it is written."""
        if not rows:
            return Written(0, ())
        with self._connected() as connection:
            return self._write(connection, rows)

    def retain(self, days: float) -> int:
        """Drop older rows, in the way of the server's edition.

        Return what went now: rows of plain tables, chunks of hypertables, 0 when the server does
        it from now on by itself. Takes as long as it takes: use a store of its own.
        """
        with self._connected() as connection:
            with deadline(connection, self._deadline_s):
                edition = editions.detect_server(connection).edition
            return editions.retain(connection, edition, days, self._deadline_s)

    def check(self) -> list[Finding]:
        """Check whether rows can be written, without changing anything."""
        try:
            with (
                closing(connect(self._url, self._deadline_s)) as connection,
                deadline(connection, self._deadline_s),
            ):
                return list(_findings(connection))
        except (ConfigError, Unavailable) as error:
            return [Finding(ok=False, line=f"database: {error}")]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._has_arrivals = False

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Provide the connection, and close it if the block fails."""
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            yield self._connection or self._connect()
            on_failure.pop_all()

    def _connect(self) -> Connection:
        self._connection = connect(self._url, self._deadline_s)
        with deadline(self._connection, self._deadline_s):
            server = editions.detect_server(self._connection)
        emit(
            DatabaseConnected(
                edition=server.edition.name.lower(),
                postgresql=server.postgresql,
                timescaledb=server.timescaledb,
            )
        )
        return self._connection

    def _write(self, connection: Connection, rows: Sequence[ScoreRow]) -> Written:
        """Store what can be stored, halving the rows to find what can't."""
        try:
            return Written(self._insert(connection, rows), ())
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            reason = one_line(error)
        except (UnicodeEncodeError, OverflowError) as error:
            reason = str(error)
        if len(rows) == 1:
            return Written(0, ((rows[0], reason),))
        middle = len(rows) // 2
        first = self._write(connection, rows[:middle])
        second = self._write(connection, rows[middle:])
        return Written(first.stored + second.stored, (*first.refused, *second.refused))

    def _insert(self, connection: Connection, rows: Sequence[ScoreRow]) -> int:
        if not self._meets_known_rows and not any(row.gap for row in rows):
            added = self._add(connection, rows)
            if added is not None:
                return added
        stored = self._merge(connection, rows)
        self._meets_known_rows = stored < len(rows)
        return stored

    def _add(self, connection: Connection, rows: Sequence[ScoreRow]) -> int | None:
        """Store new rows, all or none; None where that is not possible."""
        with (
            deadline(connection, self._deadline_s),
            suppress(*_NOT_BY_COPY),
            connection.cursor() as cursor,
        ):
            with cursor.copy(_ADD) as copy:
                copy.set_types([*COLUMN_TYPES.values()])
                for record in _records(rows):
                    copy.write_row(record)
            return cursor.rowcount
        return None

    def _merge(self, connection: Connection, rows: Sequence[ScoreRow]) -> int:
        """Store those of the rows that are not there yet."""
        if not self._has_arrivals:
            with deadline(connection, self._deadline_s):
                connection.execute(_CREATE_ARRIVALS)
            self._has_arrivals = True
        with transaction(connection, self._deadline_s), connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.set_types([*COLUMN_TYPES.values(), "jsonb"])
                for row, record in zip(rows, _records(rows), strict=True):
                    copy.write_row((*record, _metadata(row.gap) if row.gap else None))
            return cursor.execute(_INSERT).rowcount


def _records(rows: Sequence[ScoreRow]) -> Iterator[ScoreRecord[datetime]]:
    """Return the rows as columns. A batch has few ticks: the time of each is made once."""
    times: dict[int, datetime] = {}
    for row in rows:
        at = times.get(row.at_ms)
        if at is None:
            at = times[row.at_ms] = to_datetime(row.at_ms)
        yield record_of(row, at)


def _metadata(gap: Mark) -> Jsonb:
    return Jsonb({"gap": msgspec.to_builtins(gap)})


def _findings(connection: Connection) -> Iterator[Finding]:
    server = editions.detect_server(connection)
    yield Finding(ok=True, line=f"database: {server}")
    waiting = migrations.pending(connection, server.edition)
    if waiting:
        names = ", ".join(migration.name for migration in waiting)
        yield Finding(
            ok=False, line=f"tables: {names} not applied; run: python -m conductor_actors migrate"
        )
    else:
        yield Finding(ok=True, line="tables: up to date")
    obstacle = _obstacle(connection)
    yield Finding(ok=obstacle is None, line=f"writing: {obstacle or 'allowed'}")


def _obstacle(connection: Connection) -> str | None:
    """Return what prevents rows from being written, if anything does."""
    found = connection.execute(
        """
        SELECT current_setting('transaction_read_only') = 'on',
               to_regclass('engagement_metrics') IS NULL,
               has_database_privilege(current_database(), 'TEMPORARY'),
               has_table_privilege(to_regclass('engagement_metrics'), 'SELECT')
                   AND has_table_privilege(to_regclass('engagement_metrics'), 'INSERT')
        """
    ).fetchone()
    match found:
        case (True, *_):
            return "the server is read-only"
        case (_, True, *_):
            return "there is no table engagement_metrics"
        case (_, _, False, _):
            return "the user lacks TEMPORARY on the database"
        case (_, _, _, False):
            return "the user lacks SELECT and INSERT on engagement_metrics"
    return None

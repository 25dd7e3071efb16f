"""Store rows in TimescaleDB, or in plain PostgreSQL with the same tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from typing import Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from conductor_actors.adapters.postgres import editions, migrations
from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
    Connection,
    StatementRefused,
    connect,
    deadline,
    primary_message,
    transaction,
)
from conductor_actors.domain.rows import (
    COLUMNS,
    UNKNOWN_AUDIENCE,
    VALUE_TYPES,
    ScoreRecord,
    record_of,
)
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import DatabaseConnected, emit
from conductor_actors.ports import CheckResult, RefusedRow, WriteResult

# The types of the columns, without metadata.
COLUMN_TYPES: Final = {"time": "timestamptz"} | {
    name: {str: "text", float: "float8", int: "int8"}[kind] for name, kind in VALUE_TYPES.items()
}
_COLUMN_NAMES: Final = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_ALL_NAMES: Final = sql.SQL("{}, metadata").format(_COLUMN_NAMES)

# Rows that are new and have no metadata are copied into the table by one statement. That is half
# the work for the server, and fewer round trips: after each, this thread waits for the threads that
# score.
_COPY_TO_TABLE: Final = sql.SQL("COPY engagement_metrics ({}) FROM STDIN (FORMAT BINARY)").format(
    _COLUMN_NAMES
)

# COPY does not support row-level security, nor a table that became a hypertable while COPY waited
# for its lock; INSERT does.
_NOT_SUPPORTED: Final = "0A000"

# COPY can't skip rows that are stored already. Rows to be merged are copied into a staging table
# first, which lives as long as the transaction.
_CREATE_STAGING: Final = sql.SQL(
    "CREATE TEMPORARY TABLE conductor_staging ON COMMIT DROP AS"
    " SELECT {} FROM engagement_metrics WITH NO DATA"
).format(_ALL_NAMES)
_COPY_TO_STAGING: Final = sql.SQL("COPY pg_temp.conductor_staging FROM STDIN (FORMAT BINARY)")
# A row that breaks another unique index than the key is refused, not skipped.
_INSERT_STAGED: Final = sql.SQL(
    "INSERT INTO engagement_metrics ({}) SELECT {}, coalesce(metadata, '{{}}')"
    " FROM pg_temp.conductor_staging ON CONFLICT (tenant_id, session_id, time) DO NOTHING"
).format(_ALL_NAMES, _COLUMN_NAMES)

# SQL_ASCII stores any bytes, so also those of UTF-8.
_ENCODINGS_OF_ALL_TEXT: Final = ("UTF8", "SQL_ASCII")


class PostgresRowStore:
    """A `RowStore` and `Retention`. It connects at the first call, and again after a failure.

    Each transaction has the whole deadline. Only one thread may use a store.
    """

    def __init__(self, url: str, deadline_s: float = DATABASE_DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connection: Connection | None = None
        self._expects_stored_rows = False  # as after a crash

    def write(self, rows: Sequence[ScoreRow]) -> WriteResult:
        """Store the rows; a row that is stored already stays as it is.

        A row that the server refuses for any reason is refused alone, if it accepts others. If it
        refuses the rows of all sessions, raise `ConfigError`: then it is not the rows' fault.
        """
        if not rows:
            return WriteResult(0, ())
        refusals: list[StatementRefused] = []
        with self._connected() as connection:
            written = self._write(connection, rows, refusals)
            accepts_none = len(written.refused) == len(rows)
            if refusals and accepts_none and len({row.key for row in rows}) > 1:
                raise refusals[-1]
        return written

    def apply_retention(self, days: float) -> int:
        """Delete rows older than so many days, in the way of the server's edition.

        Return how many rows of plain tables or chunks of hypertables were deleted; 0 if the server
        deletes them by itself from now on. The number of transactions is not bounded: use a store
        of its own.
        """
        with self._connected() as connection:
            with deadline(connection, self._deadline_s):
                edition = editions.detect_server(connection).edition
            return editions.apply_retention(connection, edition, days, self._deadline_s)

    def check(self) -> list[CheckResult]:
        """Check whether rows can be written, and any text, without changing anything."""
        return self._check(_check_access, _check_encoding)

    def check_access(self) -> list[CheckResult]:
        """Check whether rows can be written, without changing anything."""
        return self._check(_check_access)

    def _check(self, *checks: Callable[[Connection], Iterator[CheckResult]]) -> list[CheckResult]:
        try:
            with (
                closing(connect(self._url, self._deadline_s)) as connection,
                transaction(connection, self._deadline_s),
            ):
                return [result for check in checks for result in check(connection)]
        except (ConfigError, Unavailable) as error:
            return [CheckResult(ok=False, line=f"database: {error}")]

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Lend the connection; it is closed if the block raises."""
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

    def _write(
        self, connection: Connection, rows: Sequence[ScoreRow], refusals: list[StatementRefused]
    ) -> WriteResult:
        """Store what can be stored, halving the rows to find those that can't.

        Add a refusal whose SQLSTATE does not name the row as its cause to `refusals`.
        """
        try:
            return WriteResult(self._store(connection, rows), ())
        except StatementRefused as refusal:
            if not refusals:
                self._merge(connection, ())  # raises what is refused without any row, too
            refusals.append(refusal)
            reason = refusal.reason
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            reason = primary_message(error)
        except (UnicodeEncodeError, OverflowError) as error:
            reason = str(error)
        if len(rows) == 1:
            return WriteResult(0, (RefusedRow(rows[0], reason),))
        middle = len(rows) // 2
        first = self._write(connection, rows[:middle], refusals)
        second = self._write(connection, rows[middle:], refusals)
        return WriteResult(first.stored + second.stored, (*first.refused, *second.refused))

    def _store(self, connection: Connection, rows: Sequence[ScoreRow]) -> int:
        if not self._expects_stored_rows and not any(map(_has_metadata, rows)):
            stored = self._copy(connection, rows)
            if stored is not None:
                return stored
        stored = self._merge(connection, rows)
        self._expects_stored_rows = stored < len(rows)
        return stored

    def _copy(self, connection: Connection, rows: Sequence[ScoreRow]) -> int | None:
        """Copy new rows into the table; None if that is not possible, and none was stored."""
        try:
            with transaction(connection, self._deadline_s), connection.cursor() as cursor:
                with cursor.copy(_COPY_TO_TABLE) as copy:
                    copy.set_types([*COLUMN_TYPES.values()])
                    for record in _records(rows):
                        copy.write_row(record)
                return cursor.rowcount
        except psycopg.errors.UniqueViolation:  # a row is stored already
            return None
        except StatementRefused as refusal:
            if refusal.sqlstate != _NOT_SUPPORTED:
                raise
            return None

    def _merge(self, connection: Connection, rows: Sequence[ScoreRow]) -> int:
        """Store those of the rows that are not stored yet."""
        with transaction(connection, self._deadline_s), connection.cursor() as cursor:
            connection.execute(_CREATE_STAGING)
            with cursor.copy(_COPY_TO_STAGING) as copy:
                copy.set_types([*COLUMN_TYPES.values(), "jsonb"])
                for row, record in zip(rows, _records(rows), strict=True):
                    copy.write_row((*record, _metadata(row)))
            return cursor.execute(_INSERT_STAGED).rowcount


def _records(rows: Sequence[ScoreRow]) -> Iterator[ScoreRecord[datetime]]:
    """Return the rows as columns. A batch has few ticks: the time of each is made once."""
    times: dict[int, datetime] = {}
    for row in rows:
        at = times.get(row.at_ms)
        if at is None:
            at = times[row.at_ms] = to_datetime(row.at_ms)
        yield record_of(row, at)


def _has_metadata(row: ScoreRow) -> bool:
    return row.gap is not None or not row.is_audience_known


def _metadata(row: ScoreRow) -> Jsonb | None:
    if not _has_metadata(row):
        return None
    metadata: dict[str, object] = {}
    if row.gap is not None:
        metadata["gap"] = msgspec.to_builtins(row.gap)
    if not row.is_audience_known:
        metadata["audience"] = UNKNOWN_AUDIENCE
    return Jsonb(metadata)


def _check_access(connection: Connection) -> Iterator[CheckResult]:
    server = editions.detect_server(connection)
    yield CheckResult(ok=True, line=f"database: {server}")
    pending = migrations.pending(connection, server.edition)
    if pending:
        names = ", ".join(migration.name for migration in pending)
        yield CheckResult(
            ok=False, line=f"tables: {names} not applied; run: python -m conductor_actors migrate"
        )
    else:
        yield CheckResult(ok=True, line="tables: up to date")
    obstacle = _obstacle(connection)
    yield CheckResult(ok=obstacle is None, line=f"writing: {obstacle or 'allowed'}")


def _check_encoding(connection: Connection) -> Iterator[CheckResult]:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in _ENCODINGS_OF_ALL_TEXT:
        yield CheckResult(
            ok=False,
            line=f"encoding: {encoding} can't hold all text, and rows with other ids are refused; "
            "move to a database that was created with ENCODING 'UTF8'",
        )


def _obstacle(connection: Connection) -> str | None:
    """Return why rows can't be written, if they can't."""
    row = connection.execute(
        """
        SELECT current_setting('transaction_read_only') = 'on',
               to_regclass('engagement_metrics') IS NULL,
               has_database_privilege(current_database(), 'TEMPORARY'),
               has_table_privilege(to_regclass('engagement_metrics'), 'SELECT')
                   AND has_table_privilege(to_regclass('engagement_metrics'), 'INSERT')
        """
    ).fetchone()
    match row:
        case (True, *_):
            return "the server is read-only"
        case (_, True, *_):
            return "there is no table engagement_metrics"
        case (_, _, False, _):
            return "the user lacks TEMPORARY on the database"
        case (_, _, _, False):
            return "the user lacks SELECT and INSERT on engagement_metrics"
    return None

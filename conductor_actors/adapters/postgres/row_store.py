"""Store rows in TimescaleDB, or in plain PostgreSQL with the same tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from conductor_actors.adapters.postgres import editions, migrations
from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
    DatabaseConnection,
    connect,
    deadline,
    transaction,
)
from conductor_actors.adapters.postgres.metrics_table import MetricsTable
from conductor_actors.adapters.postgres.refusals import RefusalFinder
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import DatabaseConnected, emit
from conductor_actors.ports import CheckResult, WriteResult

# SQL_ASCII stores any bytes, so also those of UTF-8.
_ENCODINGS_OF_ALL_TEXT: Final = ("UTF8", "SQL_ASCII")

_FIND_OBSTACLES: Final = """
    SELECT current_setting('transaction_read_only') = 'on',
           CASE WHEN to_regclass('engagement_metrics') IS NULL THEN 'engagement_metrics'
                WHEN to_regclass('anomalies') IS NULL THEN 'anomalies'
                WHEN to_regclass('interventions') IS NULL THEN 'interventions'
                WHEN to_regclass('agent_performance') IS NULL THEN 'agent_performance' END,
           has_table_privilege(to_regclass('engagement_metrics'), 'SELECT')
               AND has_table_privilege(to_regclass('engagement_metrics'), 'INSERT'),
           has_table_privilege(to_regclass('anomalies'), 'SELECT')
               AND has_table_privilege(to_regclass('anomalies'), 'INSERT')
               AND has_column_privilege(to_regclass('anomalies'), 'metadata', 'UPDATE'),
           has_table_privilege(to_regclass('interventions'), 'SELECT')
               AND has_table_privilege(to_regclass('interventions'), 'INSERT')
               AND has_column_privilege(to_regclass('interventions'), 'status', 'UPDATE')
               AND has_column_privilege(to_regclass('interventions'), 'outcome', 'UPDATE')
               AND has_column_privilege(to_regclass('interventions'), 'metadata', 'UPDATE')
               AND has_table_privilege(to_regclass('agent_performance'), 'SELECT')
               AND has_table_privilege(to_regclass('agent_performance'), 'INSERT')
"""


class PostgresRowStore:
    """A `RowStore` and `Retention`. It connects at the first call, and again after a failure.

    Each transaction has the whole deadline. Only one thread may use a store.
    """

    def __init__(self, url: str, deadline_s: float = DATABASE_DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._table: MetricsTable | None = None
        self._refusals = RefusalFinder()

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        """Store the rows; a row that is stored already stays as it is.

        A row that the server refuses for any reason is refused alone, if it accepts others: those
        of the batch, the last that it accepted, or one of the `waiting` rows. If it accepts none,
        raise `ConfigError`: then it may not be the rows' fault.
        """
        if not rows:
            return WriteResult(0, ())
        with self._connected() as table:
            return self._refusals.write(table, rows, waiting)

    def apply_retention(self, days: float) -> int:
        """Delete rows older than so many days, in the way of the server's edition.

        Return how many rows of plain tables or chunks of hypertables were deleted; 0 if the server
        deletes them by itself from now on. The number of transactions is not bounded: use a store
        of its own.
        """
        with self._connected() as table:
            connection = table.connection
            with deadline(connection, self._deadline_s):
                edition = editions.detect_server(connection).edition
            return editions.apply_retention(connection, edition, days, self._deadline_s)

    def check(self) -> list[CheckResult]:
        """Check whether rows can be written, any text, and feedback, without changing anything."""
        return self._check(_check_access, _check_encoding, _check_feedback)

    def check_access(self) -> list[CheckResult]:
        """Check whether rows can be written, without changing anything."""
        return self._check(_check_access)

    def _check(
        self, *checks: Callable[[DatabaseConnection], Iterator[CheckResult]]
    ) -> list[CheckResult]:
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
        if self._table is not None:
            self._table.connection.close()
        self._table = None

    @contextmanager
    def _connected(self) -> Iterator[MetricsTable]:
        """Lend the table; its connection is closed if the block raises."""
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            yield self._table or self._connect()
            on_failure.pop_all()

    def _connect(self) -> MetricsTable:
        connection = connect(self._url, self._deadline_s)
        self._table = MetricsTable(connection, self._deadline_s)
        with deadline(connection, self._deadline_s):
            server = editions.detect_server(connection)
        emit(
            DatabaseConnected(
                edition=server.edition.name.lower(),
                postgresql=server.postgresql,
                timescaledb=server.timescaledb,
            )
        )
        return self._table


def _check_access(connection: DatabaseConnection) -> Iterator[CheckResult]:
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


def _check_encoding(connection: DatabaseConnection) -> Iterator[CheckResult]:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in _ENCODINGS_OF_ALL_TEXT:
        yield CheckResult(
            ok=False,
            line=f"encoding: {encoding} can't hold all text, and rows with other ids are refused; "
            "move to a database that was created with ENCODING 'UTF8'",
        )


def _check_feedback(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Warn of a user who reads anomalies, as that of a dashboard, and can't store feedback."""
    found = connection.execute(
        "SELECT has_table_privilege(to_regclass('anomalies'), 'SELECT')"
        " AND NOT has_table_privilege(to_regclass('anomalies'), 'INSERT')"
        " AND NOT has_column_privilege(to_regclass('anomalies'), 'metadata', 'UPDATE')"
    ).fetchone()
    if found == (True,):
        line = "feedback: can't be stored, because the user lacks UPDATE (metadata) on anomalies"
        yield CheckResult(ok=True, line=line, is_warning=True)


def _obstacle(connection: DatabaseConnection) -> str | None:
    """Return why rows can't be written, if they can't."""
    row = connection.execute(_FIND_OBSTACLES).fetchone()
    match row:
        case (True, *_):
            return "the server is read-only"
        case (_, table, *_) if table:
            return f"there is no table {table}"
        case (_, _, False, *_):
            return "the user lacks SELECT and INSERT on engagement_metrics"
        case (_, _, _, False, _):
            return "the user lacks SELECT, INSERT and UPDATE (metadata) on anomalies"
        case (*_, False):
            return (
                "the user lacks SELECT, INSERT and UPDATE (status, outcome, metadata) on "
                "interventions, or SELECT and INSERT on agent_performance"
            )
    return None

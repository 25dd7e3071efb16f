"""Store rows in TimescaleDB, or in plain PostgreSQL with the same tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from conductor_actors.adapters.postgres import editions
from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
    DatabaseConnection,
    connect,
    deadline,
    transaction,
)
from conductor_actors.adapters.postgres.database_check import (
    check_access,
    check_encoding,
    check_feedback,
    check_titles,
)
from conductor_actors.adapters.postgres.deliveries_table import (
    HasWebhook,
    check_webhooks,
    no_webhook,
)
from conductor_actors.adapters.postgres.metrics_table import MetricsTable
from conductor_actors.adapters.postgres.refusals import RefusalFinder
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import DatabaseConnected, emit
from conductor_actors.ports import CheckResult, WriteResult


class PostgresRowStore:
    """A `RowStore` and `Retention`. It connects at the first call, and again after a failure.

    Each transaction has the whole deadline. Only one thread may use a store. With rows it enqueues
    their events for the tenants that have a webhook.
    """

    def __init__(
        self,
        url: str,
        deadline_s: float = DATABASE_DEADLINE_S,
        has_webhook: HasWebhook = no_webhook,
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._has_webhook = has_webhook
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
        """Delete rows older than so many days, in the way of the server's edition, and sessions.

        Return how many rows of plain tables or chunks of hypertables were deleted; those that the
        server deletes by itself from now on don't count. The number of transactions is not
        bounded: use a store of its own.
        """
        with self._connected() as table:
            connection = table.connection
            with deadline(connection, self._deadline_s):
                edition = editions.detect_server(connection).edition
            return editions.apply_retention(connection, edition, days, self._deadline_s)

    def check(self) -> list[CheckResult]:
        """Check what can be written: rows, any text, feedback and titles. Change nothing."""
        others = check_encoding, check_feedback, check_titles
        return self._check(check_access, *self._webhook_checks(), *others)

    def check_access(self) -> list[CheckResult]:
        """Check whether rows can be written, without changing anything."""
        return self._check(check_access, *self._webhook_checks())

    def _webhook_checks(self) -> Sequence[Callable[[DatabaseConnection], Iterator[CheckResult]]]:
        return () if self._has_webhook is no_webhook else (check_webhooks,)

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
        self._table = MetricsTable(connection, self._deadline_s, self._has_webhook)
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

"""A connection that stays open between calls, and is opened again after a failure."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg.rows import TupleRow

from conductor_actors.adapters.postgres.connection import (
    DatabaseConnection,
    Statement,
    connect,
    execute_in_transaction,
    transaction,
)


class KeptConnection:
    """One connection, which is opened at the first use. Only one thread may use it."""

    def __init__(self, url: str, deadline_s: float) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connection: DatabaseConnection | None = None

    @contextmanager
    def transaction(self) -> Iterator[DatabaseConnection]:
        """Run the block in one transaction with the whole deadline."""
        with self._connected() as connection, transaction(connection, self._deadline_s):
            yield connection

    def execute(self, statements: Sequence[Statement]) -> list[psycopg.Cursor[TupleRow]]:
        """Execute statements in a transaction and in one round trip."""
        with self._connected() as connection:
            return execute_in_transaction(connection, self._deadline_s, statements, b"COMMIT")

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[DatabaseConnection]:
        """Lend the connection, which is closed if the block raises."""
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            if self._connection is None:
                self._connection = connect(self._url, self._deadline_s)
            yield self._connection
            on_failure.pop_all()

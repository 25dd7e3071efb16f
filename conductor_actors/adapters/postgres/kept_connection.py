"""A connection that stays open between calls, and is opened again after a failure."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from conductor_actors.adapters.postgres.connection import (
    DatabaseConnection,
    Statement,
    connect,
    execute_in_transaction,
    transaction,
)
from conductor_actors.errors import Unavailable

TURN_TIMEOUT_S: Final = 1.0  # many threads that wait for a server must not wait for each other


class KeptConnection:
    """One connection, which is opened at the first use. Threads take turns."""

    def __init__(self, url: str, deadline_s: float) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connection: DatabaseConnection | None = None
        self._turn = Lock()

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
        if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
            raise Unavailable("database: another thread waits for it")
        with ExitStack() as on_exit, ExitStack() as on_failure:
            on_exit.callback(self._turn.release)
            on_failure.callback(self.close)
            if self._connection is None:
                self._connection = connect(self._url, self._deadline_s)
            yield self._connection
            on_failure.pop_all()

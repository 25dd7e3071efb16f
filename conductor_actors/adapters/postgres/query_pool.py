"""Run the queries of the dashboard on an event loop, over a few connections."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple, TypeAlias

import psycopg
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from conductor_actors.adapters.postgres.connection import (
    conninfo_with_defaults,
    mapped_error,
    primary_message,
)
from conductor_actors.errors import ConfigError, Overloaded, TablesMissing, Unavailable

QUERY_DEADLINE_S: Final = 5.0
QUERY_CONNECT_S: Final = 3
MAX_WAITING_QUERIES: Final = 64  # more are refused at once
MAX_QUERY_WAIT_S: Final = 3.0  # for one of the connections

# One message, so that it costs one round trip.
_BEGIN_QUERY: Final = sql.SQL(
    "BEGIN {}; SET LOCAL statement_timeout = {};"
    " SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
)
_READ_ONLY: Final = sql.SQL("READ ONLY")
_READ_WRITE: Final = sql.SQL("READ WRITE")

Query: TypeAlias = LiteralString | sql.Composed
Values: TypeAlias = Sequence[object] | Mapping[str, object]
Records: TypeAlias = list[tuple[Any, ...]]


class QueryLimits(NamedTuple):
    """When the server ends a query, which then is no outage, and when it is known to be away.

    With these limits, each query runs on one core of the server.
    """

    timeout_ms: int
    deadline_s: float


class QueryPool:
    """A pool of connections. Each query ends within its deadline.

    Queries beyond those that the connections can serve soon raise `Overloaded`, which says nothing
    about the database. Its message names the `subject`, which is what clients request.
    """

    def __init__(
        self,
        url: str,
        connections: int,
        subject: str,
        limits: QueryLimits | None = None,
    ) -> None:
        conninfo = conninfo_with_defaults(url, QUERY_CONNECT_S, "conductor-actors dashboard")
        self._subject = subject
        self._limits = limits
        self._connections = asyncio.Semaphore(connections)
        self._waiting_queries = 0
        self._abandoned: set[asyncio.Task[Records]] = set()
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=0,
            max_size=connections,
            timeout=QUERY_CONNECT_S,
            open=False,
            check=AsyncConnectionPool.check_connection,
            kwargs={"autocommit": True, "prepare_threshold": None},
        )

    async def open(self) -> None:
        """Open the pool; the first query connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def run(
        self,
        query: Query,
        values: Values = (),
        *,
        writes: bool = False,
        max_wait_s: float = MAX_QUERY_WAIT_S,
    ) -> Records:
        """Run a query when one of the connections is free; return its records.

        A query that `writes` runs in a transaction that allows it, whatever the role's default is.
        """
        await self._wait_for_connection(max_wait_s)
        try:
            return await self._run_in_task(query, values, writes)
        finally:
            self._connections.release()

    async def _wait_for_connection(self, max_wait_s: float) -> None:
        """Wait until a query may use a connection; otherwise a wait in the pool is an outage."""
        if self._waiting_queries >= MAX_WAITING_QUERIES:
            raise self._overloaded()
        self._waiting_queries += 1
        try:
            await asyncio.wait_for(self._connections.acquire(), max_wait_s)
        except TimeoutError:
            raise self._overloaded() from None
        finally:
            self._waiting_queries -= 1

    def _overloaded(self) -> Overloaded:
        return Overloaded(f"too many requests for {self._subject} at once")

    async def _run_in_task(self, query: Query, values: Values, writes: bool) -> Records:
        """Run a query in its own task: the driver's clean-up after a dead server may take long."""
        task = asyncio.create_task(self._fetch(query, values, writes))
        deadline_s = self._limits.deadline_s if self._limits else QUERY_DEADLINE_S
        try:
            done, _ = await asyncio.wait({task}, timeout=deadline_s)
        finally:
            if not task.done():
                self._abandon(task)
        if not done:
            raise Unavailable(f"the database did not answer within {deadline_s:g} s")
        return task.result()

    async def _fetch(self, query: Query, values: Values, writes: bool) -> Records:
        try:
            async with self._pool.connection() as connection:  # commits at the end
                await self._begin(connection, writes)
                # Binary, because a role's or database's settings change text: they round numbers
                # and format times in ways that the driver can't read.
                found = await connection.execute(query, values, binary=True)
                return await found.fetchall()
        except psycopg.Error as error:
            if self._limits is not None and isinstance(error, psycopg.errors.QueryCanceled):
                raise Overloaded(f"these {self._subject} take too long to read") from None
            mapped = mapped_error(error)
            if isinstance(error, psycopg.errors.UndefinedTable):
                raise TablesMissing(str(mapped)) from None
            if isinstance(mapped, Unavailable | ConfigError):
                raise mapped from None
            raise Unavailable(primary_message(error)) from None

    async def _begin(self, connection: AsyncConnection, writes: bool) -> None:
        if self._limits is not None:
            mode = _READ_WRITE if writes else _READ_ONLY
            await connection.execute(_BEGIN_QUERY.format(mode, self._limits.timeout_ms))
        elif writes:
            await connection.execute("BEGIN READ WRITE")

    def _abandon(self, task: asyncio.Task[Records]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.cancel()

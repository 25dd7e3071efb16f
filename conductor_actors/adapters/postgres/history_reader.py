"""Read the stored scores of sessions on an event loop, each or several in one step."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, LiteralString, TypeAlias

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from conductor_actors.adapters.postgres.connection import (
    conninfo_with_defaults,
    mapped_error,
    primary_message,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import COLUMNS, UNKNOWN_AUDIENCE
from conductor_actors.domain.scoring import Signals
from conductor_actors.errors import ConfigError, Overloaded, TablesMissing, Unavailable
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports import HistoryStep, StoredScore, TickScore

HISTORY_DEADLINE_S: Final = 5.0
HISTORY_CONNECT_S: Final = 3
MAX_CONNECTIONS: Final = 4
MAX_WAITING_READS: Final = 64  # more are refused at once
MAX_READ_WAIT_S: Final = 3.0  # for one of the connections

Statement: TypeAlias = LiteralString | sql.Composed

_AGGREGATE_STEP: Final = timedelta(minutes=1)  # the step of the view engagement_1m

_SELECT_SESSION: Final = sql.SQL(
    "SELECT {}, metadata->>'audience' FROM engagement_metrics"
    " WHERE tenant_id = %s AND session_id = %s"
).format(
    sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS if name not in SessionKey._fields)
)
_SELECT_ROWS: Final = _SELECT_SESSION + sql.SQL(" AND time >= %s AND time < %s ORDER BY time")
_SELECT_NEWEST: Final = _SELECT_SESSION + sql.SQL(" ORDER BY time DESC LIMIT 1")
_SELECT_SCORES: Final = """
    SELECT session_id, time, engagement_score, category FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = ANY(%s) AND time >= %s AND time < %s ORDER BY time
"""
_SELECT_ANY: Final = "SELECT 1 FROM engagement_metrics LIMIT 1"
_SELECT_STEPS: Final = """
    SELECT date_bin(%b, time, 'epoch'), avg(engagement_score), min(engagement_score),
           max(engagement_score), max(active_users), max(total_users), count(*)
    FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = %s AND time >= %s AND time < %s
    GROUP BY 1 ORDER BY 1
"""
_SELECT_AGGREGATED_STEPS: Final = """
    SELECT date_bin(%b, bucket, 'epoch'), sum(avg_score * ticks) / sum(ticks), min(min_score),
           max(max_score), max(max_active_users), max(max_total_users), sum(ticks)::bigint
    FROM engagement_1m
    WHERE tenant_id = %s AND session_id = %s AND bucket >= %s AND bucket < %s
    GROUP BY 1 ORDER BY 1
"""


class PostgresHistoryReader:
    """A `HistoryReader` with a pool of connections. Each read ends within its deadline.

    Reads beyond those that the connections can serve soon raise `Overloaded`, which says nothing
    about the database.
    """

    def __init__(self, url: str) -> None:
        conninfo = conninfo_with_defaults(url, HISTORY_CONNECT_S, "conductor-actors dashboard")
        self._connections = asyncio.Semaphore(MAX_CONNECTIONS)
        self._waiting_reads = 0
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=HISTORY_CONNECT_S,
            open=False,
            check=AsyncConnectionPool.check_connection,
            kwargs={"autocommit": True, "prepare_threshold": None},
        )

    async def open(self) -> None:
        """Open the pool of connections; the first read connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def check(self) -> None:
        """Return if scores can be read."""
        await self._read(_SELECT_ANY, ())

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> list[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""
        found = await self._read(_SELECT_ROWS, (*key, to_datetime(first_ms), to_datetime(until_ms)))
        return [_stored_score(record) for record in found]

    async def scores(
        self, tenant: str, session_ids: Sequence[str], first_ms: int, until_ms: int
    ) -> dict[str, list[TickScore]]:
        """Return the scores of several sessions in `[first_ms, until_ms)`, oldest first.

        It is one query. Sessions without a score are absent.
        """
        values = tenant, list(session_ids), to_datetime(first_ms), to_datetime(until_ms)
        found: defaultdict[str, list[TickScore]] = defaultdict(list)
        for session_id, at, score, category in await self._read(_SELECT_SCORES, values):
            found[session_id].append(TickScore(to_ms(at), score, category))
        return dict(found)

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, if there is one."""
        found = await self._read(_SELECT_NEWEST, key)
        return _stored_score(found[0]) if found else None

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> list[HistoryStep]:
        """Return `[first_ms, until_ms)` in steps, oldest first; both must be whole steps.

        Steps of whole minutes come from the continuous aggregate, where there is one.
        """
        query: LiteralString = _SELECT_STEPS
        if step % _AGGREGATE_STEP == timedelta(0):
            found = await self._read("SELECT to_regclass('engagement_1m') IS NOT NULL", ())
            query = _SELECT_AGGREGATED_STEPS if found[0][0] else _SELECT_STEPS
        found = await self._read(query, (step, *key, to_datetime(first_ms), to_datetime(until_ms)))
        return [HistoryStep(to_ms(record[0]), *record[1:]) for record in found]

    async def _read(self, query: Statement, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Run a query when one of the connections is free."""
        await self._wait_for_connection()
        try:
            return await self._run(query, values)
        finally:
            self._connections.release()

    async def _wait_for_connection(self) -> None:
        """Wait until a read may use a connection; otherwise a wait in the pool is an outage."""
        if self._waiting_reads >= MAX_WAITING_READS:
            raise Overloaded("too many requests for histories at once")
        self._waiting_reads += 1
        try:
            await asyncio.wait_for(self._connections.acquire(), MAX_READ_WAIT_S)
        except TimeoutError:
            raise Overloaded("too many requests for histories at once") from None
        finally:
            self._waiting_reads -= 1

    async def _run(self, query: Statement, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Run a query in its own task: the driver's clean-up after a dead server may take long."""
        task = asyncio.create_task(self._fetch(query, values))
        try:
            done, _ = await asyncio.wait({task}, timeout=HISTORY_DEADLINE_S)
        finally:
            if not task.done():
                self._abandon(task)
        if not done:
            raise Unavailable(f"the database did not answer within {HISTORY_DEADLINE_S:g} s")
        return task.result()

    async def _fetch(self, query: Statement, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as connection:
                # Binary, because a role's or database's settings change text: they round numbers
                # and format times in ways that the driver can't read.
                found = await connection.execute(query, values, binary=True)
                return await found.fetchall()
        except psycopg.Error as error:
            mapped = mapped_error(error)
            if isinstance(error, psycopg.errors.UndefinedTable):
                raise TablesMissing(str(mapped)) from None
            if isinstance(mapped, Unavailable | ConfigError):
                raise mapped from None
            raise Unavailable(primary_message(error)) from None

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.cancel()


def _stored_score(record: tuple[Any, ...]) -> StoredScore:
    at, event_id, score, category, *signals, audience = record
    is_audience_known = audience != UNKNOWN_AUDIENCE
    return StoredScore(to_ms(at), event_id, score, category, Signals(*signals), is_audience_known)

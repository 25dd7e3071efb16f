"""What the database has of a session: its rows, or several of them in one step."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.reach import Reach
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Signals
from conductor_actors.errors import Unavailable

ANSWERED_WITHIN_S: Final = 5.0
CONNECTED_WITHIN_S: Final = 3
MOST_CONNECTIONS: Final = 4
MOST_WAITING: Final = 64  # questions; more are refused at once
LOOK_EVERY_S: Final = 5.0
LOOK_AGAIN_S: Final = 1.0  # while it is away

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_AGGREGATED: Final = timedelta(minutes=1)  # the step of the view engagement_1m

_ROWS: Final = """
    SELECT time, event_id, engagement_score, category, chat_msgs_per_min, poll_participation,
           active_users, total_users, reactions_per_min, user_leave_rate
    FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = %s AND time >= %s AND time < %s
    ORDER BY time
"""
_NEWEST: Final = """
    SELECT time, event_id, engagement_score, category, chat_msgs_per_min, poll_participation,
           active_users, total_users, reactions_per_min, user_leave_rate
    FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = %s
    ORDER BY time DESC LIMIT 1
"""
_LOOK: Final = "SELECT 1 FROM engagement_metrics LIMIT 1"
_STEPS: Final = """
    SELECT date_bin(%s, time, 'epoch'), avg(engagement_score), min(engagement_score),
           max(engagement_score), max(active_users), max(total_users), count(*)
    FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = %s AND time >= %s AND time < %s
    GROUP BY 1 ORDER BY 1
"""
_AGGREGATED_STEPS: Final = """
    SELECT date_bin(%s, bucket, 'epoch'), sum(avg_score * ticks) / sum(ticks), min(min_score),
           max(max_score), max(max_active_users), max(max_total_users), sum(ticks)::bigint
    FROM engagement_1m
    WHERE tenant_id = %s AND session_id = %s AND bucket >= %s AND bucket < %s
    GROUP BY 1 ORDER BY 1
"""


class Row(NamedTuple):
    """One tick of a session, as it was stored."""

    at_ms: int
    event_id: str
    score: float
    category: str
    signals: Signals


class HistoryStep(NamedTuple):
    """Several ticks of a session in one."""

    at_ms: int
    score: float
    min_score: float
    max_score: float
    max_active_users: int
    max_total_users: int
    ticks: int


class Rows:
    """Ask for rows; every question is answered within its deadline, or raises `Unavailable`.

    While the database is away nobody waits for it: `run` looks when it is back.
    """

    def __init__(self, url: str, metrics: DashboardMetrics, reach: Reach) -> None:
        self._metrics = metrics
        self._reach = reach
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._pool = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=MOST_CONNECTIONS,
            max_waiting=MOST_WAITING,
            timeout=CONNECTED_WITHIN_S,
            open=False,
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "connect_timeout": CONNECTED_WITHIN_S,
                "fallback_application_name": "conductor-actors dashboard",
            },
        )

    async def run(self) -> None:
        """Keep connections, and look regularly whether the database is there, until cancelled."""
        async with self._pool:
            while True:
                with suppress(Unavailable):  # the reach has said so
                    await self._ask_now(_LOOK, ())
                is_away = self._reach.state == "away"
                await asyncio.sleep(LOOK_AGAIN_S if is_away else LOOK_EVERY_S)

    async def between(self, key: SessionKey, first_ms: int, until_ms: int) -> list[Row]:
        """Give the rows of `[first, until)`, oldest first."""
        found = await self._ask(_ROWS, (*key, _at(first_ms), _at(until_ms)))
        return [_row(record) for record in found]

    async def newest(self, key: SessionKey) -> Row | None:
        """Give the last row there is."""
        found = await self._ask(_NEWEST, key)
        return _row(found[0]) if found else None

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> list[HistoryStep]:
        """Give `[first, until)` in steps, oldest first; both ends must be whole steps.

        Steps of whole minutes come from the continuous aggregate, where there is one.
        """
        query = _STEPS
        if step % _AGGREGATED == timedelta(0):
            found = await self._ask("SELECT to_regclass('engagement_1m') IS NOT NULL", ())
            query = _AGGREGATED_STEPS if found[0][0] else _STEPS
        found = await self._ask(query, (step, *key, _at(first_ms), _at(until_ms)))
        return [HistoryStep(_ms(record[0]), *record[1:]) for record in found]

    async def _ask(self, query: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
        if self._reach.state == "away":
            raise Unavailable("the database can't be asked now")
        return await self._ask_now(query, values)

    async def _ask_now(
        self, query: LiteralString, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        """Ask on a task of its own: a driver that tidies up after a dead server keeps nobody."""
        task = asyncio.create_task(self._fetch(query, values))
        try:
            with self._metrics.history_seconds.time():
                done, _ = await asyncio.wait({task}, timeout=ANSWERED_WITHIN_S)
        finally:
            if not task.done():
                self._abandon(task)
        if not done:
            self._reach.is_away(f"no answer within {ANSWERED_WITHIN_S:g} s")
            raise Unavailable("the database did not answer in time")
        return task.result()

    async def _fetch(self, query: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as connection:
                found = await (await connection.execute(query, values)).fetchall()
        except psycopg.Error as error:
            self._reach.is_away(error.diag.message_primary or " ".join(str(error).split()))
            raise Unavailable("the database can't be asked now") from None
        self._reach.is_there()
        return found

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._cancelled.add(task)
        task.add_done_callback(self._cancelled.discard)
        task.cancel()


def _row(record: tuple[Any, ...]) -> Row:
    at, event_id, score, category, *signals = record
    return Row(_ms(at), event_id, score, category, Signals(*signals))


def _at(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS

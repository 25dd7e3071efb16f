"""Read the stored scores of sessions on an event loop, each or several in one step."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, LiteralString

from psycopg import sql

from conductor_actors.adapters.postgres.query_pool import QueryPool
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import COLUMNS, UNKNOWN_AUDIENCE
from conductor_actors.domain.scoring import Signals
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.score_port import HistoryStep, StoredScore, TickScore

MAX_HISTORY_CONNECTIONS: Final = 4

_AGGREGATE_STEP: Final = timedelta(minutes=1)  # the step of the view engagement_1m

_STORED_SCORE: Final = sql.SQL("{}, metadata->>'audience', metadata->'expected'").format(
    sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS if name not in SessionKey._fields)
)
_SELECT_SESSION: Final = sql.SQL(
    "SELECT {} FROM engagement_metrics WHERE tenant_id = %s AND session_id = %s"
).format(_STORED_SCORE)
_SELECT_ROWS: Final = _SELECT_SESSION + sql.SQL(" AND time >= %s AND time < %s ORDER BY time")
_SELECT_NEWEST: Final = _SELECT_SESSION + sql.SQL(" ORDER BY time DESC LIMIT 1")
_SELECT_SCORES: Final = """
    SELECT session_id, time, engagement_score, category FROM engagement_metrics
    WHERE tenant_id = %s AND session_id = ANY(%s) AND time >= %s AND time < %s ORDER BY time
"""
_COUNT_LIVE: Final = """
    SELECT count(*), EXISTS (SELECT FROM engagement_metrics) FROM sessions WHERE ended_at IS NULL
"""
# One look-up in the index of the rows for each session.
_SELECT_LIVE: Final = sql.SQL("""
    SELECT live.session_id, newest.* FROM (
        SELECT tenant_id, session_id FROM sessions WHERE tenant_id = %s AND ended_at IS NULL
        ORDER BY started_at DESC, session_id LIMIT %s
    ) AS live CROSS JOIN LATERAL (
        SELECT {} FROM engagement_metrics AS stored
        WHERE stored.tenant_id = live.tenant_id AND stored.session_id = live.session_id
        AND time >= %s ORDER BY time DESC LIMIT 1
    ) AS newest
""").format(_STORED_SCORE)
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


_SELECT_EVENT: Final = "SELECT event_id FROM sessions WHERE tenant_id = %s AND session_id = %s"
_SELECT_EVENT_SESSIONS: Final = """
    SELECT session_id FROM sessions WHERE tenant_id = %s AND event_id = ANY(%s)
    ORDER BY started_at DESC, session_id LIMIT %s
"""


class PostgresHistoryReader:
    """A `HistoryReader` with a pool of connections."""

    def __init__(self, url: str) -> None:
        self._pool = QueryPool(url, MAX_HISTORY_CONNECTIONS, "histories")

    async def open(self) -> None:
        """Open the pool of connections; the first read connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def count_live(self) -> int:
        """Return how many sessions are live, of all tenants; it shows that scores can be read."""
        [[count, _]] = await self._pool.run(_COUNT_LIVE)
        return int(count)

    async def live(self, tenant: str, since_ms: int, limit: int) -> dict[str, StoredScore]:
        """Return the last score of each live session of a tenant that has one since an instant."""
        values = tenant, limit, to_datetime(since_ms)
        found = await self._pool.run(_SELECT_LIVE, values)
        return {session_id: _stored_score(tuple(record)) for session_id, *record in found}

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> list[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""
        found = await self._pool.run(
            _SELECT_ROWS, (*key, to_datetime(first_ms), to_datetime(until_ms))
        )
        return [_stored_score(record) for record in found]

    async def scores(
        self, tenant: str, session_ids: Sequence[str], first_ms: int, until_ms: int
    ) -> dict[str, list[TickScore]]:
        """Return the scores of several sessions in `[first_ms, until_ms)`, oldest first.

        It is one query. Sessions without a score are absent.
        """
        values = tenant, list(session_ids), to_datetime(first_ms), to_datetime(until_ms)
        found: defaultdict[str, list[TickScore]] = defaultdict(list)
        for session_id, at, score, category in await self._pool.run(_SELECT_SCORES, values):
            found[session_id].append(TickScore(to_ms(at), score, category))
        return dict(found)

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, if there is one."""
        found = await self._pool.run(_SELECT_NEWEST, key)
        return _stored_score(found[0]) if found else None

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> list[HistoryStep]:
        """Return `[first_ms, until_ms)` in steps, oldest first; both must be whole steps.

        Steps of whole minutes come from the continuous aggregate, where there is one.
        """
        query: LiteralString = _SELECT_STEPS
        if step % _AGGREGATE_STEP == timedelta(0):
            found = await self._pool.run("SELECT to_regclass('engagement_1m') IS NOT NULL")
            query = _SELECT_AGGREGATED_STEPS if found[0][0] else _SELECT_STEPS
        found = await self._pool.run(
            query, (step, *key, to_datetime(first_ms), to_datetime(until_ms))
        )
        return [HistoryStep(to_ms(record[0]), *record[1:]) for record in found]

    async def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session, or None if it has no row."""
        found = await self._pool.run(_SELECT_EVENT, key)
        return found[0][0] if found else None

    async def sessions_of_events(
        self, tenant: str, event_ids: Sequence[str], limit: int
    ) -> list[str]:
        """Return the ids of the sessions of some events, the newest first."""
        values = tenant, list(event_ids), limit
        return [record[0] for record in await self._pool.run(_SELECT_EVENT_SESSIONS, values)]


def _stored_score(record: tuple[Any, ...]) -> StoredScore:
    at, event_id, score, category, *signals, audience, expected = record
    return StoredScore(
        to_ms(at),
        event_id,
        score,
        category,
        Signals(*signals),
        audience != UNKNOWN_AUDIENCE,
        _expected_score(expected),
    )


def _expected_score(expected: object) -> ExpectedScore | None:
    match expected:
        case [float() | int() as low, float() | int() as high]:
            return ExpectedScore(low, high)
    return None

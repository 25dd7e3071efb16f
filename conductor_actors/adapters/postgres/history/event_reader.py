"""Read events: which there are, the curves of their sessions, and their moments."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from psycopg import sql

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.moments import (
    SELECT_MOMENTS,
    moments_of,
    moments_values,
)
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.history_port import (
    EventPosition,
    EventSelection,
    ScoreChanges,
    SessionStep,
    StoredEvent,
    TimeRange,
)

_MINUTE: Final = timedelta(minutes=1)  # the step of engagement_1m

_SELECT_EVENTS: Final = sql.SQL("""
    SELECT found.event_id, e.title, sessions, live_sessions, started_at, ended_at
    FROM (
        SELECT event_id, count(*) AS sessions,
               count(*) FILTER (WHERE ended_at IS NULL) AS live_sessions,
               min(started_at) AS started_at,
               CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END AS ended_at
        FROM sessions AS s WHERE tenant_id = %(tenant_id)s {among}
        GROUP BY event_id
    ) AS found
    LEFT JOIN event_titles AS e ON e.tenant_id = %(tenant_id)s AND e.event_id = found.event_id
    WHERE true {conditions}
    ORDER BY started_at DESC, found.event_id LIMIT %(limit)s
""")
_AMONG_SESSIONS: Final = sql.SQL("AND session_id = ANY(%(session_ids)s)")
_EVENTS_SINCE: Final = sql.SQL(" AND started_at >= %(first)s")
_EVENTS_BEFORE: Final = sql.SQL(" AND started_at < %(until)s")
_SEARCHED_EVENTS: Final = sql.SQL(
    " AND strpos(lower(concat_ws(E'\\n', found.event_id, e.title)), lower(%(search)s)) > 0"
)
_EVENTS_AFTER: Final = sql.SQL(
    " AND (started_at < %(after_at)s"
    " OR started_at = %(after_at)s AND found.event_id > %(after_id)s)"
)

_HAS_AGGREGATE: Final = "SELECT to_regclass('engagement_1m') IS NOT NULL"
_SELECT_CURVES: Final = """
    SELECT session_id, step.*
    FROM unnest(%(session_ids)s::text[], %(ends)s::timestamptz[]) AS requested (session_id, end_at)
    CROSS JOIN LATERAL (
        SELECT date_bin(%(step)s, time, 'epoch'), avg(engagement_score), max(total_users)
        FROM engagement_metrics AS metrics
        WHERE metrics.tenant_id = %(tenant_id)s AND metrics.session_id = requested.session_id
          AND time >= %(first)s AND time < %(until)s AND time < end_at
        GROUP BY 1 ORDER BY 1
    ) AS step
"""
_SELECT_AGGREGATED_CURVES: Final = """
    SELECT session_id, step.*
    FROM unnest(%(session_ids)s::text[], %(ends)s::timestamptz[]) AS requested (session_id, end_at)
    CROSS JOIN LATERAL (
        SELECT date_bin(%(step)s, bucket, 'epoch'), sum(avg_score * ticks) / sum(ticks),
               max(max_total_users)
        FROM engagement_1m AS minutes
        WHERE minutes.tenant_id = %(tenant_id)s AND minutes.session_id = requested.session_id
          AND bucket >= %(first)s AND bucket < %(until)s AND bucket < end_at
        GROUP BY 1 ORDER BY 1
    ) AS step
"""


class PostgresEventReader:
    """An `EventReader` on the connections for histories."""

    def __init__(self, queries: HistoryQueries, tick_s: int) -> None:
        self._queries = queries
        self._tick_s = tick_s

    async def find(
        self, selection: EventSelection, limit: int, after: EventPosition | None = None
    ) -> list[StoredEvent]:
        """Return at most `limit` events after a position, newest start first."""
        conditions = sql.Composed([])
        for value, condition in (
            (selection.first_ms, _EVENTS_SINCE),
            (selection.until_ms, _EVENTS_BEFORE),
            (selection.search, _SEARCHED_EVENTS),
            (after, _EVENTS_AFTER),
        ):
            if value is not None:
                conditions += condition
        among = sql.SQL("") if selection.session_ids is None else _AMONG_SESSIONS
        query = _SELECT_EVENTS.format(among=among, conditions=conditions)
        values = _selection_values(selection, after) | {"limit": limit}
        found = await self._queries.run(selection.tenant_id, query, values)
        return [_stored_event(each) for each in found]

    async def curves(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange, step: timedelta
    ) -> dict[str, list[SessionStep]]:
        """Return the steps of several sessions in a range of whole steps, oldest first.

        Steps of whole minutes come from the continuous aggregate, where there is one.
        """
        query = _SELECT_CURVES
        if step % _MINUTE == timedelta(0):
            [[has_aggregate]] = await self._queries.run(tenant_id, _HAS_AGGREGATE)
            query = _SELECT_AGGREGATED_CURVES if has_aggregate else query
        values = {
            "tenant_id": tenant_id,
            "session_ids": list(ends_ms),
            "ends": [*map(to_datetime, ends_ms.values())],
            "first": to_datetime(during.first_ms),
            "until": to_datetime(during.until_ms),
            "step": step,
        }
        curves: defaultdict[str, list[SessionStep]] = defaultdict(list)
        for session_id, at, score, users in await self._queries.run(tenant_id, query, values):
            curves[session_id].append(SessionStep(to_ms(at), score, users))
        return dict(curves)

    async def moments(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange
    ) -> ScoreChanges:
        """Return the largest changes of these sessions before their ends."""
        values = moments_values(tenant_id, ends_ms, *during, self._tick_s)
        return moments_of(await self._queries.run(tenant_id, SELECT_MOMENTS, values))


def _stored_event(record: tuple[Any, ...]) -> StoredEvent:
    event_id, title, sessions, live_sessions, started_at, ended_at = record
    ended_ms = None if ended_at is None else to_ms(ended_at)
    return StoredEvent(event_id, title, sessions, live_sessions, to_ms(started_at), ended_ms)


def _selection_values(selection: EventSelection, after: EventPosition | None) -> dict[str, object]:
    first_ms, until_ms = selection.first_ms, selection.until_ms
    return {
        "tenant_id": selection.tenant_id,
        "session_ids": list(selection.session_ids or ()),
        "search": selection.search,
        "first": None if first_ms is None else to_datetime(first_ms),
        "until": None if until_ms is None else to_datetime(until_ms),
        "after_at": None if after is None else to_datetime(after.started_ms),
        "after_id": None if after is None else after.event_id,
    }

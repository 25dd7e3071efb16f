"""The query that finds the moments of sessions: the largest changes of scores within a minute."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from psycopg import sql

from conductor_actors.adapters.postgres.query_pool import Records
from conductor_actors.domain.charts.largest_changes import (
    MAX_MOMENTS,
    MOMENT_S,
    ScoreChange,
    largest_changes,
    sufficient_changes,
)
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.history_port import ScoreChanges

# A frame of one instant is the row exactly a minute before, if there is one. Moments can only be in
# the sessions whose largest change is among the largest: those of these alone are sorted.
SELECT_MOMENTS: Final = sql.SQL("""
    WITH extremes AS (
        SELECT session_id, end_at, highest, lowest
        FROM unnest(%(session_ids)s::text[], %(ends)s::timestamptz[])
            AS requested (session_id, end_at)
        CROSS JOIN LATERAL (
            SELECT max(after - before) AS highest, min(after - before) AS lowest
            FROM ({changes}) AS change
        ) AS extreme
    ), chosen AS (
        (SELECT session_id, end_at FROM extremes WHERE highest > 0
         ORDER BY highest DESC FETCH FIRST (%(sessions)s) ROWS WITH TIES)
        UNION
        (SELECT session_id, end_at FROM extremes WHERE lowest < 0
         ORDER BY lowest FETCH FIRST (%(sessions)s) ROWS WITH TIES)
    ), changes AS MATERIALIZED (
        SELECT session_id, time, before, after
        FROM chosen AS requested CROSS JOIN LATERAL ({changes}) AS change
        WHERE before <> after
    )
    (SELECT session_id, time, before, after FROM changes WHERE after > before
     ORDER BY before - after, time, session_id COLLATE "C" LIMIT %(changes)s)
    UNION ALL
    (SELECT session_id, time, before, after FROM changes WHERE after < before
     ORDER BY after - before, time, session_id COLLATE "C" LIMIT %(changes)s)
""").format(
    changes=sql.SQL("""
        SELECT time, engagement_score AS after, first_value(engagement_score) OVER (
            ORDER BY time RANGE BETWEEN %(minute)s PRECEDING AND %(minute)s PRECEDING
        ) AS before
        FROM engagement_metrics AS metrics
        WHERE metrics.tenant_id = %(tenant_id)s AND metrics.session_id = requested.session_id
          AND metrics.time >= %(first)s AND metrics.time < %(until)s
          AND metrics.time < requested.end_at
    """)
)


def moments_values(
    tenant_id: str, ends_ms: Mapping[str, int], first_ms: int, until_ms: int, tick_s: int
) -> dict[str, object]:
    """Return the values of the query, for `[first_ms, until_ms)`."""
    return {
        "tenant_id": tenant_id,
        "session_ids": list(ends_ms),
        "ends": [*map(to_datetime, ends_ms.values())],
        "first": to_datetime(first_ms),
        "until": to_datetime(until_ms),
        "minute": timedelta(seconds=MOMENT_S),
        "sessions": MAX_MOMENTS,
        "changes": sufficient_changes(tick_s),
    }


def moments_of(records: Records) -> ScoreChanges:
    """Return the moments among the changes that the query found."""
    changes = [
        ScoreChange(session_id, to_ms(at), before, after)
        for session_id, at, before, after in records
    ]
    rises = (one for one in changes if one.change > 0)
    falls = (one for one in changes if one.change < 0)
    return ScoreChanges(largest_changes(rises), largest_changes(falls))

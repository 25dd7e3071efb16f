"""The query of a report's figures: one pass over the rows of its sessions in a slice of time.

An event may have a million rows, which are far apart in the table. So each row is fetched once, for
all figures; and slices of time keep a query short, and its pages near each other. Figures of slices
are added up.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.history.contribution_columns import (
    CONTRIBUTIONS_OF_ROW,
    contribution_values,
)
from conductor_actors.domain.charts.chart_steps import chart_step_s
from conductor_actors.domain.charts.largest_changes import MOMENT_S, sufficient_changes
from conductor_actors.instants import to_datetime
from conductor_actors.ports.report_port import ReportRules

MAX_CURVE_POINTS: Final = 240
MAX_ROWS_PER_SLICE: Final = 200_000  # half a second

# Of the arrays [score, -time] the greatest is that of the highest score, and of these the first.
# Windows one window apart have what all have, once. A frame of one instant is the row exactly a
# minute before, if there is one. In a run of ticks, time less ticks so far is the same.
SELECT_FIGURES: Final = sql.SQL("""
    WITH reported AS (
        SELECT number::int AS session, session_id, last
        FROM unnest(%(session_ids)s::text[], %(lasts)s::timestamptz[])
        WITH ORDINALITY AS requested (session_id, last, number)
    ), scored AS MATERIALIZED (
        SELECT session, row.*,
            date_part('epoch', last - time)::bigint %% %(window_s)s < %(tick_s)s AS is_apart
        FROM reported CROSS JOIN LATERAL (
            SELECT time, engagement_score AS score, category, total_users::float8 AS users,
                poll_participation AS poll, chat_msgs_per_min AS chat,
                reactions_per_min AS reactions, {contributions},
                first_value(engagement_score) OVER (
                    ORDER BY time RANGE BETWEEN %(minute)s PRECEDING AND %(minute)s PRECEDING
                ) AS before
            FROM engagement_metrics AS metrics
            WHERE metrics.tenant_id = %(tenant_id)s
              AND metrics.session_id = reported.session_id
              AND metrics.time >= %(first)s - %(minute)s AND metrics.time < %(until)s
              AND metrics.time <= reported.last
        ) AS row
        WHERE time >= %(first)s
    ), ticks AS MATERIALIZED (
        SELECT time, sum(users) AS users,
            CASE WHEN count(*) = 1 OR sum(users) = 0 THEN avg(score)
                ELSE least(1, sum(score * users) / sum(users))
            END AS score
        FROM scored GROUP BY time
    ), polls AS (
        SELECT session, time, poll,
            date_part('epoch', time)
                - %(tick_s)s * row_number() OVER (PARTITION BY session ORDER BY time) AS run
        FROM scored WHERE poll > 0
    )
    SELECT 'session', session, NULL, NULL::timestamptz, ARRAY[
        count(*), sum(score), max(users),
        sum(chat) FILTER (WHERE is_apart), sum(reactions) FILTER (WHERE is_apart),
        sum(chat_added), sum(poll_added), sum(active_users_added), sum(reactions_added),
        sum(leave_rate_added)
    ]::float8[] || max(ARRAY[score, -date_part('epoch', time)])
    FROM scored GROUP BY session
    UNION ALL
    SELECT 'category', NULL, category, NULL, ARRAY[count(*)]::float8[]
    FROM scored GROUP BY category
    UNION ALL
    SELECT 'peak', NULL, NULL, NULL, max(users)
        || max(ARRAY[score, -date_part('epoch', time)])
    FROM ticks HAVING count(*) > 0
    UNION ALL
    SELECT 'step', NULL, NULL, date_bin(%(step)s, time, 'epoch'),
        ARRAY[count(*), sum(score), min(score), max(score), max(users)]::float8[]
    FROM ticks GROUP BY 4
    UNION ALL
    SELECT 'poll', session, NULL, min(time),
        date_part('epoch', max(time)) || max(ARRAY[poll, -date_part('epoch', time)])
    FROM polls GROUP BY session, run
    UNION ALL
    (SELECT 'change', session, NULL, time, ARRAY[before, score] FROM scored
     WHERE score > before
     ORDER BY before - score, time, session LIMIT %(changes)s)
    UNION ALL
    (SELECT 'change', session, NULL, time, ARRAY[before, score] FROM scored
     WHERE score < before
     ORDER BY score - before, time, session LIMIT %(changes)s)
""").format(contributions=CONTRIBUTIONS_OF_ROW)


# Where a slice has no row: a session may sleep for months.
SELECT_NEXT_TICK: Final = sql.SQL("""
    SELECT min(following.time)
    FROM unnest(%(session_ids)s::text[], %(lasts)s::timestamptz[]) AS reported (session_id, last)
    CROSS JOIN LATERAL (
        SELECT time FROM engagement_metrics AS metrics
        WHERE metrics.tenant_id = %(tenant_id)s AND metrics.session_id = reported.session_id
          AND metrics.time >= %(until)s AND metrics.time <= reported.last
        ORDER BY time LIMIT 1
    ) AS following
""").format()


class ReportedRows(NamedTuple):
    """The rows of a report: those of some sessions, each until its last tick."""

    tenant_id: str
    session_ids: Sequence[str]
    lasts_ms: Sequence[int]
    first_ms: int

    @property
    def last_ms(self) -> int:
        """The last tick of all."""
        return max(self.lasts_ms)

    def step_s(self, tick_s: int) -> int:
        """Return the step of the curve."""
        return chart_step_s(self.first_ms, self.last_ms, MAX_CURVE_POINTS, tick_s)

    def slice_ms(self, tick_s: int) -> int:
        """Return the length of a slice."""
        return max(1, MAX_ROWS_PER_SLICE // len(self.session_ids)) * tick_s * 1000

    def values(self, rules: ReportRules) -> dict[str, object]:
        """Return the values of the query that all slices have in common."""
        return {
            "tenant_id": self.tenant_id,
            "session_ids": list(self.session_ids),
            "lasts": [*map(to_datetime, self.lasts_ms)],
            "step": timedelta(seconds=self.step_s(rules.tick_s)),
            "tick_s": rules.tick_s,
            "window_s": rules.window_s,
            "minute": timedelta(seconds=MOMENT_S),
            "changes": sufficient_changes(rules.tick_s),
        } | contribution_values(rules.scoring)


def slice_values(first_ms: int, until_ms: int) -> dict[str, object]:
    """Return the values of the query of the slice `[first_ms, until_ms)`."""
    return {"first": to_datetime(first_ms), "until": to_datetime(until_ms)}

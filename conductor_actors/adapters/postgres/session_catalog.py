"""End lost sessions and store the figures of ended ones, in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
)
from conductor_actors.adapters.postgres.deliveries_table import (
    HasWebhook,
    enqueue_statement,
    no_webhook,
)
from conductor_actors.adapters.postgres.kept_connection import KeptConnection
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.catalog_port import FinishedSession
from conductor_actors.wire.webhook_messages import session_ended

MAX_LOST: Final = 10_000

# An earlier version goes on until its successor takes over.
_FIND_RECENT_UPGRADE: Final = """
    SELECT applied_at - interval '1 hour' FROM schema_migrations
    WHERE name = '007_sessions' AND applied_at > now() - interval '1 day'
"""
_ADOPT: Final = """
    INSERT INTO sessions AS known (tenant_id, session_id, event_id, started_at)
    SELECT tenant_id, session_id, (array_agg(event_id ORDER BY time DESC))[1], min(time)
    FROM engagement_metrics WHERE time > %b
    GROUP BY tenant_id, session_id
    ON CONFLICT (tenant_id, session_id) DO UPDATE SET started_at = excluded.started_at
    WHERE known.started_at > excluded.started_at
"""

# A subquery of its own for each session: the planner can't read all rows to join them instead.
_FIND_LOST: Final = """
    SELECT tenant_id, session_id, coalesce(newest.time, started_at)
    FROM sessions LEFT JOIN LATERAL (
        SELECT time FROM engagement_metrics AS row
        WHERE row.tenant_id = sessions.tenant_id AND row.session_id = sessions.session_id
        ORDER BY time DESC
        LIMIT 1
    ) AS newest ON true
    WHERE ended_at IS NULL AND started_at < %(before)b
      AND coalesce(newest.time, started_at) < %(before)b
    LIMIT %(limit)s
"""

_END_LOST: Final = """
    UPDATE sessions SET ended_at = lost.ended_at
    FROM unnest(%b::text[], %b::text[], %b::timestamptz[])
        AS lost (tenant_id, session_id, ended_at)
    WHERE sessions.tenant_id = lost.tenant_id AND sessions.session_id = lost.session_id
      AND sessions.ended_at IS NULL
      AND NOT EXISTS (
          SELECT FROM engagement_metrics AS row
          WHERE row.tenant_id = lost.tenant_id AND row.session_id = lost.session_id
            AND row.time > lost.ended_at
      )
    RETURNING sessions.tenant_id, sessions.session_id, sessions.ended_at
"""

_FIND_UNSUMMARISED: Final = """
    SELECT tenant_id, session_id, ended_at FROM sessions
    WHERE ended_at IS DISTINCT FROM summarised_at AND ended_at IS NOT NULL
    ORDER BY ended_at DESC
    LIMIT %s
"""

# The row is locked only once its figures are known, so that no writer waits for them.
_SUMMARISE: Final = """
    UPDATE sessions
    SET summarised_at = ended_at, ticks = figures.ticks, mean_score = figures.mean_score,
        peak_score = figures.peak_score, peak_at = figures.peak_at, peak_users = figures.peak_users
    FROM (
        SELECT count(*) AS ticks, avg(engagement_score) AS mean_score,
               max(engagement_score) AS peak_score,
               (array_agg(time ORDER BY engagement_score DESC, time))[1] AS peak_at,
               max(total_users) AS peak_users
        FROM engagement_metrics
        WHERE tenant_id = %(tenant_id)s AND session_id = %(session_id)s AND time <= %(ended_at)b
    ) AS figures
    WHERE tenant_id = %(tenant_id)s AND session_id = %(session_id)s AND ended_at = %(ended_at)b
"""


class PostgresSessionCatalog:
    """A `SessionCatalog`. It connects at the first call, and again after a failure.

    Each call is one transaction with the whole deadline. Only one thread may use it. With the ends
    of sessions it enqueues their events for the tenants that have a webhook.
    """

    def __init__(
        self,
        url: str,
        deadline_s: float = DATABASE_DEADLINE_S,
        has_webhook: HasWebhook = no_webhook,
    ) -> None:
        self._has_webhook = has_webhook
        self._connection = KeptConnection(url, deadline_s)

    def adopt(self) -> int:
        """Add sessions that only have rows, for a day after the migration."""
        with self._connection.transaction() as connection:
            since = connection.execute(_FIND_RECENT_UPGRADE, binary=True).fetchone()
            return 0 if since is None else connection.execute(_ADOPT, since).rowcount

    def find_lost(self, before_ms: int) -> Sequence[FinishedSession]:
        """Return live sessions whose newest row is older; without rows, those that began before."""
        values = {"before": to_datetime(before_ms), "limit": MAX_LOST}
        with self._connection.transaction() as connection:
            found = connection.execute(_FIND_LOST, values, binary=True).fetchall()
        return [_finished_session(*record) for record in found]

    def end(self, sessions: Sequence[FinishedSession]) -> int:
        """End sessions, unless they have a later row; return how many have ended."""
        tenants, ids = map(list, zip(*(each.key for each in sessions), strict=True))
        ends = [to_datetime(each.ended_ms) for each in sessions]
        with self._connection.transaction() as connection:
            found = connection.execute(_END_LOST, (tenants, ids, ends), binary=True).fetchall()
            ended = [_finished_session(*record) for record in found]
            events = [
                session_ended(*each) for each in ended if self._has_webhook(each.key.tenant_id)
            ]
            if events:
                connection.execute(*enqueue_statement(events))
        return len(ended)

    def find_unsummarised(self, limit: int) -> Sequence[FinishedSession]:
        """Return ended sessions whose figures are not stored, the latest first."""
        with self._connection.transaction() as connection:
            found = connection.execute(_FIND_UNSUMMARISED, (limit,), binary=True).fetchall()
        return [_finished_session(*record) for record in found]

    def summarise(self, session: FinishedSession) -> bool:
        """Compute and store the figures of a session; return False if it has another end by now."""
        tenant_id, session_id = session.key
        values = {
            "tenant_id": tenant_id,
            "session_id": session_id,
            "ended_at": to_datetime(session.ended_ms),
        }
        with self._connection.transaction() as connection:
            return connection.execute(_SUMMARISE, values).rowcount > 0

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()


def _finished_session(tenant_id: str, session_id: str, ended_at: datetime) -> FinishedSession:
    return FinishedSession(SessionKey(tenant_id, session_id), to_ms(ended_at))

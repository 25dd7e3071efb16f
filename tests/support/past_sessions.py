"""Very many stored sessions and rows, made by the database itself."""

from typing import Final, NamedTuple

import psycopg

from conductor_actors.instants import to_datetime
from tests.support.score_rows import AT_MS

TICK_MS: Final = 5000
EVENT_SESSIONS: Final = 10

# The rows of sessions at the same time lie among each other, as the collector stores them: for each
# tick, because the second series depends on the first.
_INSERT_ROWS: Final = """
    INSERT INTO engagement_metrics
    SELECT %(at)s + tick * interval '5 s', 'tenant-' || session %% %(tenants)s,
           'session-' || session, 'event-' || session / (%(tenants)s * %(event)s),
           random(), 'MODERATE', floor(random() * 30), random(), floor(random() * users),
           users, floor(random() * 20), random() / 10
    FROM generate_series(0, %(ticks)s::int - 1) AS tick
    CROSS JOIN LATERAL generate_series(%(first)s + tick * 0, %(last)s) AS session
    CROSS JOIN LATERAL (SELECT 50 + (session + tick) %% 100 AS users) AS people
"""
_INSERT_SESSIONS: Final = """
    INSERT INTO sessions
    SELECT 'tenant-' || session %% %(tenants)s, 'session-' || session,
           'event-' || session / (%(tenants)s * %(event)s), at, at + %(duration)s,
           at + %(duration)s, %(ticks)s, 0.5, 0.9, at, 150
    FROM generate_series(0, %(sessions)s::int - 1) AS session
    CROSS JOIN LATERAL (
        SELECT %(at)s + session / %(together)s * %(apart)s AS at
    ) AS start
"""
_INSERT_TITLES: Final = """
    INSERT INTO session_titles
    SELECT tenant_id, session_id, NULL, 'Title of ' || session_id, '{Ada}', NULL, NULL, ended_at
    FROM sessions
"""


class PastSessions(NamedTuple):
    """How many sessions are listed, how many of these have rows, and how many at once."""

    listed: int
    with_rows: int
    together: int
    ticks: int
    tenants: int = 10

    @property
    def duration_ms(self) -> int:
        """The time from the first to the last row of a session."""
        return (self.ticks - 1) * TICK_MS


def store_past_sessions(url: str, past: PastSessions) -> None:
    """Store the sessions; those that begin together begin when the ones before have ended."""
    apart_ms = past.ticks * TICK_MS
    common = {
        "tenants": past.tenants,
        "event": EVENT_SESSIONS,
        "ticks": past.ticks,
        "together": past.together,
        "sessions": past.listed,
        "apart": to_datetime(apart_ms) - to_datetime(0),
        "duration": to_datetime(past.duration_ms) - to_datetime(0),
    }
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(_INSERT_SESSIONS, common | {"at": to_datetime(AT_MS)})
        database.execute(_INSERT_TITLES)
        for first in range(0, past.with_rows, past.together):
            last = min(first + past.together, past.with_rows) - 1
            at = to_datetime(AT_MS + first // past.together * apart_ms)
            database.execute(_INSERT_ROWS, common | {"at": at, "first": first, "last": last})
        database.execute("VACUUM ANALYZE")

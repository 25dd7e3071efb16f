"""Sessions with their titles, stored as the collector and the API do, for tests of lists."""

from typing import Any

import psycopg

from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from conductor_actors.ports.history_port import StoredSession
from tests.support.score_rows import AT_MS

HOUR_MS = 3_600_000


def listed_session(tenant_id: str, session_id: str, **changes: Any) -> StoredSession:
    """Return a live session, unless the changes say otherwise."""
    session = StoredSession(SessionKey(tenant_id, session_id), "event", AT_MS)
    return session._replace(**changes)


def store_listed_sessions(url: str, *sessions: StoredSession) -> None:
    """Store sessions, with figures where they have some, and titles where they have any."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sessions VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s)",
            [_session_values(each) for each in sessions if each.started_ms is not None],
        )
        cursor.executemany(
            "INSERT INTO session_titles VALUES (%s, %s, %s, %s, %s, %s, %s, now())",
            [_title_values(each) for each in sessions if _is_named(each)],
        )
        cursor.executemany(
            "INSERT INTO event_titles VALUES (%s, %s, %s, now()) ON CONFLICT DO NOTHING",
            [
                (each.key.tenant_id, each.event_id, each.event_title)
                for each in sessions
                if each.event_title is not None
            ],
        )


def _is_named(session: StoredSession) -> bool:
    return session.started_ms is None or session.title is not None or bool(session.speakers)


def _session_values(each: StoredSession) -> tuple[object, ...]:
    summarised_ms = None if each.mean_score is None else each.ended_ms
    return (
        *(*each.key, each.event_id, _at(each.started_ms), _at(each.ended_ms), _at(summarised_ms)),
        *(each.mean_score, each.peak_score, _at(each.peak_ms), each.peak_users),
    )


def _title_values(each: StoredSession) -> tuple[object, ...]:
    planned = _at(each.planned_begin_ms), _at(each.planned_end_ms)
    return (*each.key, each.event_id, each.title, list(each.speakers), *planned)


def _at(ms: int | None) -> object:
    return None if ms is None else to_datetime(ms)

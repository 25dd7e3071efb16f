"""Store what events say that sessions and events are called.

Everything may be stored again, and in any order: the newest change of a session, and of an event,
holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import psycopg
from msgspec import UNSET
from psycopg import sql

from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
    Statement,
    primary_message,
)
from conductor_actors.adapters.postgres.kept_connection import KeptConnection
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.instants import to_datetime
from conductor_actors.ports.catalog_port import RefusedTitle

_SESSION_TITLE_COLUMNS: Final = {
    "tenant_id": "text",
    "session_id": "text",
    "event_id": "text",
    "title": "text",
    "speakers": "text",  # JSON: no array has arrays of different lengths
    "planned_begin": "timestamptz",
    "planned_end": "timestamptz",
    "updated_at": "timestamptz",
}
_EVENT_TITLE_COLUMNS: Final = {
    "tenant_id": "text",
    "session_id": "text",
    "event_id": "text",
    "title": "text",
    "updated_at": "timestamptz",
}


def _arrays(columns: Mapping[str, str]) -> sql.Composed:
    return sql.SQL("unnest({}) WITH ORDINALITY AS new ({}, number)").format(
        sql.SQL(", ").join(sql.SQL("%b::{}[]").format(sql.SQL(kind)) for kind in columns.values()),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )


_STORE_SESSION_TITLES: Final = sql.SQL("""
    INSERT INTO session_titles AS stored
        (tenant_id, session_id, event_id, title, speakers, planned_begin, planned_end, updated_at)
    SELECT tenant_id, session_id, event_id, title,
           ARRAY(SELECT jsonb_array_elements_text(speakers::jsonb)),
           planned_begin, planned_end, updated_at
    FROM {}
    ON CONFLICT (tenant_id, session_id) DO UPDATE
    SET event_id = coalesce(excluded.event_id, stored.event_id), title = excluded.title,
        speakers = excluded.speakers, planned_begin = excluded.planned_begin,
        planned_end = excluded.planned_end, updated_at = excluded.updated_at
    WHERE stored.updated_at <= excluded.updated_at
""").format(_arrays(_SESSION_TITLE_COLUMNS))

# The event of a session is the given one, else that of its rows, else the one that was given
# before. Without any, it is the session.
_STORE_EVENT_TITLES: Final = sql.SQL("""
    INSERT INTO event_titles AS stored (tenant_id, event_id, title, updated_at)
    SELECT DISTINCT ON (tenant_id, event_id) tenant_id, event_id, title, updated_at
    FROM (
        SELECT tenant_id, new.title, new.updated_at, new.number,
               coalesce(new.event_id, nullif(sessions.event_id, session_id),
                        named.event_id, session_id) AS event_id
        FROM {}
        LEFT JOIN sessions USING (tenant_id, session_id)
        LEFT JOIN session_titles AS named USING (tenant_id, session_id)
    ) AS of_event
    ORDER BY tenant_id, event_id, updated_at DESC, number DESC
    ON CONFLICT (tenant_id, event_id) DO UPDATE
    SET title = excluded.title, updated_at = excluded.updated_at
    WHERE stored.updated_at <= excluded.updated_at
""").format(_arrays(_EVENT_TITLE_COLUMNS))

_INVALID_VALUES: Final = (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError)


class PostgresTitleTable:
    """A `TitleTable`. It connects at the first call, and again after a failure.

    Each batch is a transaction with the whole deadline. Only one thread may use it.
    """

    def __init__(self, url: str, deadline_s: float = DATABASE_DEADLINE_S) -> None:
        self._connection = KeptConnection(url, deadline_s)

    def write(self, changes: Sequence[TitleChange]) -> Sequence[RefusedTitle]:
        """Store changes, and return those with a value that the server can't store.

        If a batch has one, each change is a transaction of its own.
        """
        try:
            self._connection.execute(title_statements(changes))
        except _INVALID_VALUES as error:
            if len(changes) == 1:
                return [RefusedTitle(changes[0], _reason_of(error))]
        else:
            return []
        return [refused for change in changes for refused in self.write([change])]

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()


def title_statements(changes: Iterable[TitleChange]) -> list[Statement]:
    """Return the statements that store changes; of those with the same time, the last holds."""
    newest: dict[SessionKey, TitleChange] = {}
    of_events: list[TitleChange] = []
    for change in sorted(changes, key=lambda change: change.at_ms):
        former = newest.get(change.key)
        if change.details.event_id is None and former is not None:
            details = msgspec.structs.replace(change.details, event_id=former.details.event_id)
            change = msgspec.structs.replace(change, details=details)  # noqa: PLW2901
        newest[change.key] = change
        if change.details.event_title is not UNSET:
            of_events.append(change)
    in_order = map(_session_values, (newest[key] for key in sorted(newest)))
    statements = [(_STORE_SESSION_TITLES, _columns(_SESSION_TITLE_COLUMNS, in_order))]
    if of_events:
        events = map(_event_values, of_events)
        statements.append((_STORE_EVENT_TITLES, _columns(_EVENT_TITLE_COLUMNS, events)))
    return statements


def _columns(names: Mapping[str, str], records: Iterable[tuple[object, ...]]) -> Sequence[object]:
    return [*map(list, [*zip(*records, strict=True)] or [()] * len(names))]


def _session_values(change: TitleChange) -> tuple[object, ...]:
    details = change.details
    return (
        *change.key,
        details.event_id,
        details.title,
        msgspec.json.encode(details.speakers).decode(),
        _time(details.planned_begin_ms),
        _time(details.planned_end_ms),
        _time(change.at_ms),
    )


def _event_values(change: TitleChange) -> tuple[object, ...]:
    details = change.details
    title = None if details.event_title is UNSET else details.event_title
    return (*change.key, details.event_id, title, _time(change.at_ms))


def _time(at_ms: int | None) -> object:
    return None if at_ms is None else to_datetime(at_ms)


def _reason_of(error: Exception) -> str:
    return primary_message(error) if isinstance(error, psycopg.Error) else str(error)

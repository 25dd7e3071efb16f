"""Store what people call sessions and events."""

from typing import Final

from msgspec import UNSET

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.instants import to_datetime

# What a person changes holds at once, even if the clock of what is stored is ahead. `event_id`
# remains if a later change has none.
_STORE_TITLES: Final = """
    WITH stored_event AS (
        INSERT INTO event_titles AS stored (tenant_id, event_id, title, updated_at)
        SELECT %(tenant_id)s, %(event_id)s, %(event_title)s, %(at)s WHERE %(has_event_title)s
        ON CONFLICT (tenant_id, event_id) DO UPDATE
        SET title = excluded.title,
            updated_at = greatest(stored.updated_at, excluded.updated_at)
    )
    INSERT INTO session_titles AS stored
        (tenant_id, session_id, event_id, title, speakers, planned_begin, planned_end, updated_at)
    VALUES (%(tenant_id)s, %(session_id)s, %(event_id)s, %(title)s, %(speakers)s,
            %(planned_begin)s, %(planned_end)s, %(at)s)
    ON CONFLICT (tenant_id, session_id) DO UPDATE
    SET event_id = coalesce(excluded.event_id, stored.event_id), title = excluded.title,
        speakers = excluded.speakers, planned_begin = excluded.planned_begin,
        planned_end = excluded.planned_end,
        updated_at = greatest(stored.updated_at, excluded.updated_at)
    RETURNING session_id
"""


class PostgresTitleStore:
    """A `TitleStore` on the connections for histories."""

    def __init__(self, queries: HistoryQueries) -> None:
        self._queries = queries

    async def write(self, change: TitleChange) -> None:
        """Store a change; it needs `event_id` if it has an event's title."""
        details = change.details
        begin_ms, end_ms = details.planned_begin_ms, details.planned_end_ms
        values = {
            "tenant_id": change.tenant_id,
            "session_id": change.session_id,
            "event_id": details.event_id,
            "title": details.title,
            "speakers": list(details.speakers),
            "planned_begin": None if begin_ms is None else to_datetime(begin_ms),
            "planned_end": None if end_ms is None else to_datetime(end_ms),
            "has_event_title": details.event_title is not UNSET,
            "event_title": None if details.event_title is UNSET else details.event_title,
            "at": to_datetime(change.at_ms),
        }
        await self._queries.run(change.tenant_id, _STORE_TITLES, values, writes=True)

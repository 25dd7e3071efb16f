"""Read the sessions and what people call them, each query by a key of its tables."""

from typing import Any, Final

from psycopg import sql

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.history_port import SessionPosition, SessionSelection, StoredSession

MAX_TITLED: Final = 10_000  # live sessions, and as many planned ones

# The figures of a session that went on after they were computed are of its first part.
SELECT_SUMMARY: Final = sql.SQL("""
    SELECT coalesce(s.session_id, t.session_id), coalesce(s.event_id, t.event_id, t.session_id),
           s.started_at, s.ended_at,
           CASE WHEN s.ended_at = s.summarised_at THEN s.mean_score END,
           CASE WHEN s.ended_at = s.summarised_at THEN s.peak_score END,
           CASE WHEN s.ended_at = s.summarised_at THEN s.peak_at END,
           CASE WHEN s.ended_at = s.summarised_at THEN s.peak_users END,
           t.title, t.speakers, t.planned_begin, t.planned_end, e.title
""")
FROM_SESSIONS: Final = sql.SQL("""
    FROM sessions AS s
    LEFT JOIN session_titles AS t ON t.tenant_id = s.tenant_id AND t.session_id = s.session_id
    LEFT JOIN event_titles AS e ON e.tenant_id = s.tenant_id AND e.event_id = s.event_id
    WHERE s.tenant_id = %(tenant_id)s
""")
_FROM_TITLES: Final = sql.SQL("""
    FROM session_titles AS t
    LEFT JOIN sessions AS s ON s.tenant_id = t.tenant_id AND s.session_id = t.session_id
    LEFT JOIN event_titles AS e ON e.tenant_id = t.tenant_id AND e.event_id = t.event_id
    WHERE t.tenant_id = %(tenant_id)s AND s.session_id IS NULL
""")
_AT_MOST: Final = sql.SQL(" LIMIT %(limit)s")
_IN_ORDER: Final = sql.SQL(" ORDER BY s.started_at DESC, s.session_id") + _AT_MOST

_OF_STATE: Final = {
    "live": sql.SQL(" AND s.ended_at IS NULL"),
    "ended": sql.SQL(" AND s.ended_at IS NOT NULL"),
    "all": sql.SQL(""),
}
_OF_LISTED_EVENT: Final = sql.SQL(" AND s.event_id = %(event_id)s")
_AMONG: Final = sql.SQL(" AND s.session_id = ANY(%(session_ids)s)")
_STARTED_SINCE: Final = sql.SQL(" AND s.started_at >= %(first)s")
_STARTED_BEFORE: Final = sql.SQL(" AND s.started_at < %(until)s")
# The titles are searched once, not with each session.
_SEARCHED: Final = sql.SQL("""
    AND (strpos(lower(s.session_id), lower(%(search)s)) > 0
         OR strpos(lower(s.event_id), lower(%(search)s)) > 0
         OR s.session_id IN (
             SELECT session_id FROM session_titles WHERE tenant_id = %(tenant_id)s
             AND strpos(lower(concat_ws(E'\\n', title, array_to_string(speakers, E'\\n'))),
                        lower(%(search)s)) > 0)
         OR s.event_id IN (
             SELECT event_id FROM event_titles WHERE tenant_id = %(tenant_id)s
             AND strpos(lower(title), lower(%(search)s)) > 0))
""")
# Two ranges of the index: a condition for both would read all sessions with the same start.
_SAME_START: Final = sql.SQL(" AND s.started_at = %(after_at)s AND s.session_id > %(after_id)s")
_EARLIER_START: Final = sql.SQL(" AND s.started_at < %(after_at)s")

_OF_KEY: Final = sql.SQL(" AND {}.session_id = %(session_id)s")
_SELECT_KNOWN: Final = sql.SQL(" UNION ALL ").join(
    (
        SELECT_SUMMARY + FROM_SESSIONS + _OF_KEY.format(sql.Identifier("s")),
        SELECT_SUMMARY + _FROM_TITLES + _OF_KEY.format(sql.Identifier("t")),
    )
)
_SELECT_TITLED: Final = sql.SQL("({}) UNION ALL ({})").format(
    SELECT_SUMMARY
    + FROM_SESSIONS
    + sql.SQL(" AND s.ended_at IS NULL AND (t.session_id IS NOT NULL OR e.title IS NOT NULL)")
    + _IN_ORDER,
    SELECT_SUMMARY
    + _FROM_TITLES
    + sql.SQL(
        " AND coalesce(t.planned_end, t.planned_begin, t.updated_at) > now() - interval '1 day'"
        " ORDER BY coalesce(t.planned_end, t.planned_begin, t.updated_at) DESC"
    )
    + _AT_MOST,
)


class PostgresSessionReader:
    """A `SessionReader` on the connections for histories."""

    def __init__(self, queries: HistoryQueries) -> None:
        self._queries = queries

    async def find(
        self, selection: SessionSelection, limit: int, after: SessionPosition | None = None
    ) -> list[StoredSession]:
        """Return at most `limit` sessions after a position, newest start first."""
        tenant_id, values = selection.tenant_id, _values(selection) | {"limit": limit}
        selected = SELECT_SUMMARY + FROM_SESSIONS + _conditions(selection)
        if after is None:
            pages = [selected]
        else:
            values |= {"after_at": to_datetime(after.started_ms), "after_id": after.session_id}
            pages = [selected + _SAME_START, selected + _EARLIER_START]
        found: list[StoredSession] = []
        for page in pages:
            if len(found) < limit:
                values["limit"] = limit - len(found)
                records = await self._queries.run(tenant_id, page + _IN_ORDER, values)
                found += [stored_session(tenant_id, each) for each in records]
        return found

    async def get(self, key: SessionKey) -> StoredSession | None:
        """Return a session that has rows or a title."""
        found = await self._queries.run(key.tenant_id, _SELECT_KNOWN, key._asdict())
        return stored_session(key.tenant_id, found[0]) if found else None

    async def titled(self, tenant_id: str) -> list[StoredSession]:
        """Return the live and the planned sessions that have a title, or whose event has one.

        What was planned until yesterday is not planned any more.
        """
        values = {"tenant_id": tenant_id, "limit": MAX_TITLED}
        found = await self._queries.run(tenant_id, _SELECT_TITLED, values)
        return [stored_session(tenant_id, each) for each in found]


def _conditions(selection: SessionSelection) -> sql.Composed:
    conditions = sql.Composed([_OF_STATE[selection.state]])
    for value, condition in (
        (selection.event_id, _OF_LISTED_EVENT),
        (selection.session_ids, _AMONG),
        (selection.first_ms, _STARTED_SINCE),
        (selection.until_ms, _STARTED_BEFORE),
        (selection.search, _SEARCHED),
    ):
        if value is not None:
            conditions += condition
    return conditions


def _values(selection: SessionSelection) -> dict[str, object]:
    first_ms, until_ms = selection.first_ms, selection.until_ms
    return {
        "tenant_id": selection.tenant_id,
        "event_id": selection.event_id,
        "session_ids": list(selection.session_ids or ()),
        "first": None if first_ms is None else to_datetime(first_ms),
        "until": None if until_ms is None else to_datetime(until_ms),
        "search": selection.search,
    }


def stored_session(tenant_id: str, record: tuple[Any, ...]) -> StoredSession:
    """Return a session of the columns of a summary."""
    session_id, event_id, started_at, ended_at, mean_score, peak_score, *others = record
    peak_at, peak_users, title, speakers, planned_begin, planned_end, event_title = others
    return StoredSession(
        SessionKey(tenant_id, session_id),
        event_id,
        _ms(started_at),
        _ms(ended_at),
        mean_score,
        peak_score,
        peak_ms=_ms(peak_at),
        peak_users=peak_users,
        title=title,
        speakers=tuple(speakers or ()),
        planned_begin_ms=_ms(planned_begin),
        planned_end_ms=_ms(planned_end),
        event_title=event_title,
    )


def _ms(at: Any) -> int | None:  # noqa: ANN401 - a datetime of the driver, or None
    return None if at is None else to_ms(at)

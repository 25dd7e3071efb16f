"""The table of sessions: the statements that begin, end and reopen sessions with a batch of rows.

They are executed in the transaction that stores the rows. All may be executed again, and with rows
that are older than those stored, as after a crash.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.connection import Statement
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_datetime

MAX_KNOWN_LIVE: Final = 500_000  # that are remembered; then all are forgotten, and stored again

_ARRAY_TYPES: Final = ("text", "text", "text", "timestamptz", "timestamptz", "timestamptz")
_SPANS: Final = sql.SQL(
    "unnest({}) AS span (tenant_id, session_id, event_id, first_at, last_at, end_at)"
).format(
    sql.SQL(", ").join(sql.SQL("%b::{}[]").format(sql.SQL(kind)) for kind in _ARRAY_TYPES),
)

_INSERT_SESSIONS: Final = (
    sql.SQL(
        "INSERT INTO sessions (tenant_id, session_id, event_id, started_at)"
        " SELECT tenant_id, session_id, event_id, first_at FROM "
    )
    + _SPANS
    + sql.SQL(" ON CONFLICT (tenant_id, session_id) DO NOTHING")
)

# An end holds while no later row is stored. A session keeps the event that it is known to be of.
_UPDATE_SESSIONS: Final = sql.SQL(
    "UPDATE sessions SET started_at = least(started_at, first_at),"
    " event_id = CASE WHEN span.event_id = span.session_id THEN sessions.event_id"
    " ELSE span.event_id END,"
    " ended_at = CASE WHEN {ends} THEN end_at WHEN {goes_on} THEN NULL ELSE ended_at END,"
    " last_row_at = CASE WHEN {ends} THEN last_at WHEN {goes_on} THEN NULL ELSE last_row_at END"
    " FROM {spans}"
    " WHERE sessions.tenant_id = span.tenant_id AND sessions.session_id = span.session_id"
    " RETURNING span.tenant_id, span.session_id, span.event_id, ended_at IS NULL"
).format(
    ends=sql.SQL(
        "end_at IS NOT NULL AND NOT EXISTS (SELECT FROM engagement_metrics AS stored"
        " WHERE stored.tenant_id = span.tenant_id AND stored.session_id = span.session_id"
        " AND stored.time > last_at)"
    ),
    goes_on=sql.SQL("end_at IS NULL AND last_at > coalesce(last_row_at, ended_at)"),
    spans=_SPANS,
)

_Key = tuple[str, str]  # equals a `SessionKey`, and is made five times as fast


class SessionSpan(NamedTuple):
    """What a batch of rows says about a session: its first and last row, its event and its end."""

    tenant_id: str
    session_id: str
    event_id: str
    first_ms: int
    last_ms: int
    end_ms: int | None

    def after(self, row: ScoreRow) -> "SessionSpan":
        """Return the span with another row."""
        if row.at_ms < self.last_ms:
            return self._replace(first_ms=min(self.first_ms, row.at_ms))
        return self._replace(event_id=row.event_id, last_ms=row.at_ms, end_ms=_end_ms(row))


class KnownSessions:
    """The sessions that are known to be stored as live: their rows change nothing but the end.

    A row costs one look-up.
    """

    def __init__(self) -> None:
        self._event_ids: dict[_Key, str] = {}

    def changed(self, rows: Sequence[ScoreRow]) -> list[SessionSpan]:
        """Return the spans of sessions that have to be stored; mostly none."""
        known = self._event_ids
        return spans_of(
            [
                row
                for row in rows
                if known.get((row.tenant_id, row.session_id)) != row.event_id or row.is_last
            ]
        )

    def add(self, stored: Iterable[tuple[str, str, str, bool]]) -> None:
        """Remember sessions that the server has stored as live, and forget those that ended."""
        for tenant_id, session_id, event_id, is_live in stored:
            if is_live:
                self._event_ids[tenant_id, session_id] = event_id
            else:
                self._event_ids.pop((tenant_id, session_id), None)
        if len(self._event_ids) > MAX_KNOWN_LIVE:
            self._event_ids.clear()

    def forget(self, rows: Iterable[ScoreRow]) -> None:
        """Forget the sessions of rows: whether they are stored as live is not known any more."""
        for row in rows:
            self._event_ids.pop(row.key, None)


def spans_of(rows: Iterable[ScoreRow]) -> list[SessionSpan]:
    """Return the spans of all sessions of the rows, in the order of their keys."""
    spans: dict[_Key, SessionSpan] = {}
    for row in rows:
        key = row.tenant_id, row.session_id
        span = spans.get(key)
        begun = SessionSpan(*key, row.event_id, row.at_ms, row.at_ms, _end_ms(row))
        spans[key] = begun if span is None else span.after(row)
    return sorted(spans.values())


def _end_ms(row: ScoreRow) -> int | None:
    return (row.active_until_ms or row.at_ms) if row.is_last else None


def session_statements(spans: Sequence[SessionSpan]) -> list[Statement]:
    """Return the statements that store spans; `KnownSessions.add` needs what the last returns."""
    columns = [*zip(*spans, strict=True)] or [()] * len(_ARRAY_TYPES)
    *texts, firsts, lasts, ends = map(list, columns)
    times = (
        [None if ms is None else to_datetime(ms) for ms in each] for each in (firsts, lasts, ends)
    )
    values = (*texts, *times)
    return [(_INSERT_SESSIONS, values), (_UPDATE_SESSIONS, values)]

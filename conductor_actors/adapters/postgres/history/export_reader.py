"""Read the rows of exports page by page: no page depends on how many there were before it.

Scores are read session after session, because their key begins with the session: those of a few
sessions at once that fill a page together, or those of one session in several pages. The other
tables are small, and are read by time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.query_pool import Query, Records
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.exports.dictionary import ExportColumn, ExportTable
from conductor_actors.exports.selections import ExportSelection, ExportSize
from conductor_actors.instants import to_datetime

MAX_LISTED_SESSIONS: Final = 1000  # of one query
MAX_PAGES_AT_ONCE: Final = 2  # the other connections are for those who wait at a page
MAX_PAGE_WAIT_S: Final = 30.0  # for a connection
RETRY_PAGE_FOR_S: Final = 60.0
RETRY_PAGE_INTERVAL_S: Final = 0.5

METRICS: Final = "engagement_metrics"

SESSION_MARGIN: Final = timedelta(days=1)  # rows can be added later by a replay

_BEGIN_OF_TIME: Final = to_datetime(0)
_END_OF_TIME: Final = to_datetime(253_402_300_799_000)
_LAST_END: Final = _END_OF_TIME - SESSION_MARGIN

_ROWS_OF_SESSION: Final = """
    ceil(extract(epoch FROM coalesce(last_row_at, ended_at, now()) - started_at) / %(tick_s)s) + 1
"""
_LIST_SESSIONS: Final = sql.SQL("""
    SELECT session_id, ({rows})::bigint, started_at,
           CASE WHEN ended_at IS NOT NULL THEN coalesce(last_row_at, ended_at) END
    FROM sessions
    WHERE {selected} AND session_id > %(after)s ORDER BY session_id LIMIT %(limit)s
""")
_COUNT_SESSIONS: Final = sql.SQL("""
    SELECT count(*), coalesce(sum({rows}), 0)::bigint FROM sessions WHERE {selected}
""")
_SELECTED_SESSIONS: Final = sql.SQL(
    "tenant_id = %(tenant)s AND started_at < %(until)s"
    " AND (ended_at IS NULL OR coalesce(last_row_at, ended_at) >= %(first)s)"
)
_ONE_SESSION: Final = sql.SQL(" AND session_id = %(session)s")
_OF_EVENT_ID: Final = sql.SQL(" AND event_id = %(event)s")
_VISIBLE: Final = sql.SQL(" AND session_id = ANY(%(visible)s)")

_PAGE_OF_SESSION: Final = sql.SQL("""
    SELECT {columns} FROM engagement_metrics
    WHERE tenant_id = %(tenant)s AND session_id = %(session)s
      AND time >= %(first)s AND time > %(after)s AND time < %(until)s
    ORDER BY time LIMIT %(limit)s
""")
_PAGE_OF_SESSIONS: Final = sql.SQL("""
    SELECT {columns} FROM engagement_metrics
    WHERE tenant_id = %(tenant)s AND session_id = ANY(%(sessions)s)
      AND time >= %(first)s AND time < %(until)s
      AND (session_id, time) > (%(after_session)s, %(after)s)
    ORDER BY session_id, time LIMIT %(limit)s
""")
_PAGE_BY_TIME: Final = sql.SQL("""
    SELECT {columns} FROM {table}
    WHERE tenant_id = %(tenant)s AND {time} >= %(first)s AND {time} < %(until)s{selected}
      AND ({time}, id) > (%(after)s, %(after_id)s::uuid)
    ORDER BY {time}, id LIMIT %(limit)s
""")
_IN_EVENT: Final = sql.SQL("""
    AND session_id IN
        (SELECT session_id FROM sessions WHERE tenant_id = %(tenant)s AND event_id = %(event)s)
""")
_NO_ID: Final = "00000000-0000-0000-0000-000000000000"


class _Session(NamedTuple):
    """A session, about how many rows it has, and the times of the first and the last, if known."""

    session_id: str
    rows: int
    started_at: datetime
    last_row_at: datetime | None


class PostgresExportReader:
    """An `ExportReader` on the connections that all histories share."""

    def __init__(self, queries: HistoryQueries, tick_s: int) -> None:
        self._queries = queries
        self._tick_s = tick_s
        self._reads = asyncio.Semaphore(MAX_PAGES_AT_ONCE)

    async def measure(self, selection: ExportSelection) -> ExportSize:
        """Return the size of an export; rows are only known of whole sessions."""
        query = _COUNT_SESSIONS.format(
            rows=sql.SQL(_ROWS_OF_SESSION), selected=_selected_sessions(selection)
        )
        [[sessions, rows]] = await self._queries.run(
            selection.tenant_id, query, self._values(selection)
        )
        is_whole = selection.first_ms is None and selection.until_ms is None
        is_known = is_whole and selection.table.name == METRICS
        return ExportSize(sessions, rows if is_known else None)

    async def pages(
        self, selection: ExportSelection, page_rows: int
    ) -> AsyncGenerator[Records, None]:
        """Return the rows in the order of their table, in pages of at most `page_rows`."""
        if selection.table.name != METRICS:
            async for page in self._by_time(selection, page_rows):
                yield page
            return
        async for batch in self._batches(selection, page_rows):
            read = self._of_session if len(batch) == 1 else self._of_sessions
            async for page in read(selection, batch, page_rows):
                yield page

    async def _batches(
        self, selection: ExportSelection, page_rows: int
    ) -> AsyncIterator[list[_Session]]:
        """Return sessions that fill a page together, and each that fills one by itself."""
        batch: list[_Session] = []
        rows = 0
        async for session in self._sessions(selection):
            if batch and rows + session.rows > page_rows:
                yield batch
                batch, rows = [], 0
            batch.append(session)
            rows += session.rows
        if batch:
            yield batch

    async def _sessions(self, selection: ExportSelection) -> AsyncIterator[_Session]:
        """Return the sessions in the order of their ids."""
        query = _LIST_SESSIONS.format(
            rows=sql.SQL(_ROWS_OF_SESSION), selected=_selected_sessions(selection)
        )
        values = self._values(selection) | {"after": "", "limit": MAX_LISTED_SESSIONS}
        while True:
            listed = await self._run(selection, query, values)
            for session_id, rows, *times in listed:
                yield _Session(session_id, max(1, rows), *times)
            if len(listed) < MAX_LISTED_SESSIONS:
                return
            values["after"] = listed[-1][0]

    async def _of_session(
        self, selection: ExportSelection, batch: Sequence[_Session], page_rows: int
    ) -> AsyncIterator[Records]:
        query = _PAGE_OF_SESSION.format(columns=_columns(selection.table))
        values = self._values(selection) | _during(selection, batch)
        values |= {"session": batch[0].session_id, "limit": page_rows, "after": _BEGIN_OF_TIME}
        at = _position(selection.table, "time")
        async for page in self._pages(selection, query, values):
            yield page
            values["after"] = page[-1][at]

    async def _of_sessions(
        self, selection: ExportSelection, batch: Sequence[_Session], page_rows: int
    ) -> AsyncIterator[Records]:
        query = _PAGE_OF_SESSIONS.format(columns=_columns(selection.table))
        values = self._values(selection) | _during(selection, batch)
        values |= {"sessions": [one.session_id for one in batch], "limit": page_rows}
        values |= {"after_session": "", "after": _BEGIN_OF_TIME}
        at, session = (_position(selection.table, name) for name in ("time", "session_id"))
        async for page in self._pages(selection, query, values):
            yield page
            values |= {"after_session": page[-1][session], "after": page[-1][at]}

    async def _by_time(self, selection: ExportSelection, page_rows: int) -> AsyncIterator[Records]:
        table = selection.table
        query = _PAGE_BY_TIME.format(
            columns=_columns(table),
            table=sql.Identifier(table.name),
            time=sql.Identifier(table.time_column),
            selected=_selected_rows(selection),
        )
        values = self._values(selection) | {"limit": page_rows}
        values |= {"after": _BEGIN_OF_TIME, "after_id": _NO_ID}
        at, identity = (_position(table, name) for name in (table.time_column, "id"))
        async for page in self._pages(selection, query, values):
            yield page
            values |= {"after": page[-1][at], "after_id": page[-1][identity]}
            values["first"] = page[-1][at]  # so that an index of the time alone is enough

    async def _pages(
        self, selection: ExportSelection, query: Query, values: dict[str, Any]
    ) -> AsyncIterator[Records]:
        """Return pages until one is not full; the consumer moves the values on after each."""
        while True:
            page = await self._run(selection, query, values)
            if page:
                yield page
            if len(page) < values["limit"]:
                return

    async def _run(
        self, selection: ExportSelection, query: Query, values: dict[str, Any]
    ) -> Records:
        """Run a query; try again for a while, so that a short outage ends no long export."""
        until_s = time.monotonic() + RETRY_PAGE_FOR_S
        while True:
            try:
                async with self._reads:
                    return await self._queries.run(
                        selection.tenant_id, query, values, max_wait_s=MAX_PAGE_WAIT_S
                    )
            except (Unavailable, Overloaded):
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(RETRY_PAGE_INTERVAL_S)

    def _values(self, selection: ExportSelection) -> dict[str, Any]:
        return {
            "tenant": selection.tenant_id,
            "session": selection.session_id,
            "event": selection.event_id,
            "visible": list(selection.session_ids or ()),
            "first": _instant(selection.first_ms, _BEGIN_OF_TIME),
            "until": _instant(selection.until_ms, _END_OF_TIME),
            "tick_s": self._tick_s,
        }


def _instant(ms: int | None, default: datetime) -> datetime:
    return default if ms is None else to_datetime(ms)


def _during(selection: ExportSelection, batch: Sequence[_Session]) -> dict[str, datetime]:
    """Return the range in which sessions have rows, so that few chunks of a table are read."""
    first = min(one.started_at for one in batch) - SESSION_MARGIN
    until = max((one.last_row_at or _LAST_END) for one in batch) + SESSION_MARGIN
    return {
        "first": max(first, _instant(selection.first_ms, _BEGIN_OF_TIME)),
        "until": min(until, _instant(selection.until_ms, _END_OF_TIME)),
    }


def _selected_sessions(selection: ExportSelection) -> sql.Composed:
    return sql.Composed([_SELECTED_SESSIONS, *_conditions(selection, _OF_EVENT_ID)])


def _selected_rows(selection: ExportSelection) -> sql.Composed:
    return sql.Composed(_conditions(selection, _IN_EVENT))


def _conditions(selection: ExportSelection, of_event: sql.SQL) -> list[sql.SQL]:
    conditions = []
    if selection.session_id is not None:
        conditions.append(_ONE_SESSION)
    if selection.event_id is not None:
        conditions.append(of_event)
    if selection.session_ids is not None:
        conditions.append(_VISIBLE)
    return conditions


def _columns(table: ExportTable) -> sql.Composed:
    return sql.SQL(", ").join(map(_column, table.columns))


def _column(column: ExportColumn) -> sql.Composable:
    name = sql.Identifier(column.name)
    is_other_type = column.type == "json" or column.name == "id"
    return sql.SQL("{}::text").format(name) if is_other_type else name


def _position(table: ExportTable, name: str) -> int:
    return [one.name for one in table.columns].index(name)

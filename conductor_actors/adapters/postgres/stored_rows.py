"""Read rows back from the database, in the order of their ticks, however many there are."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from conductor_actors.adapters.postgres.connection import Connection, connect, deadline
from conductor_actors.domain.comparison import Record
from conductor_actors.domain.rows import COLUMNS, ScoreRecord
from conductor_actors.instants import EPOCH, to_datetime, to_ms

DEADLINE_S: Final = 600.0  # the server sorts all of them before it gives the first
ROWS_AT_ONCE: Final = 5000

_SELECT: Final = sql.SQL(
    "SELECT {} FROM engagement_metrics WHERE time BETWEEN %(first)s AND %(last)s"
    " AND (%(tenants)s::text[] IS NULL OR tenant_id = ANY(%(tenants)s)) ORDER BY time"
).format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))


def read_rows(
    url: str, first_ms: int, last_ms: int, tenants: Sequence[str] | None
) -> Generator[Record, None, None]:
    """Return the rows of these ticks, both included; of these tenants, if any are named.

    A cursor on the server, so that only so many rows are here at once.
    """
    span = {
        "first": to_datetime(first_ms),
        "last": to_datetime(last_ms),
        "tenants": tenants and list(tenants),
    }
    with closing(connect(url, DEADLINE_S)) as connection, connection.cursor("kept") as cursor:
        with deadline(connection, DEADLINE_S):
            connection.execute("SET TimeZone = 'UTC'")  # any other costs a look-up a row
            connection.execute("BEGIN READ ONLY")
            cursor.execute(_SELECT, span, binary=True)
        while rows := _next(connection, cursor):
            yield from _records(rows)


def _next(connection: Connection, cursor: psycopg.ServerCursor[TupleRow]) -> list[TupleRow]:
    with deadline(connection, DEADLINE_S):
        return cursor.fetchmany(ROWS_AT_ONCE)


def _records(rows: Sequence[TupleRow]) -> Iterator[Record]:
    """Turn times into milliseconds, each tick's once."""
    last_at, at_ms = EPOCH, 0
    for at, *values in rows:
        if at != last_at:
            last_at, at_ms = at, to_ms(at)
        yield ScoreRecord(at_ms, *values)

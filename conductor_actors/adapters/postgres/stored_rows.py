"""Read any number of stored rows, in the order of their ticks, and their anomalies."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from conductor_actors.adapters.postgres.connection import (
    DatabaseConnection,
    begin,
    connect,
    deadline,
)
from conductor_actors.domain.comparisons.anomaly_comparison import AnomalyColumns
from conductor_actors.domain.comparisons.intervention_comparison import InterventionColumns
from conductor_actors.domain.comparisons.row_comparison import Record
from conductor_actors.domain.rows import COLUMNS, SIGNAL_COLUMNS, ScoreRecord
from conductor_actors.instants import EPOCH, from_iso, to_datetime, to_ms

SORT_DEADLINE_S: Final = 600.0  # the server sorts all rows before it returns the first
ROWS_PER_FETCH: Final = 5000

_SELECT_SPAN: Final = sql.SQL(
    "SELECT {} FROM engagement_metrics WHERE time BETWEEN %(first)s AND %(last)s"
    " AND (%(tenants)s::text[] IS NULL OR tenant_id = ANY(%(tenants)s)) ORDER BY time"
).format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))

_SELECT_ANOMALIES: Final = sql.SQL(
    "SELECT timestamp, tenant_id, session_id, id::text, event_id, anomaly_type, severity,"
    " anomaly_score, current_engagement, expected_engagement, deviation, signals, metadata"
    " FROM anomalies WHERE timestamp BETWEEN %(first)s AND %(last)s"
    " AND (%(tenants)s::text[] IS NULL OR tenant_id = ANY(%(tenants)s)) ORDER BY timestamp"
).format()

_SELECT_INTERVENTIONS_OF_SPAN: Final = sql.SQL(
    "SELECT timestamp, tenant_id, session_id, id::text, event_id, type, status, confidence,"
    " reasoning, outcome, metadata"
    " FROM interventions WHERE timestamp BETWEEN %(first)s AND %(last)s"
    " AND (%(tenants)s::text[] IS NULL OR tenant_id = ANY(%(tenants)s)) ORDER BY timestamp"
).format()


def read_rows(
    url: str, first_ms: int, last_ms: int, tenants: Sequence[str] | None
) -> Generator[Record, None, None]:
    """Return the rows of these ticks, both included, and of these tenants, or of all for None.

    A server-side cursor bounds the number of rows in memory. Raise `Unavailable`, or `ConfigError`
    for what the operator must change.
    """
    for rows in _read_span(url, _SELECT_SPAN, first_ms, last_ms, tenants):
        yield from _records(rows)


def read_anomalies(
    url: str, first_ms: int, last_ms: int, tenants: Sequence[str] | None
) -> Iterator[AnomalyColumns]:
    """Return the anomalies that began at these ticks, as `read_rows` returns rows."""
    for rows in _read_span(url, _SELECT_ANOMALIES, first_ms, last_ms, tenants):
        for at, *values, signals, metadata in rows:
            numbers = tuple(signals.get(name) for name in SIGNAL_COLUMNS)
            onset, ended_at = map(_ms_of, (metadata.get("onset"), metadata.get("ended_at")))
            reason = metadata.get("reason")
            yield AnomalyColumns._make((to_ms(at), *values, numbers, onset, reason, ended_at))


def read_interventions(
    url: str, first_ms: int, last_ms: int, tenants: Sequence[str] | None
) -> Iterator[InterventionColumns]:
    """Return the interventions that were decided at these ticks, as `read_rows` returns rows."""
    for rows in _read_span(url, _SELECT_INTERVENTIONS_OF_SPAN, first_ms, last_ms, tenants):
        for at, tenant_id, session_id, id_, event_id, kind, *decided, outcome, metadata in rows:
            steps, shares = (metadata.get(name) or {} for name in ("steps", "probabilities"))
            measured = outcome or {}
            status, confidence, reasoning = decided
            yield InterventionColumns(
                to_ms(at),
                tenant_id,
                session_id,
                id_,
                event_id,
                kind,
                metadata.get("origin"),
                status,
                confidence,
                reasoning,
                tuple(sorted((name, to_ms(from_iso(text))) for name, text in steps.items())),
                metadata.get("anomaly_id"),
                metadata.get("anomaly_type"),
                metadata.get("policy_version"),
                tuple(sorted(shares.items())),
                metadata.get("draw"),
                metadata.get("engagement_before"),
                measured.get("engagement_after"),
                measured.get("reward"),
                measured.get("censored"),
                _ms_of(measured.get("measured_at")),
            )


def _read_span(
    url: str, select: sql.Composed, first_ms: int, last_ms: int, tenants: Sequence[str] | None
) -> Iterator[list[TupleRow]]:
    span = {
        "first": to_datetime(first_ms),
        "last": to_datetime(last_ms),
        "tenants": tenants and list(tenants),
    }
    with closing(connect(url, SORT_DEADLINE_S)) as connection, connection.cursor("rows") as cursor:
        with deadline(connection, SORT_DEADLINE_S):
            begin(connection, SORT_DEADLINE_S)
            cursor.execute(select, span, binary=True)
        while rows := _fetch(connection, cursor):
            yield rows


def _fetch(
    connection: DatabaseConnection, cursor: psycopg.ServerCursor[TupleRow]
) -> list[TupleRow]:
    with deadline(connection, SORT_DEADLINE_S):
        return cursor.fetchmany(ROWS_PER_FETCH)


def _records(rows: Sequence[TupleRow]) -> Iterator[Record]:
    """Return the rows with their times in milliseconds, converting each tick's time once."""
    last_at, at_ms = EPOCH, 0
    for at, *values in rows:
        if at != last_at:
            last_at, at_ms = at, to_ms(at)
        yield ScoreRecord(at_ms, *values)


def _ms_of(text: str | None) -> int | None:
    return None if text is None else to_ms(from_iso(text))

"""The table of anomalies: the statements that store those that begin and end in a batch of rows.

They are executed in the transaction that stores the rows. All may be executed again, and an end
also before its begin is executed again.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from psycopg import sql

from conductor_actors.adapters.postgres.connection import Statement
from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyChange, AnomalyEnded
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import EPOCH, to_datetime, to_iso

_COLUMN_TYPES: Final = {
    "id": "uuid",
    "timestamp": "timestamptz",
    "tenant_id": "text",
    "session_id": "text",
    "event_id": "text",
    "anomaly_type": "text",
    "severity": "text",
    "anomaly_score": "float8",
    "current_engagement": "float8",
    "expected_engagement": "float8",
    "deviation": "float8",
    "signals": "jsonb",
    "metadata": "jsonb",
}
_SENT_AS_TEXT: Final = ("uuid", "jsonb")

_INSERT_BEGUN: Final = sql.SQL(
    "INSERT INTO anomalies ({columns}) SELECT {values} FROM unnest({arrays}) AS new ({columns})"
    " ON CONFLICT (id, timestamp) DO NOTHING"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMN_TYPES)),
    values=sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in _COLUMN_TYPES.items()
    ),
    arrays=sql.SQL(", ").join(
        sql.SQL("%b::{}[]").format(sql.SQL("text" if kind in _SENT_AS_TEXT else kind))
        for kind in _COLUMN_TYPES.values()
    ),
)

# Of a hypertable, the span excludes the chunks that would be searched, and decompressed, in vain.
_UPDATE_ENDED: Final = sql.SQL(
    "UPDATE anomalies"
    " SET metadata = anomalies.metadata || jsonb_build_object('ended_at', new.ended_at)"
    " FROM unnest(%b::text[], %b::timestamptz[], %b::text[]) AS new (id, timestamp, ended_at)"
    " WHERE anomalies.id = new.id::uuid AND anomalies.timestamp = new.timestamp"
    " AND anomalies.timestamp BETWEEN %b::timestamptz AND %b::timestamptz"
    " AND NOT jsonb_exists(anomalies.metadata, 'ended_at')"
).format()


def anomaly_statements(rows: Iterable[ScoreRow]) -> list[Statement]:
    """Return the statements that store the anomalies of the rows; none if there are none."""
    changed = [row for row in rows if row.anomalies]
    if not changed:
        return []
    begun = [
        _begun_values(row, change)
        for row, change in _changes(changed)
        if isinstance(change, AnomalyBegan)
    ]
    return [*([_begin_statement(begun)] if begun else ()), *end_statements(changed)]


def end_statements(rows: Iterable[ScoreRow]) -> list[Statement]:
    """Return the statement that stores the ends of anomalies; none if there are none."""
    ended = [
        (change.id, to_datetime(change.began_ms), to_iso(row.at_ms, "milliseconds"))
        for row, change in _changes(rows)
        if isinstance(change, AnomalyEnded)
    ]
    return [_end_statement(ended)] if ended else []


def statements_without_values() -> list[Statement]:
    """Return statements that store nothing, and need the same privileges as the others."""
    return [_begin_statement([]), (_UPDATE_ENDED, ([], [], [], EPOCH, EPOCH))]


def _changes(rows: Iterable[ScoreRow]) -> Iterator[tuple[ScoreRow, AnomalyChange]]:
    return ((row, change) for row in rows for change in row.anomalies)


def _begun_values(row: ScoreRow, begun: AnomalyBegan) -> tuple[object, ...]:
    metadata = {"onset": to_iso(begun.onset_ms, "milliseconds"), "reason": begun.reason}
    return (
        begun.id,
        to_datetime(row.at_ms),
        row.tenant_id,
        row.session_id,
        row.event_id,
        begun.type,
        begun.severity,
        float(begun.anomaly_score),
        float(row.score),
        float(begun.expected_engagement),
        float(begun.deviation),
        msgspec.json.encode(row.signals).decode(),
        msgspec.json.encode(metadata).decode(),
    )


def _begin_statement(begun: Sequence[tuple[object, ...]]) -> Statement:
    columns = zip(*begun, strict=True) if begun else ((),) * len(_COLUMN_TYPES)
    return _INSERT_BEGUN, [*map(list, columns)]


def _end_statement(ended: Sequence[tuple[str, object, str]]) -> Statement:
    ids, begins, ends = map(list, zip(*ended, strict=True))
    return _UPDATE_ENDED, (ids, begins, ends, min(begins), max(begins))

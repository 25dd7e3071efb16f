"""The table of scores: insert new rows, and test whether a row is accepted."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from conductor_actors.adapters.postgres.anomalies_table import (
    anomaly_statements,
    end_statements,
    statements_without_values,
)
from conductor_actors.adapters.postgres.connection import (
    DatabaseConnection,
    Statement,
    StatementRefused,
    execute_in_transaction,
    transaction,
)
from conductor_actors.adapters.postgres.deliveries_table import (
    HasWebhook,
    delivery_statements,
    enqueue_statement,
    no_webhook,
)
from conductor_actors.adapters.postgres.interventions_table import (
    intervention_statements,
    intervention_statements_without_values,
)
from conductor_actors.adapters.postgres.sessions_table import (
    KnownSessions,
    SessionSpan,
    session_statements,
    spans_of,
)
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.rows import (
    COLUMNS,
    UNKNOWN_AUDIENCE,
    VALUE_TYPES,
    values_of,
)
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_datetime, to_iso

# The types of the columns, without metadata.
COLUMN_TYPES: Final = {"time": "timestamptz"} | {
    name: {str: "text", float: "float8", int: "int8"}[kind] for name, kind in VALUE_TYPES.items()
}
_COLUMN_NAMES: Final = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))

# A row that breaks another unique index than the key is refused, not skipped.
_INSERT: Final = sql.SQL(
    "INSERT INTO engagement_metrics ({columns}, metadata)"
    " SELECT {columns}, metadata::jsonb"
    " FROM unnest({values}) AS new ({columns}, metadata)"
    " ON CONFLICT (tenant_id, session_id, time) DO NOTHING"
).format(
    columns=_COLUMN_NAMES,
    values=sql.SQL(", ").join(
        sql.SQL("%b::{}[]").format(sql.SQL(kind)) for kind in (*COLUMN_TYPES.values(), "text")
    ),
)

# COPY costs a quarter of the work of INSERT, but more round trips, and can't skip rows that are
# stored already.
_COPY: Final = sql.SQL("COPY engagement_metrics ({}, metadata) FROM STDIN (FORMAT BINARY)").format(
    _COLUMN_NAMES
)
_COPY_TYPES: Final = (*COLUMN_TYPES.values(), "text")
_JSONB_VERSION: Final = "\1"  # jsonb is sent as this and its text
MIN_COPIED_ROWS: Final = 101

_encode: Final = msgspec.json.Encoder().encode
_NO_METADATA: Final = "{}"

# COPY does not support row-level security, nor a table that became a hypertable while COPY waited
# for its lock; INSERT does.
_NOT_SUPPORTED: Final = "0A000"

_TEST_AND_ROLL_BACK: Final = (b"SET CONSTRAINTS ALL IMMEDIATE", b"ROLLBACK")


class MetricsTable:
    """The table `engagement_metrics`, over one connection.

    Each call is one transaction with the whole deadline. An error of the driver is raised as
    `deadline` raises it. The events of rows are enqueued for the tenants that have a webhook.
    """

    def __init__(
        self,
        connection: DatabaseConnection,
        deadline_s: float,
        has_webhook: HasWebhook = no_webhook,
    ) -> None:
        self.connection = connection
        self._has_webhook = has_webhook
        self._deadline_s = deadline_s
        self._known_sessions = KnownSessions()
        self._expects_stored_rows = False  # as after a crash

    def add(self, rows: Sequence[ScoreRow]) -> int:
        """Store those of the rows that are not stored yet, and return their number."""
        spans = self._known_sessions.changed(rows)
        if len(rows) < MIN_COPIED_ROWS:
            return self._insert(rows, spans)
        if not self._expects_stored_rows:
            stored = self._copy(rows, spans)
            if stored is not None:
                return stored
        stored = self._insert(rows, spans)
        self._expects_stored_rows = stored < len(rows)
        return stored

    def end_anomalies(self, rows: Sequence[ScoreRow]) -> None:
        """Store the ends of anomalies again, whose begins were stored after them."""
        if ends := end_statements(rows):
            execute_in_transaction(self.connection, self._deadline_s, ends, b"COMMIT")

    def forget_sessions(self, rows: Sequence[ScoreRow]) -> None:
        """Store the sessions of rows again with their next rows: these were refused."""
        self._known_sessions.forget(rows)

    def test(self, rows: Sequence[ScoreRow]) -> None:
        """Raise what `add` of these rows, if they begin their sessions, would raise.

        Store nothing.
        """
        statements = self._statements(rows, spans_of(rows))
        execute_in_transaction(self.connection, self._deadline_s, statements, *_TEST_AND_ROLL_BACK)

    def test_privileges(self, rows: Sequence[ScoreRow]) -> None:
        """Raise what `add` of any rows with as much as these would raise."""
        statements = [_insert_statement(())]
        if any(row.anomalies for row in rows):
            statements += statements_without_values()
        if any(row.interventions for row in rows):
            statements += intervention_statements_without_values()
        if self._has_webhook is not no_webhook:
            statements.append(enqueue_statement(()))
        if self._known_sessions.changed(rows):
            statements += session_statements(())
        execute_in_transaction(self.connection, self._deadline_s, statements, *_TEST_AND_ROLL_BACK)

    def _insert(self, rows: Sequence[ScoreRow], spans: Sequence[SessionSpan]) -> int:
        results = execute_in_transaction(
            self.connection, self._deadline_s, self._statements(rows, spans), b"COMMIT"
        )
        if spans:
            self._known_sessions.add(results[-1])
        return results[0].rowcount

    def _copy(self, rows: Sequence[ScoreRow], spans: Sequence[SessionSpan]) -> int | None:
        """Copy new rows into the table; None if that is not possible, and none was stored."""
        live: Sequence[TupleRow] = ()
        try:
            with (
                transaction(self.connection, self._deadline_s),
                self.connection.cursor() as cursor,
            ):
                with cursor.copy(_COPY) as copy:
                    copy.set_types(_COPY_TYPES)
                    at = _Times()
                    for row in rows:
                        metadata = _JSONB_VERSION + _metadata_of(row)
                        # `(*values, …)` would make a list first, and every row comes here.
                        copy.write_row(values_of(row, at[row.at_ms]) + (metadata,))  # noqa: RUF005
                stored = cursor.rowcount
                for statement in self._change_statements(rows, spans):
                    cursor.execute(*statement)
                if spans:
                    live = cursor.fetchall()
        except psycopg.errors.UniqueViolation:  # a row is stored already
            return None
        except StatementRefused as refusal:
            if refusal.sqlstate != _NOT_SUPPORTED:
                raise
            return None
        self._known_sessions.add(live)
        return stored

    def _statements(
        self, rows: Sequence[ScoreRow], spans: Sequence[SessionSpan]
    ) -> list[Statement]:
        return [_insert_statement(rows), *self._change_statements(rows, spans)]

    def _change_statements(
        self, rows: Sequence[ScoreRow], spans: Sequence[SessionSpan]
    ) -> list[Statement]:
        """Return the statements of what changes with the rows; those of sessions are the last."""
        changes = [
            *anomaly_statements(rows),
            *intervention_statements(rows),
            *delivery_statements(rows, self._has_webhook),
        ]
        return [*changes, *session_statements(spans)] if spans else changes


class _Times(dict[int, datetime]):
    """The times of ticks: a batch has few, and the time of each is made once."""

    def __missing__(self, at_ms: int) -> datetime:
        at = self[at_ms] = to_datetime(at_ms)
        return at


def _insert_statement(rows: Sequence[ScoreRow]) -> Statement:
    return _INSERT, (*_columns(rows), [*map(_metadata_of, rows)])


def _columns(rows: Sequence[ScoreRow]) -> Iterator[list[object]]:
    """Return the columns of the rows without metadata, each of one type as the driver requires."""
    at = _Times()
    values = [values_of(row, at[row.at_ms]) for row in rows]
    times, *columns = zip(*values, strict=True) if rows else ((),) * len(COLUMNS)
    yield [*times]
    for kind, of_column in zip(VALUE_TYPES.values(), columns, strict=True):
        yield [*map(kind, of_column)]


def _metadata_of(row: ScoreRow) -> str:
    """Return the metadata of a row as JSON."""
    metadata = _metadata(row.gap, row.is_audience_known, row.quiet_until_ms, row.is_chat_open)
    expected = row.expected
    if expected is None:
        return metadata
    span = _encode((expected.low, expected.high)).decode()  # each row has another
    comma = "" if metadata == _NO_METADATA else ","
    return f'{{"expected":{span}{comma}{metadata[1:]}'


@lru_cache(64)  # of the few that a batch has
def _metadata(
    gap: GapMark | None, is_audience_known: bool, quiet_until_ms: int, is_chat_open: bool
) -> str:
    """Return the metadata as JSON, without what is expected."""
    metadata: dict[str, object] = {}
    if gap is not None:
        metadata["gap"] = gap
    if not is_audience_known:
        metadata["audience"] = UNKNOWN_AUDIENCE
    if not is_chat_open:
        metadata["chat_open"] = False
    if quiet_until_ms:
        metadata["quiet_until"] = to_iso(quiet_until_ms, "milliseconds")
    return _encode(metadata).decode()

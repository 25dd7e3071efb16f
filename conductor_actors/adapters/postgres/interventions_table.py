"""The tables of interventions and of measured trials: the statements that store those of rows.

They are executed in the transaction that stores the rows. All may be executed again, and in any
order: an intervention only moves forward, by its status, then by whether it has an outcome.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import sql

from conductor_actors.adapters.postgres.connection import Statement
from conductor_actors.domain.conductor.interventions import STATUS_RANKS, Intervention
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_datetime
from conductor_actors.wire.intervention_bodies import (
    PerformanceMetadata,
    metadata_body,
    outcome_body,
)

AGENT_ID: Final = "engagement-conductor"

_INTERVENTION_COLUMNS: Final = {
    "id": "uuid",
    "timestamp": "timestamptz",
    "tenant_id": "text",
    "session_id": "text",
    "event_id": "text",
    "type": "text",
    "status": "text",
    "confidence": "float8",
    "reasoning": "text",
    "outcome": "jsonb",
    "metadata": "jsonb",
}
_PERFORMANCE_COLUMNS: Final = {
    "id": "uuid",
    "time": "timestamptz",
    "tenant_id": "text",
    "agent_id": "text",
    "intervention_type": "text",
    "success": "bool",
    "engagement_delta": "float8",
    "confidence": "float8",
    "session_id": "text",
    "metadata": "jsonb",
}
_SENT_AS_STRING: Final = ("uuid", "jsonb")
_NUL: Final = rb"\u0000"  # in JSON; jsonb can't have it


def _insert_into(table: str, columns: Mapping[str, str]) -> sql.Composed:
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM unnest({arrays}) AS new ({columns})"
    ).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in columns.items()
        ),
        arrays=sql.SQL(", ").join(
            sql.SQL("%b::{}[]").format(sql.SQL("text" if kind in _SENT_AS_STRING else kind))
            for kind in columns.values()
        ),
    )


def _rank_of(record: str) -> sql.Composed:
    """Return the expression by which a later version of an intervention exceeds an earlier one."""
    ranks = sql.SQL(" ").join(
        sql.SQL("WHEN {} THEN {}").format(sql.Literal(status), sql.Literal(rank))
        for status, rank in STATUS_RANKS.items()
    )
    rank = sql.SQL("(CASE {record}.status {ranks} ELSE -1 END, {record}.outcome IS NOT NULL)")
    return rank.format(record=sql.Identifier(record), ranks=ranks)


_UPSERT_INTERVENTIONS: Final = sql.Composed(
    [
        _insert_into("interventions", _INTERVENTION_COLUMNS),
        sql.SQL(
            " ON CONFLICT (id, timestamp) DO UPDATE SET status = excluded.status,"
            " outcome = excluded.outcome,"
            " metadata = (interventions.metadata - 'note') || excluded.metadata"
            " WHERE interventions.tenant_id = excluded.tenant_id"
            " AND interventions.session_id = excluded.session_id AND {} < {}"
        ).format(_rank_of("interventions"), _rank_of("excluded")),
    ]
)
_INSERT_PERFORMANCE: Final = _insert_into("agent_performance", _PERFORMANCE_COLUMNS) + sql.SQL(
    " ON CONFLICT (id, time) DO NOTHING"
)


class _Changed(NamedTuple):
    row: ScoreRow
    record: Intervention

    def rank(self) -> tuple[int, bool]:
        """Return what a later version exceeds."""
        return STATUS_RANKS[self.record.status], self.record.outcome is not None


def intervention_statements(rows: Iterable[ScoreRow]) -> list[Statement]:
    """Return the statements that store the interventions of the rows; none if there are none."""
    changed = [row for row in rows if row.interventions]
    if not changed:
        return []
    newest = _newest(changed)
    trials = [values for each in newest if (values := _performance_values(each)) is not None]
    statements = [_statement(_UPSERT_INTERVENTIONS, _INTERVENTION_COLUMNS, map(_values, newest))]
    if trials:
        statements.append(_statement(_INSERT_PERFORMANCE, _PERFORMANCE_COLUMNS, trials))
    return statements


def intervention_statements_without_values() -> list[Statement]:
    """Return statements that store nothing, and need the same privileges as the others."""
    return [
        _statement(_UPSERT_INTERVENTIONS, _INTERVENTION_COLUMNS, ()),
        _statement(_INSERT_PERFORMANCE, _PERFORMANCE_COLUMNS, ()),
    ]


def _newest(rows: Iterable[ScoreRow]) -> Sequence[_Changed]:
    """Return the newest version of each intervention: a statement may change a row only once.

    An id that is another session's already is ignored, as that of a stored intervention is.
    """
    found: dict[tuple[str, int], _Changed] = {}
    for row in rows:
        for record in row.interventions:
            changed = _Changed(row, record)
            known = found.setdefault((record.id, record.at_ms), changed)
            if known.row.key == row.key and known.rank() < changed.rank():
                found[record.id, record.at_ms] = changed
    return [*found.values()]


def _values(changed: _Changed) -> tuple[object, ...]:
    row, record = changed
    return (
        record.id,
        to_datetime(record.at_ms),
        row.tenant_id,
        row.session_id,
        record.event_id,
        record.type,
        record.status,
        float(record.confidence),
        record.reasoning.replace("\0", ""),
        None if record.outcome is None else _json(outcome_body(record.outcome)),
        _json(metadata_body(record)),
    )


def _performance_values(changed: _Changed) -> tuple[object, ...] | None:
    """Return the values of a trial; None if it is none, or was not measured."""
    row, record = changed
    choice, outcome = record.choice, record.outcome
    if choice is None or outcome is None or outcome.after is None:
        return None
    metadata = PerformanceMetadata(
        event_id=record.event_id,
        origin=record.origin,
        anomaly_type=choice.anomaly_type,
        probability=choice.probabilities.get(record.type, 0),
        probabilities={str(kind): share for kind, share in choice.probabilities.items()},
        before=outcome.before,
        after=outcome.after,
        reward=outcome.reward,
        policy_version=choice.policy_version,
    )
    return (
        record.id,
        to_datetime(outcome.measured_ms),
        row.tenant_id,
        AGENT_ID,
        record.type,
        outcome.success,
        float(outcome.after - outcome.before),
        float(record.confidence),
        row.session_id,
        _json(metadata),
    )


def _json(body: msgspec.Struct) -> str:
    text = msgspec.json.encode(body)
    if _NUL in text:
        text = msgspec.json.encode(_without_nul(msgspec.json.decode(text)))
    return text.decode()


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [*map(_without_nul, value)]
        case dict():
            return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    return value


def _statement(
    insert: sql.Composed, columns: Mapping[str, str], records: Iterable[tuple[object, ...]]
) -> Statement:
    values = [*zip(*records, strict=True)] or [()] * len(columns)
    return insert, [*map(list, values)]

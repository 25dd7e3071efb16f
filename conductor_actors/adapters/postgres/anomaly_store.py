"""Read the table of anomalies on an event loop, and store feedback in it.

The metadata of an anomaly has `onset`, `reason`, `ended_at` and `feedback`. Each writer adds its
own keys to those that are stored, so that an end and feedback don't remove each other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec
from psycopg import sql

from conductor_actors.adapters.postgres.query_pool import QueryPool
from conductor_actors.instants import from_iso, to_datetime, to_iso, to_ms
from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalyPage,
    AnomalySelection,
    StoredAnomaly,
    TypeQuality,
    Verdict,
)

MAX_ANOMALY_CONNECTIONS: Final = 2

_COLUMN_NAMES_IN_ORDER: Final = (
    *("id", "timestamp", "tenant_id", "session_id", "event_id", "anomaly_type", "severity"),
    *("anomaly_score", "current_engagement", "expected_engagement", "deviation"),
    *("signals", "metadata"),
)


def _columns(table: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in _COLUMN_NAMES_IN_ORDER)


_SELECT: Final = sql.SQL("SELECT {} FROM anomalies WHERE ").format(_columns("anomalies"))
_IN_SELECTION: Final = sql.SQL(
    "tenant_id = %(tenant_id)s AND timestamp >= %(first)s AND timestamp < %(until)s"
)
_OF_SESSIONS: Final = sql.SQL(" AND session_id = ANY(%(session_ids)s)")
_OF_EVENT: Final = sql.SQL(" AND event_id = %(event_id)s")
_IS_OPEN: Final = sql.SQL(" AND metadata->>'ended_at' IS NULL")
_IS_OVER: Final = sql.SQL(" AND metadata->>'ended_at' IS NOT NULL")
_OLDEST_FIRST: Final = (
    sql.SQL(" AND (timestamp, id) > (%(after_at)s, %(after_id)s::uuid)"),
    sql.SQL(" ORDER BY timestamp, id LIMIT %(limit)s"),
)
_NEWEST_FIRST: Final = (
    sql.SQL(" AND (timestamp, id) < (%(after_at)s, %(after_id)s::uuid)"),
    sql.SQL(" ORDER BY timestamp DESC, id DESC LIMIT %(limit)s"),
)

# `ended_at` is compared as text, which is in the order of time because it always has this form.
_SELECT_RECENT: Final = _SELECT + sql.SQL(
    "tenant_id = ANY(%(tenants)s) AND timestamp >= %(began_since)s"
    " AND coalesce(metadata->>'ended_at' >= %(ended_since)s, true)"
    " ORDER BY timestamp DESC, id DESC LIMIT %(limit)s"
)

# Only what this service writes is a time for certain.
_SELECT_QUALITY: Final = sql.SQL("""
    SELECT anomaly_type, count(*),
           count(*) FILTER (WHERE verdict IN ('problem', 'not_a_problem')),
           count(*) FILTER (WHERE verdict = 'not_a_problem'),
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY extract(epoch FROM ended_at::timestamptz - timestamp)::float8)
    FROM (SELECT anomaly_type, timestamp, metadata->'feedback'->>'verdict' AS verdict,
                 substring(metadata->>'ended_at' FROM {form}) AS ended_at
          FROM anomalies WHERE {selection}) AS selected
    GROUP BY anomaly_type ORDER BY anomaly_type
""")
_FORM_OF_END: Final = sql.Literal(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$")

_STORE_FEEDBACK: Final = sql.SQL("""
    UPDATE anomalies
    SET metadata = anomalies.metadata || jsonb_build_object('feedback', %(feedback)s::jsonb)
    FROM anomalies AS former
    WHERE anomalies.id = %(id)s::uuid AND former.id = %(id)s::uuid
      AND anomalies.timestamp = former.timestamp AND anomalies.tenant_id = %(tenant_id)s
      AND (%(session_ids)s::text[] IS NULL OR anomalies.session_id = ANY(%(session_ids)s))
    RETURNING {}
""").format(_columns("former"))


class PostgresAnomalyStore:
    """An `AnomalyStore` with a pool of connections."""

    def __init__(self, url: str) -> None:
        self._pool = QueryPool(url, MAX_ANOMALY_CONNECTIONS, "anomalies")

    async def open(self) -> None:
        """Open the pool of connections; the first call connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def find(self, selection: AnomalySelection, page: AnomalyPage) -> list[StoredAnomaly]:
        """Return a page of the anomalies."""
        after, order = _NEWEST_FIRST if page.is_newest_first else _OLDEST_FIRST
        query = _SELECT + _selected(selection)
        values = _values(selection) | {"limit": page.limit}
        if page.is_open is not None:
            query += _IS_OPEN if page.is_open else _IS_OVER
        if page.after is not None:
            query += after
            values |= {"after_at": to_datetime(page.after.at_ms), "after_id": page.after.id}
        return [*map(_stored_anomaly, await self._pool.run(query + order, values))]

    async def recent(
        self, tenants: Sequence[str], began_since_ms: int, ended_since_ms: int, limit: int
    ) -> list[StoredAnomaly]:
        """Return anomalies of some tenants, newest first, that are open or ended recently."""
        values = {
            "tenants": list(tenants),
            "began_since": to_datetime(began_since_ms),
            "ended_since": to_iso(ended_since_ms, "milliseconds"),
            "limit": limit,
        }
        return [*map(_stored_anomaly, await self._pool.run(_SELECT_RECENT, values))]

    async def quality(self, selection: AnomalySelection) -> list[TypeQuality]:
        """Return the quality of the anomalies of each type, by name."""
        query = _SELECT_QUALITY.format(form=_FORM_OF_END, selection=_selected(selection))
        return [TypeQuality(*record) for record in await self._pool.run(query, _values(selection))]

    async def store_feedback(
        self,
        tenant_id: str,
        anomaly_id: str,
        session_ids: Sequence[str] | None,
        feedback: AnomalyFeedback,
    ) -> StoredAnomaly | None:
        """Replace the feedback on an anomaly; return the anomaly with its former feedback."""
        values = {
            "id": anomaly_id,
            "tenant_id": tenant_id,
            "session_ids": None if session_ids is None else list(session_ids),
            "feedback": _encoded(feedback),
        }
        changed = await self._pool.run(_STORE_FEEDBACK, values, writes=True)
        return _stored_anomaly(changed[0]) if changed else None


def _selected(selection: AnomalySelection) -> sql.Composed:
    query = sql.Composed([_IN_SELECTION])
    if selection.session_ids is not None:
        query += _OF_SESSIONS
    if selection.event_id is not None:
        query += _OF_EVENT
    return query


def _values(selection: AnomalySelection) -> dict[str, object]:
    return {
        "tenant_id": selection.tenant_id,
        "first": to_datetime(selection.first_ms),
        "until": to_datetime(selection.until_ms),
        "session_ids": list(selection.session_ids or ()),
        "event_id": selection.event_id,
    }


def _stored_anomaly(record: tuple[Any, ...]) -> StoredAnomaly:
    id_, at, *values, signals, metadata = record
    columns = (str(id_), to_ms(at), *values, signals if isinstance(signals, Mapping) else {})
    stored = StoredAnomaly(*columns)
    if not isinstance(metadata, Mapping):
        return stored
    reason = metadata.get("reason")
    return stored._replace(
        onset_ms=_instant(metadata.get("onset")),
        reason=reason if isinstance(reason, str) else None,
        ended_ms=_instant(metadata.get("ended_at")),
        feedback=_feedback(metadata.get("feedback")),
    )


def _instant(value: object) -> int | None:
    """Return the instant of an ISO 8601 text; None for what another program stored instead."""
    try:
        return to_ms(from_iso(value)) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _feedback(value: object) -> AnomalyFeedback | None:
    if not isinstance(value, Mapping):
        return None
    verdict: Any = value.get("verdict")
    at_ms, subject = _instant(value.get("at")), value.get("by")
    if verdict not in get_args(Verdict) or at_ms is None:
        return None
    return AnomalyFeedback(verdict, at_ms, subject if isinstance(subject, str) else None)


def _encoded(feedback: AnomalyFeedback) -> str:
    body: dict[str, object] = {
        "verdict": feedback.verdict,
        "at": to_iso(feedback.at_ms, "milliseconds"),
    }
    if feedback.subject is not None:
        body["by"] = feedback.subject
    return msgspec.json.encode(body).decode()

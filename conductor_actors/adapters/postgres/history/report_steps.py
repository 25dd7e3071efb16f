"""The queries of a report in their order, for a reader on an event loop and one in a thread.

A generator yields each query, and is sent its records. All of them read until the ticks that the
first one finds, so that the figures of a live session agree with each other.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Final, TypeAlias

from psycopg import sql

from conductor_actors.adapters.postgres.history.other_sessions import (
    EndedSession,
    KnownContributions,
    read_contributions,
)
from conductor_actors.adapters.postgres.history.report_building import (
    ReportSources,
    build_event_report,
    build_session_report,
)
from conductor_actors.adapters.postgres.history.report_figures import (
    ReportFigures,
    mean_contributions,
)
from conductor_actors.adapters.postgres.history.report_query import (
    SELECT_FIGURES,
    SELECT_NEXT_TICK,
    ReportedRows,
    slice_values,
)
from conductor_actors.adapters.postgres.history.session_reader import (
    FROM_SESSIONS,
    SELECT_SUMMARY,
    stored_session,
)
from conductor_actors.adapters.postgres.query_pool import Records
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_ms
from conductor_actors.ports.history_port import StoredSession
from conductor_actors.ports.report_port import ReportRules
from conductor_actors.wire.report_bodies import Report

ReportQuery: TypeAlias = tuple[sql.Composed, Mapping[str, object]]
ReportSteps: TypeAlias = Generator[ReportQuery, Records, Report | None]

MAX_REPORTED_CHANGES: Final = 10_000  # anomalies, and as many interventions

_LAST_TICK: Final = sql.SQL("""
    , coalesce(s.ended_at, (
        SELECT max(time) FROM engagement_metrics AS metrics
        WHERE metrics.tenant_id = s.tenant_id AND metrics.session_id = s.session_id
    ), s.started_at)
""")
_SELECT_REPORTED: Final = SELECT_SUMMARY + _LAST_TICK + FROM_SESSIONS
_SELECT_REPORTED_SESSION: Final = _SELECT_REPORTED + sql.SQL(" AND s.session_id = %(session_id)s")
_SELECT_REPORTED_EVENT: Final = _SELECT_REPORTED + sql.SQL(
    " AND s.event_id = %(event_id)s"
    " AND (%(visible)s::text[] IS NULL OR s.session_id = ANY(%(visible)s))"
    " ORDER BY s.started_at, s.session_id"
)
# The inner limit has the database read each session by its index, and no more of it than counts.
_SELECT_CHANGED: Final = sql.SQL("""
    SELECT changed.id, timestamp, reported.id, {columns}
    FROM unnest(%(session_ids)s::text[], %(lasts)s::timestamptz[]) AS reported (id, last)
    CROSS JOIN LATERAL (
        SELECT * FROM {table}
        WHERE session_id = reported.id AND tenant_id = %(tenant_id)s
          AND timestamp >= %(first)s AND timestamp <= reported.last AND timestamp <= %(until)s
        ORDER BY timestamp LIMIT %(limit)s
    ) AS changed
    ORDER BY timestamp, changed.id LIMIT %(limit)s
""")
_SELECT_REPORTED_ANOMALIES: Final = _SELECT_CHANGED.format(
    table=sql.SQL("anomalies"),
    columns=sql.SQL("anomaly_type, severity, metadata->>'ended_at', metadata->>'reason'"),
)
_SELECT_REPORTED_INTERVENTIONS: Final = _SELECT_CHANGED.format(
    table=sql.SQL("interventions"),
    columns=sql.SQL("type, status, metadata#>>'{steps,SENT}', outcome"),
)


def session_report_steps(
    key: SessionKey,
    visible: Sequence[str] | None,
    rules: ReportRules,
    known: KnownContributions,
) -> ReportSteps:
    """Return the report of a session; None if it has no row.

    It is compared with the sessions of its event that are `visible`; None: all.
    """
    records = yield _SELECT_REPORTED_SESSION, key._asdict()
    sources = yield from _sources(key.tenant_id, records, rules)
    if sources is None:
        return None
    (session,) = sources.sessions
    if session.ended_ms is not None:
        own = EndedSession(key, session.started_ms or 0, session.ended_ms)
        known[own] = sources.figures.contributions()
    found = yield from read_contributions(session, visible, rules, known)
    return build_session_report(sources._replace(others=mean_contributions(found)), rules)


def event_report_steps(
    tenant_id: str, event_id: str, visible: Sequence[str] | None, rules: ReportRules
) -> ReportSteps:
    """Return the report of an event's `visible` sessions; None if none of them has a row."""
    values = {
        "tenant_id": tenant_id,
        "event_id": event_id,
        "visible": None if visible is None else list(visible),
    }
    records = yield _SELECT_REPORTED_EVENT, values
    sources = yield from _sources(tenant_id, records, rules)
    return None if sources is None else build_event_report(sources, rules)


def _sources(
    tenant_id: str, records: Records, rules: ReportRules
) -> Generator[ReportQuery, Records, ReportSources | None]:
    if not records:
        return None
    sessions = [stored_session(tenant_id, record[:-1]) for record in records]
    rows = _reported_rows(tenant_id, sessions, records)
    figures = yield from _figures(rows, rules)
    if not figures.sessions:
        return None
    values = rows.values(rules) | slice_values(rows.first_ms, rows.last_ms)
    values["limit"] = MAX_REPORTED_CHANGES
    anomalies = yield _SELECT_REPORTED_ANOMALIES, values
    interventions = yield _SELECT_REPORTED_INTERVENTIONS, values
    return ReportSources(sessions, rows, figures, anomalies, interventions)


def _reported_rows(
    tenant_id: str, sessions: Sequence[StoredSession], records: Records
) -> ReportedRows:
    lasts_ms = {
        session.key.session_id: to_ms(record[-1])
        for session, record in zip(sessions, records, strict=True)
    }
    session_ids = sorted(lasts_ms)  # of equal changes, that of the first id is chosen
    first_ms = min(session.started_ms or 0 for session in sessions)
    return ReportedRows(tenant_id, session_ids, [lasts_ms[each] for each in session_ids], first_ms)


def _figures(
    rows: ReportedRows, rules: ReportRules
) -> Generator[ReportQuery, Records, ReportFigures]:
    """Return the figures of all slices; times without a row are passed over."""
    figures = ReportFigures(rows.session_ids)
    values, next_ms = rows.values(rules), rows.first_ms
    while next_ms <= rows.last_ms:
        first_ms, next_ms = next_ms, next_ms + rows.slice_ms(rules.tick_s)
        bounds = slice_values(first_ms, next_ms)
        found = yield SELECT_FIGURES, values | bounds
        figures.add(found)
        if not found:
            ((next_at,),) = yield SELECT_NEXT_TICK, values | bounds
            if next_at is None:
                break
            next_ms = to_ms(next_at)
    return figures

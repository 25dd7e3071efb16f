"""Read the tables of interventions and of measured trials on an event loop."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from psycopg import sql

from conductor_actors.adapters.postgres.interventions_table import AGENT_ID
from conductor_actors.adapters.postgres.query_pool import QueryPool
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.conductor_port import (
    InterventionCount,
    InterventionPage,
    StoredIntervention,
    StoredTrial,
)
from conductor_actors.wire.intervention_bodies import PerformanceMetadata

MAX_INTERVENTION_CONNECTIONS: Final = 2

_SELECT_INTERVENTIONS: Final = sql.SQL(
    "SELECT id, timestamp, tenant_id, session_id, event_id, type, status, confidence, reasoning,"
    " outcome, metadata FROM interventions WHERE "
)
_OF_CALLER: Final = sql.SQL(
    "tenant_id = %(tenant_id)s"
    " AND (%(session_ids)s::text[] IS NULL OR session_id = ANY(%(session_ids)s))"
)
_NEWEST_PAGE: Final = sql.SQL(" ORDER BY timestamp DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s")

_SELECT_OF_SESSION: Final = _SELECT_INTERVENTIONS + sql.SQL(
    "session_id = %(session_id)s AND tenant_id = %(tenant_id)s"
)
_SELECT_OF_EVENT: Final = (
    _SELECT_INTERVENTIONS
    + sql.SQL("event_id = %(event_id)s AND timestamp >= %(since)s AND ")
    + _OF_CALLER
)
_SELECT_ONE: Final = _SELECT_INTERVENTIONS + sql.SQL("id = %(id)s::uuid AND ") + _OF_CALLER
_SELECT_DECIDED_SINCE: Final = _SELECT_INTERVENTIONS + sql.SQL(
    "tenant_id = ANY(%(tenants)s) AND timestamp >= %(since)s"
)

# Only what this service writes is a number for certain.
_SELECT_COUNTS: Final = sql.SQL("""
    SELECT type, status, count(*), count(reward), count(*) FILTER (WHERE reward > 0),
           avg(reward)::float8
    FROM (SELECT type, status,
                 CASE jsonb_typeof(outcome->'reward')
                 WHEN 'number' THEN (outcome->>'reward')::float8 END AS reward
          FROM interventions
          WHERE session_id = %(session_id)s AND tenant_id = %(tenant_id)s) AS selected
    GROUP BY type, status ORDER BY type, status
""").format()

_SELECT_TRIALS: Final = (
    sql.SQL(
        "SELECT id, time, session_id, intervention_type, metadata FROM agent_performance"
        " WHERE time >= %(since)s AND agent_id = {} AND "
    ).format(sql.Literal(AGENT_ID))
    + _OF_CALLER
    + sql.SQL(" ORDER BY time DESC, id DESC LIMIT %(limit)s")
)


class PostgresInterventionStore:
    """An `InterventionStore` with a pool of connections."""

    def __init__(self, url: str) -> None:
        self._pool = QueryPool(url, MAX_INTERVENTION_CONNECTIONS, "interventions")

    async def open(self) -> None:
        """Open the pool of connections; the first call connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def of_session(
        self, tenant_id: str, session_id: str, page: InterventionPage
    ) -> list[StoredIntervention]:
        """Return a page of a session's interventions."""
        values = {"tenant_id": tenant_id, "session_id": session_id, **page._asdict()}
        return await self._find(_SELECT_OF_SESSION + _NEWEST_PAGE, values)

    async def of_event(
        self,
        tenant_id: str,
        event_id: str,
        since_ms: int,
        page: InterventionPage,
        session_ids: Sequence[str] | None = None,
    ) -> list[StoredIntervention]:
        """Return a page of an event's interventions that were decided at or after `since_ms`."""
        values = {"event_id": event_id, "since": to_datetime(since_ms), **page._asdict()}
        return await self._find(
            _SELECT_OF_EVENT + _NEWEST_PAGE, values | _caller(tenant_id, session_ids)
        )

    async def counts(self, tenant_id: str, session_id: str) -> list[InterventionCount]:
        """Return the numbers of a session's interventions, by type and status."""
        values = {"tenant_id": tenant_id, "session_id": session_id}
        records = await self._pool.run(_SELECT_COUNTS, values)
        return [InterventionCount(*record) for record in records]

    async def find(
        self, tenant_id: str, intervention_id: str, session_ids: Sequence[str] | None = None
    ) -> StoredIntervention | None:
        """Return the intervention of the tenant with this id (a UUID), or None."""
        values = {"id": intervention_id} | _caller(tenant_id, session_ids)
        found = await self._find(_SELECT_ONE, values)
        return found[0] if found else None

    async def recent(
        self, tenants: Sequence[str], since_ms: int, limit: int
    ) -> list[StoredIntervention]:
        """Return interventions of some tenants that were decided since then, newest first."""
        values: dict[str, object] = {"tenants": list(tenants)}
        values |= {"since": to_datetime(since_ms), "limit": limit, "offset": 0}
        return await self._find(_SELECT_DECIDED_SINCE + _NEWEST_PAGE, values)

    async def trials(
        self,
        tenant_id: str,
        since_ms: int,
        limit: int,
        session_ids: Sequence[str] | None = None,
    ) -> list[StoredTrial]:
        """Return a tenant's trials that were measured since then, newest first."""
        values = {"since": to_datetime(since_ms), "limit": limit}
        records = await self._pool.run(_SELECT_TRIALS, values | _caller(tenant_id, session_ids))
        return [*_stored_trials(records)]

    async def _find(
        self, query: sql.Composed, values: Mapping[str, object]
    ) -> list[StoredIntervention]:
        return [*map(_stored_intervention, await self._pool.run(query, values))]


def _caller(tenant_id: str, session_ids: Sequence[str] | None) -> dict[str, object]:
    sessions = None if session_ids is None else list(session_ids)
    return {"tenant_id": tenant_id, "session_ids": sessions}


def _stored_intervention(record: tuple[Any, ...]) -> StoredIntervention:
    id_, at, *columns, outcome, metadata = record
    columns.append(outcome if isinstance(outcome, Mapping) else None)
    columns.append(metadata if isinstance(metadata, Mapping) else {})
    return StoredIntervention(str(id_), to_ms(at), *columns)


def _stored_trials(records: Sequence[tuple[Any, ...]]) -> Iterator[StoredTrial]:
    """Return the trials; what another program stored in their table is left out."""
    for id_, at, session_id, kind, metadata in records:
        try:
            body = msgspec.convert(metadata, PerformanceMetadata)
        except msgspec.ValidationError:
            continue
        yield StoredTrial(
            str(id_),
            to_ms(at),
            session_id or "",
            body.event_id,
            kind,
            body.origin,
            body.anomaly_type,
            body.probabilities,
            body.before,
            body.after,
            body.reward,
        )

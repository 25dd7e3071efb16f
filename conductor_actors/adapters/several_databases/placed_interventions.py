"""The stored interventions of sessions that are in several databases."""

from collections.abc import Iterable, Sequence
from itertools import chain

from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.conductor_port import (
    InterventionCount,
    InterventionPage,
    InterventionStore,
    StoredIntervention,
    StoredTrial,
)


class PlacedInterventionStore:
    """An `InterventionStore`."""

    def __init__(self, placed: Placed[InterventionStore]) -> None:
        self._placed = placed

    async def open(self) -> None:
        """Open the pools of connections; the first call connects."""
        await self._placed.ask_all(lambda port: port.open())

    async def close(self) -> None:
        """Close every connection."""
        await self._placed.ask_all(lambda port: port.close())

    async def of_session(
        self, tenant_id: str, session_id: str, page: InterventionPage
    ) -> Sequence[StoredIntervention]:
        """Return a page of a session's interventions."""
        port = self._placed.of(SessionKey(tenant_id, session_id))
        return await port.of_session(tenant_id, session_id, page)

    async def of_event(
        self,
        tenant_id: str,
        event_id: str,
        since_ms: int,
        page: InterventionPage,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredIntervention]:
        """Return a page of an event's interventions that were decided at or after `since_ms`."""
        until = page.offset + page.limit
        found = await self._placed.ask_all(
            lambda port: port.of_event(
                tenant_id, event_id, since_ms, InterventionPage(until), session_ids
            )
        )
        return _newest_first(chain.from_iterable(found))[page.offset : until]

    async def counts(self, tenant_id: str, session_id: str) -> Sequence[InterventionCount]:
        """Return the numbers of a session's interventions, by type and status."""
        port = self._placed.of(SessionKey(tenant_id, session_id))
        return await port.counts(tenant_id, session_id)

    async def find(
        self, tenant_id: str, intervention_id: str, session_ids: Sequence[str] | None = None
    ) -> StoredIntervention | None:
        """Return the intervention of the tenant with this id (a UUID), or None."""
        found = await self._placed.ask_all(
            lambda port: port.find(tenant_id, intervention_id, session_ids)
        )
        return next((one for one in found if one is not None), None)

    async def recent(
        self, tenants: Sequence[str], since_ms: int, limit: int
    ) -> Sequence[StoredIntervention]:
        """Return interventions of some tenants that were decided since then, newest first."""
        found = await self._placed.ask_all(lambda port: port.recent(tenants, since_ms, limit))
        return _newest_first(chain.from_iterable(found))[:limit]

    async def trials(
        self,
        tenant_id: str,
        since_ms: int,
        limit: int,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredTrial]:
        """Return a tenant's trials that were measured since then, newest first."""
        found = await self._placed.ask_all(
            lambda port: port.trials(tenant_id, since_ms, limit, session_ids)
        )
        trials = chain.from_iterable(found)
        return sorted(trials, key=lambda one: (one.measured_ms, one.id), reverse=True)[:limit]


def _newest_first(found: Iterable[StoredIntervention]) -> list[StoredIntervention]:
    return sorted(found, key=lambda one: (one.at_ms, one.id), reverse=True)

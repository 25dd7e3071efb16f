"""Interventions in memory."""

from collections import defaultdict
from collections.abc import Sequence

from conductor_actors.ports.conductor_port import (
    InterventionCount,
    InterventionPage,
    StoredIntervention,
    StoredTrial,
)


class MemoryInterventions:
    """Find interventions in `stored`, by id, and trials in `measured`.

    While `outage` is set, every call raises it.
    """

    def __init__(self) -> None:
        self.stored: dict[str, StoredIntervention] = {}
        self.measured: dict[str, tuple[str, StoredTrial]] = {}  # with their tenant
        self.outage: Exception | None = None

    def add(self, *interventions: StoredIntervention) -> None:
        self.stored |= {one.id: one for one in interventions}

    def add_trials(self, tenant_id: str, *trials: StoredTrial) -> None:
        self.measured |= {one.id: (tenant_id, one) for one in trials}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def of_session(
        self, tenant_id: str, session_id: str, page: InterventionPage
    ) -> Sequence[StoredIntervention]:
        found = self._of_tenant(tenant_id, [session_id])
        return found[page.offset : page.offset + page.limit]

    async def of_event(
        self,
        tenant_id: str,
        event_id: str,
        since_ms: int,
        page: InterventionPage,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredIntervention]:
        found = [
            one
            for one in self._of_tenant(tenant_id, session_ids)
            if one.event_id == event_id and one.at_ms >= since_ms
        ]
        return found[page.offset : page.offset + page.limit]

    async def counts(self, tenant_id: str, session_id: str) -> Sequence[InterventionCount]:
        rewards: defaultdict[tuple[str, str], list[float | None]] = defaultdict(list)
        for one in self._of_tenant(tenant_id, [session_id]):
            rewards[one.type, one.status].append((one.outcome or {}).get("reward"))
        return [_count(*key, rewards[key]) for key in sorted(rewards)]

    async def find(
        self, tenant_id: str, intervention_id: str, session_ids: Sequence[str] | None = None
    ) -> StoredIntervention | None:
        found = self._of_tenant(tenant_id, session_ids)
        return next((one for one in found if one.id == intervention_id), None)

    async def recent(
        self, tenants: Sequence[str], since_ms: int, limit: int
    ) -> Sequence[StoredIntervention]:
        found = [one for one in self._newest_first() if one.tenant_id in tenants]
        return [one for one in found if one.at_ms >= since_ms][:limit]

    async def trials(
        self,
        tenant_id: str,
        since_ms: int,
        limit: int,
        session_ids: Sequence[str] | None = None,
    ) -> Sequence[StoredTrial]:
        self._raise_outage()
        found = [
            one
            for tenant, one in self.measured.values()
            if tenant == tenant_id
            and one.measured_ms >= since_ms
            and (session_ids is None or one.session_id in session_ids)
        ]
        found.sort(key=lambda one: (one.measured_ms, one.id), reverse=True)
        return found[:limit]

    def _of_tenant(
        self, tenant_id: str, session_ids: Sequence[str] | None
    ) -> list[StoredIntervention]:
        return [
            one
            for one in self._newest_first()
            if one.tenant_id == tenant_id and (session_ids is None or one.session_id in session_ids)
        ]

    def _newest_first(self) -> list[StoredIntervention]:
        self._raise_outage()
        return sorted(self.stored.values(), key=lambda one: (one.at_ms, one.id), reverse=True)

    def _raise_outage(self) -> None:
        if self.outage is not None:
            raise self.outage


def _count(kind: str, status: str, rewards: Sequence[float | None]) -> InterventionCount:
    measured = [reward for reward in rewards if reward is not None]
    mean = sum(measured) / len(measured) if measured else None
    successes = sum(reward > 0 for reward in measured)
    return InterventionCount(kind, status, len(rewards), len(measured), successes, mean)

"""Stored interventions across outages of the database, and the refresh of the live ones."""

from collections.abc import Callable, Sequence
from typing import Final

from conductor_actors.dashboard.scores.database_calls import DatabaseCalls
from conductor_actors.dashboard.scores.live_decisions import MAX_SUGGESTED_S, LiveDecisions
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import Clock
from conductor_actors.ports.conductor_port import (
    InterventionCount,
    InterventionPage,
    InterventionStore,
    StoredIntervention,
    StoredTrial,
)
from conductor_actors.wire.intervention_bodies import DecisionBody

DECISIONS_REFRESH_S: Final = 60.0
MAX_REFRESHED_DECISIONS: Final = 10_000

MissedDecisions = Sequence[tuple[str, DecisionBody]]  # with their tenants


class StoredInterventions:
    """Reads stored interventions, and refreshes the live ones at intervals.

    `on_missed` is called with the records that are newer than those that were published. `clock`
    returns seconds since 1970, `watched` the tenants whose live decisions are known.
    """

    def __init__(
        self,
        store: InterventionStore,
        live: LiveDecisions,
        on_missed: Callable[[MissedDecisions], None],
        clock: Clock,
        watched: Callable[[], Sequence[str]],
    ) -> None:
        self._watched = watched
        self._store = store
        self._live = live
        self._on_missed = on_missed
        self._clock = clock
        self._calls = DatabaseCalls(Outage("database interventions"))

    async def run(self) -> None:
        """Hold connections and refresh the live decisions at intervals, until cancelled."""
        await self._calls.refresh_at_intervals(self._store, self.refresh, DECISIONS_REFRESH_S)

    async def refresh(self, tenants: Sequence[str] | None = None) -> bool:
        """Refresh the live decisions of these tenants, or of all that are watched.

        Return False if the database can't be asked now.
        """
        tenants = self._watched() if tenants is None else tenants
        since_ms = round((self._clock() - MAX_SUGGESTED_S) * 1000)
        try:
            stored = await self._calls.attempt(
                self._store.recent(tenants, since_ms, MAX_REFRESHED_DECISIONS)
            )
        except (Unavailable, Overloaded):  # the outage was reported
            return False
        self._on_missed(self._live.merge(stored))
        return True

    async def of_session(
        self, key: SessionKey, page: InterventionPage
    ) -> Sequence[StoredIntervention]:
        """Return a page of a session's interventions, newest first."""
        return await self._calls.call(lambda: self._store.of_session(*key, page))

    async def of_event(
        self,
        tenant_id: str,
        event_id: str,
        since_ms: int,
        page: InterventionPage,
        session_ids: Sequence[str] | None,
    ) -> Sequence[StoredIntervention]:
        """Return a page of an event's interventions since an instant, newest first."""
        return await self._calls.call(
            lambda: self._store.of_event(tenant_id, event_id, since_ms, page, session_ids)
        )

    async def counts(self, key: SessionKey) -> Sequence[InterventionCount]:
        """Return the numbers of a session's interventions, by type and status."""
        return await self._calls.call(lambda: self._store.counts(*key))

    async def find(self, key: SessionKey, intervention_id: str) -> StoredIntervention | None:
        """Return an intervention of a session, or None."""
        sessions = (key.session_id,)
        return await self._calls.call(
            lambda: self._store.find(key.tenant_id, intervention_id, sessions)
        )

    async def trials(
        self, tenant_id: str, since_ms: int, limit: int, session_ids: Sequence[str] | None
    ) -> Sequence[StoredTrial]:
        """Return a tenant's trials that were measured since an instant, newest first."""
        return await self._calls.call(
            lambda: self._store.trials(tenant_id, since_ms, limit, session_ids)
        )

"""Stored anomalies across outages of the database, and the refresh of the live ones from them."""

from collections.abc import Callable, Sequence
from typing import Final

from conductor_actors.dashboard.scores.database_calls import DatabaseCalls
from conductor_actors.dashboard.scores.live_anomalies import (
    MAX_OPEN_S,
    LiveAnomalies,
    MissedMessages,
)
from conductor_actors.dashboard.scores.live_sessions import HISTORY_S
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import Clock
from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalyPage,
    AnomalySelection,
    AnomalyStore,
    StoredAnomaly,
    TypeQuality,
)

REFRESH_INTERVAL_S: Final = 60.0  # so that no missed end leaves an anomaly open for longer
MAX_REFRESHED: Final = 10_000


class StoredAnomalies:
    """Reads stored anomalies and stores feedback, and refreshes the live ones at intervals.

    `on_missed` is called with what was published and not received. `clock` returns seconds since
    1970, `watched` the tenants whose live anomalies are known.
    """

    def __init__(
        self,
        store: AnomalyStore,
        live: LiveAnomalies,
        on_missed: Callable[[MissedMessages], None],
        clock: Clock,
        watched: Callable[[], Sequence[str]],
    ) -> None:
        self._watched = watched
        self._store = store
        self._live = live
        self._on_missed = on_missed
        self._clock = clock
        self._reads = DatabaseCalls(Outage("database anomalies"))
        self._writes = DatabaseCalls(Outage("database feedback"))

    async def run(self) -> None:
        """Hold connections and refresh the live anomalies at intervals, until cancelled."""
        await self._reads.refresh_at_intervals(self._store, self.refresh, REFRESH_INTERVAL_S)

    async def refresh(self, tenants: Sequence[str] | None = None) -> bool:
        """Refresh the live anomalies of these tenants, or of all that are watched.

        Return False if the database can't be asked now.
        """
        tenants = self._watched() if tenants is None else tenants
        now_ms = round(self._clock() * 1000)
        began_since_ms, ended_since_ms = (
            now_ms - round(MAX_OPEN_S) * 1000,
            now_ms - HISTORY_S * 1000,
        )
        try:
            stored = await self._reads.attempt(
                self._store.recent(tenants, began_since_ms, ended_since_ms, MAX_REFRESHED)
            )
        except (Unavailable, Overloaded):  # the outage was reported
            return False
        missed = self._live.merge(stored, tenants, is_complete=len(stored) < MAX_REFRESHED)
        self._on_missed(missed)
        return True

    def live_session(self, tenant_id: str, anomaly_id: str) -> str | None:
        """Return the session of an anomaly that may not be stored yet; None if it is not live."""
        return self._live.session_of(tenant_id, anomaly_id)

    async def find(self, selection: AnomalySelection, page: AnomalyPage) -> Sequence[StoredAnomaly]:
        """Return a page of the anomalies."""
        return await self._reads.call(lambda: self._store.find(selection, page))

    async def quality(self, selection: AnomalySelection) -> Sequence[TypeQuality]:
        """Return the quality of the anomalies of each type, by name."""
        return await self._reads.call(lambda: self._store.quality(selection))

    async def store_feedback(
        self,
        tenant_id: str,
        anomaly_id: str,
        session_ids: Sequence[str] | None,
        feedback: AnomalyFeedback,
    ) -> StoredAnomaly | None:
        """Replace the feedback on an anomaly; return the anomaly with its former feedback.

        Return None if there is none with this id, of the tenant and of one of the sessions.
        """
        stored = await self._writes.attempt(
            self._store.store_feedback(tenant_id, anomaly_id, session_ids, feedback)
        )
        if stored is not None:
            self._live.set_feedback(stored, feedback)
        return stored

"""What is live of a tenant: read from the database when it is first watched, and forgotten."""

import asyncio
from collections.abc import Callable, Iterable
from math import ceil
from typing import Final

from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.scores.live_scores import LiveScores
from conductor_actors.dashboard.scores.stored_anomalies import StoredAnomalies
from conductor_actors.dashboard.scores.stored_interventions import StoredInterventions
from conductor_actors.dashboard.scores.watched_tenants import WatchedTenants
from conductor_actors.domain.identity import SessionKey

SETTLE_S: Final = 2.0  # beyond a tick, until the updates of a tick have arrived
SETTLED_POLL_S: Final = 0.05


class StoredTenantScores:
    """A `TenantScores`. `on_filled` is called with the sessions that were not known before."""

    def __init__(
        self,
        live: LiveScores,
        anomalies: StoredAnomalies,
        interventions: StoredInterventions,
        on_filled: Callable[[Iterable[SessionKey]], None],
    ) -> None:
        self._live = live
        self._anomalies = anomalies
        self._interventions = interventions
        self._on_filled = on_filled

    async def fill(self, tenant: str) -> None:
        """Add the live sessions, open anomalies and decisions that the database has, if it can."""
        filled, *_ = await asyncio.gather(
            self._live.recent.fill(tenant),
            self._anomalies.refresh([tenant]),
            self._interventions.refresh([tenant]),
        )
        self._on_filled(filled)

    def forget(self, tenant: str) -> None:
        """Remove all that is known of a tenant."""
        self._live.sessions.forget(tenant)
        self._live.anomalies.forget(tenant)
        self._live.decisions.forget(tenant)


class SettledSessions:
    """Waits for what the database does not have: what updates say of a session's conductor."""

    def __init__(
        self, live: LiveScores, watched: WatchedTenants, tick_s: int, clocks: Clocks
    ) -> None:
        self._live = live
        self._watched = watched
        self._tick_s = tick_s
        self._clocks = clocks

    async def wait(self, key: SessionKey) -> None:
        """Return when a live session has had an update, a tick after it is watched at the latest.

        After that it returns at once.
        """
        until_s = self._watched.began_s(key.tenant_id) + self._tick_s + SETTLE_S
        for _ in range(ceil((until_s - self._clocks.monotonic()) / SETTLED_POLL_S)):
            session = self._live.sessions.get(key)
            if session is None or not session.is_stored:
                return
            await asyncio.sleep(SETTLED_POLL_S)

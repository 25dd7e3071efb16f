"""The live sessions of a tenant with their open anomalies and decisions: the list of sessions."""

from collections.abc import Set as AbstractSet

from conductor_actors.dashboard.bodies import sessions_body
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.live_sessions import LiveSessions


class SessionOverview:
    """Joins live sessions with live anomalies and decisions."""

    def __init__(
        self, sessions: LiveSessions, anomalies: LiveAnomalies, decisions: LiveDecisions
    ) -> None:
        self._sessions = sessions
        self._anomalies = anomalies
        self._decisions = decisions

    def ids(self, tenant: str) -> set[str]:
        """Return the ids of a tenant's live sessions."""
        return self._sessions.ids(tenant)

    def body(self, tenant: str, session_ids: AbstractSet[str] | None = None) -> bytes:
        """Return the body with these live sessions of a tenant, or with all."""
        live = self.ids(tenant)
        listed = live if session_ids is None else live & session_ids
        newest = self._sessions.newest(tenant, listed)
        anomalies = self._anomalies.open(tenant, listed)
        return sessions_body(newest, anomalies, self._decisions.open(tenant, listed))

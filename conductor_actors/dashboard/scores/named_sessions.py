"""What people call the live and the planned sessions, read at intervals for all clients."""

from collections.abc import Sequence
from typing import Final

from conductor_actors.dashboard.scores.history_calls import HistoryCalls
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.ports import Clock
from conductor_actors.ports.history_port import SessionReader, StoredSession

NAMES_HOLD_S: Final = 5.0
MAX_NAMED_TENANTS: Final = 256  # the one read longest ago makes room


class NamedSessions:
    """The named sessions of each tenant, for as long as these hold, or the database is away.

    `clock` is monotonic.
    """

    def __init__(self, calls: HistoryCalls, sessions: SessionReader, clock: Clock) -> None:
        self._calls = calls
        self._sessions = sessions
        self._clock = clock
        self._known: dict[str, tuple[float, Sequence[StoredSession]]] = {}

    async def of_tenant(self, tenant_id: str) -> Sequence[StoredSession]:
        """Return the named sessions; raise `Unavailable` or `Overloaded` if none are known."""
        known = self._known.get(tenant_id)
        if known is not None and self._clock() < known[0]:
            return known[1]
        try:
            found = await self._calls.call(lambda: self._sessions.titled(tenant_id))
        except (Unavailable, Overloaded):
            if known is None:
                raise
            return known[1]
        self._known.pop(tenant_id, None)
        self._known[tenant_id] = self._clock() + NAMES_HOLD_S, found
        if len(self._known) > MAX_NAMED_TENANTS:
            del self._known[next(iter(self._known))]
        return found

    def forget(self, tenant_id: str) -> None:
        """Read the sessions of a tenant again when they are next requested."""
        known = self._known.get(tenant_id)
        if known is not None:
            self._known[tenant_id] = 0.0, known[1]

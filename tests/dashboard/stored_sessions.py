"""Which sessions are of which event, as the database has it, in memory."""

from collections.abc import Mapping, Sequence
from typing import cast

from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.upstreams import StoredHistory
from conductor_actors.dashboard.session_access import SessionAccess
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.ports import Clock


class StoredEvents:
    """The events of stored sessions; counts how often it is asked."""

    def __init__(self, events: Mapping[SessionKey, str]) -> None:
        self.events = dict(events)
        self.reads = 0
        self.is_away = False

    async def event_of(self, key: SessionKey) -> str | None:
        self._read()
        return self.events.get(key)

    async def sessions_of_events(
        self, tenant: str, event_ids: Sequence[str], limit: int
    ) -> Sequence[str]:
        self._read()
        found = [
            key.session_id
            for key, event in self.events.items()
            if key.tenant_id == tenant and event in event_ids
        ]
        return found[:limit]

    def _read(self) -> None:
        if self.is_away:
            raise Unavailable("the database can't be asked now")
        self.reads += 1


def access_of(
    live: LiveSessions, stored: StoredEvents | None = None, clock: Clock = lambda: 0.0
) -> SessionAccess:
    """Return the access to these sessions, and to those that are stored."""
    return SessionAccess(live, cast("StoredHistory", stored or StoredEvents({})), clock)

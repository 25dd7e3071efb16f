"""Which sessions a caller can see: those that its token names, and those of its events."""

from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias, TypeVar

from conductor_actors.dashboard.access.auth import Caller, Denied, is_session_id
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.upstreams import StoredHistory
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock

MAX_KNOWN_EVENTS: Final = 10_000  # of sessions that are not live
MAX_KNOWN_LISTS: Final = 64
KNOWN_FOR_S: Final = 10.0
MAX_EVENT_SESSIONS: Final = 5_000  # of the events of one token, the newest

_EventsKey: TypeAlias = tuple[str, frozenset[str]]  # a tenant, and some of its events


K = TypeVar("K")
V = TypeVar("V")


class SessionAccess:
    """Decides which sessions a caller can see, by the events of live and of stored sessions.

    A live session is of the event that its newest update names, any other of the event that the
    database has: what it does not know is seen by no token for events. `clock` is monotonic.
    """

    def __init__(self, live: LiveSessions, stored: StoredHistory, clock: Clock) -> None:
        self._live = live
        self._stored = stored
        self._clock = clock
        self._events: OrderedDict[SessionKey, tuple[float, str | None]] = OrderedDict()
        self._lists: OrderedDict[_EventsKey, tuple[float, frozenset[str]]] = OrderedDict()

    async def check(self, caller: Caller, session_id: str) -> None:
        """Raise `Denied` if it is no id of a session, or of one that the caller can't see.

        Raise `Unavailable` or `Overloaded` if that can't be found out now.
        """
        if not is_session_id(session_id):
            raise Denied(400, "invalid_session", "a session's id is text of 1 to 255 characters")
        if not await self.can_see(caller, session_id):
            raise Denied(403, "other_session", "this session is not among those of your token")

    async def can_see(self, caller: Caller, session_id: str) -> bool:
        """Check whether the caller can see a session; raises as `check`."""
        if caller.can_see(session_id, None):
            return True
        if not caller.events:
            return False
        key = SessionKey(caller.tenant, session_id)
        event_id = self._live.event_of(key)
        if event_id is None:
            event_id = await self._stored_event(key)
        return caller.can_see(session_id, event_id)

    async def visible(self, caller: Caller) -> list[str] | None:
        """Return the sessions that the caller can see, live or not; None for all of its tenant.

        Raises as `check`.
        """
        if caller.sees_all:
            return None
        found = set(caller.sessions or ())
        if events := frozenset(filter(is_session_id, caller.events or ())):
            for session_id in await self._stored_sessions(caller.tenant, events):
                live_event = self._live.event_of(SessionKey(caller.tenant, session_id))
                if live_event is None or live_event in events:
                    found.add(session_id)
            found |= self._live.ids_of_events(caller.tenant, events)
        return sorted(filter(is_session_id, found))

    def visible_live(self, caller: Caller) -> AbstractSet[str] | None:
        """Return ids that contain those of the live sessions that the caller can see, no others.

        None means all of its tenant. It needs no database.
        """
        if caller.sees_all:
            return None
        named = caller.sessions or frozenset()
        return named | self._live.ids_of_events(caller.tenant, caller.events or ())

    def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session; None if it is not live."""
        return self._live.event_of(key)

    async def _stored_event(self, key: SessionKey) -> str | None:
        now_s = self._clock()
        known = self._events.get(key)
        if known is not None and now_s - known[0] < KNOWN_FOR_S:
            return known[1]
        event_id = await self._stored.event_of(key)
        _remember(self._events, key, (now_s, event_id), MAX_KNOWN_EVENTS)
        return event_id

    async def _stored_sessions(self, tenant: str, events: frozenset[str]) -> frozenset[str]:
        now_s, key = self._clock(), (tenant, events)
        known = self._lists.get(key)
        if known is not None and now_s - known[0] < KNOWN_FOR_S:
            return known[1]
        ids = await self._stored.sessions_of_events(tenant, sorted(events), MAX_EVENT_SESSIONS)
        _remember(self._lists, key, (now_s, frozenset(ids)), MAX_KNOWN_LISTS)
        return frozenset(ids)


def _remember(known: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)

"""The live sessions: the newest update and the last five minutes of each."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock
from conductor_actors.wire.updates import Update

HISTORY_S: Final = 300
SESSION_EXPIRY_S: Final = 300.0  # a session without an update for this long is over
STORE_DELAY_S: Final = 30.0  # after it, the database has every score that was published
QUERY_INTERVAL_S: Final = 5.0


class LiveSession:
    """One session's updates, encoded: about 30 KB for five minutes."""

    def __init__(self, max_points: int, now_s: float) -> None:
        self.newest = b""
        self.newest_ms = 0
        self.is_stored = False  # known from the database alone
        self.updated_s = now_s
        self.event_id: str | None = None
        self.points: deque[tuple[int, bytes]] = deque(maxlen=max_points)
        self._continuous_from_ms = 0  # no tick is missing since then
        self._interrupted_s = now_s
        self._filled_s = self._queried_s = float("-inf")

    def add(self, ms: int, body: bytes, tick_ms: int, now_s: float) -> None:
        """Add an update that is newer than all others, or than what was stored of its tick."""
        if ms - self.newest_ms > tick_ms:
            self._continuous_from_ms = ms
            self._interrupted_s = now_s
        if ms == self.newest_ms:  # as stored
            self.points.pop()
        self.points.append((ms, body))
        self.newest, self.newest_ms, self.updated_s = body, ms, now_s

    def should_query(self, now_s: float) -> bool:
        """Check whether to query the database now for points that were not received."""
        is_continuous = self.newest_ms - self._continuous_from_ms >= HISTORY_S * 1000
        is_filled = self._filled_s - self._interrupted_s > STORE_DELAY_S
        is_too_soon = now_s - self._queried_s < QUERY_INTERVAL_S
        return not (is_continuous or is_filled or is_too_soon)

    def record_query(self, now_s: float) -> None:
        """Record that the database is being queried."""
        self._queried_s = now_s

    def fill(self, stored: Mapping[int, bytes], now_s: float) -> None:
        """Insert stored points between the received ones."""
        since_ms = self.newest_ms - HISTORY_S * 1000
        merged = dict(stored) | dict(self.points)
        self.points.clear()
        self.points.extend(
            point for point in sorted(merged.items()) if since_ms < point[0] <= self.newest_ms
        )
        self._filled_s = now_s


class LiveSessions:
    """Every session with an update in the last five minutes, of the tenants that are watched."""

    def __init__(self, tick_s: int, clock: Clock) -> None:
        self._tick_ms = tick_s * 1000
        self._max_points = max(1, HISTORY_S // tick_s)
        self._clock = clock
        self._tenants: dict[str, dict[str, LiveSession]] = {}
        self._by_event: dict[tuple[str, str], set[str]] = {}
        self._moved: set[SessionKey] = set()

    def add(self, update: Update, body: bytes) -> bool:
        """Add an update, encoded; return False if it is not newer than the last one."""
        sessions = self._tenants.get(update.tenant_id)
        if sessions is None:
            sessions = self._tenants[update.tenant_id] = {}
        ms = update.at_ms
        now_s = self._clock()
        session = sessions.get(update.session_id)
        if session is None:
            session = sessions[update.session_id] = LiveSession(self._max_points, now_s)
        elif ms <= session.newest_ms and not (session.is_stored and ms == session.newest_ms):
            return False
        session.add(ms, body, self._tick_ms, now_s)
        session.is_stored = False
        if session.event_id != update.event_id:
            self._move(SessionKey(update.tenant_id, update.session_id), session, update.event_id)
        return True

    def add_stored(self, update: Update, body: bytes, age_s: float) -> bool:
        """Add what the database has of a session; return False if the session is known."""
        if update.session_id in self._tenants.get(update.tenant_id, ()):
            return False
        self.add(update, body)
        session = self._tenants[update.tenant_id][update.session_id]
        session.is_stored = True
        session.updated_s -= max(0.0, age_s)
        return True

    def get(self, key: SessionKey) -> LiveSession | None:
        """Return a session if it is live."""
        return self._tenants.get(key.tenant_id, {}).get(key.session_id)

    def ids(self, tenant: str) -> set[str]:
        """Return the ids of a tenant's sessions."""
        return set(self._tenants.get(tenant, ()))

    def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session; None if it is not live."""
        session = self.get(key)
        return None if session is None else session.event_id

    def ids_of_events(self, tenant: str, event_ids: Iterable[str]) -> set[str]:
        """Return the ids of the live sessions of some events."""
        return {one for each in event_ids for one in self._by_event.get((tenant, each), ())}

    def take_moved(self) -> set[SessionKey]:
        """Return the sessions whose event has become another one since the last call."""
        moved, self._moved = self._moved, set()
        return moved

    def newest(self, tenant: str, ids: Iterable[str] | None = None) -> list[bytes]:
        """Return the newest update of each live session of a tenant, or of those with these ids."""
        sessions = self._tenants.get(tenant, {})
        selected = sorted(sessions if ids is None else sessions.keys() & ids)
        return [sessions[session_id].newest for session_id in selected]

    def points(self, key: SessionKey) -> list[bytes]:
        """Return a session's last five minutes, oldest first."""
        session = self.get(key)
        if session is None:
            return []
        since_ms = session.newest_ms - HISTORY_S * 1000
        return [body for ms, body in session.points if ms > since_ms]

    def forget(self, tenant: str) -> None:
        """Remove all sessions of a tenant."""
        for session_id, session in self._tenants.pop(tenant, {}).items():
            self._leave_event(tenant, session_id, session.event_id)

    def remove_expired(self) -> None:
        """Remove the sessions that are over."""
        until_s = self._clock() - SESSION_EXPIRY_S
        for tenant, sessions in list(self._tenants.items()):
            live = {
                key: session for key, session in sessions.items() if session.updated_s > until_s
            }
            if len(live) < len(sessions):
                self._tenants[tenant] = live
                for session_id in sessions.keys() - live.keys():
                    self._leave_event(tenant, session_id, sessions[session_id].event_id)
            if not live:
                del self._tenants[tenant]

    def __len__(self) -> int:
        return sum(map(len, self._tenants.values()))

    def _move(self, key: SessionKey, session: LiveSession, event_id: str) -> None:
        if session.event_id is not None:
            self._moved.add(key)
        self._leave_event(*key, session.event_id)
        session.event_id = event_id
        self._by_event.setdefault((key.tenant_id, event_id), set()).add(key.session_id)

    def _leave_event(self, tenant: str, session_id: str, event_id: str | None) -> None:
        if event_id is not None:
            sessions = self._by_event[tenant, event_id]
            sessions.discard(session_id)
            if not sessions:
                del self._by_event[tenant, event_id]

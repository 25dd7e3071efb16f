"""What is known of each session now: its newest update and its last five minutes."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock
from conductor_actors.updates import Update, encode_update

HISTORY_S: Final = 300
SILENT_S: Final = 300.0  # a session without an update for this long is over
SETTLED_S: Final = 30.0  # by then the database has what was published before
ASK_EVERY_S: Final = 5.0


class Track:
    """One session's updates, encoded: about 30 KB when five minutes are full."""

    def __init__(self, most_points: int, now_s: float) -> None:
        self.newest = b""
        self.newest_ms = 0
        self.heard_s = now_s
        self.points: deque[tuple[int, bytes]] = deque(maxlen=most_points)
        self._unbroken_ms = 0  # since when no tick is missing
        self._broke_s = now_s
        self._filled_s = self._asked_s = float("-inf")

    def add(self, ms: int, body: bytes, tick_ms: int, now_s: float) -> None:
        """Add an update that is newer than all others."""
        if ms - self.newest_ms > tick_ms:
            self._unbroken_ms = ms
            self._broke_s = now_s
        self.points.append((ms, body))
        self.newest, self.newest_ms, self.heard_s = body, ms, now_s

    def lacks_points(self, now_s: float) -> bool:
        """Check whether to query the database now for points that were not received."""
        is_unbroken = self.newest_ms - self._unbroken_ms >= HISTORY_S * 1000
        is_filled = self._filled_s - self._broke_s > SETTLED_S
        return not (is_unbroken or is_filled or now_s - self._asked_s < ASK_EVERY_S)

    def asks(self, now_s: float) -> None:
        """Record that the database is being queried."""
        self._asked_s = now_s

    def fill(self, stored: Mapping[int, bytes], now_s: float) -> None:
        """Put stored points between those that were heard."""
        since_ms = self.newest_ms - HISTORY_S * 1000
        merged = dict(stored) | dict(self.points)
        self.points.clear()
        self.points.extend(
            point for point in sorted(merged.items()) if since_ms < point[0] <= self.newest_ms
        )
        self._filled_s = now_s


class Hub:
    """Every session that has had an update in the last minutes."""

    def __init__(self, tick_s: int, clock: Clock) -> None:
        self._tick_ms = tick_s * 1000
        self._most_points = max(1, HISTORY_S // tick_s)
        self._clock = clock
        self._tenants: dict[str, dict[str, Track]] = {}

    def take(self, update: Update) -> bytes | None:
        """Add an update and return its body; None if it is not newer than the last one."""
        sessions = self._tenants.setdefault(update.tenant_id, {})
        ms = update.at_ms
        now_s = self._clock()
        track = sessions.get(update.session_id)
        if track is None:
            track = sessions[update.session_id] = Track(self._most_points, now_s)
        elif ms <= track.newest_ms:
            return None
        body = encode_update(update)
        track.add(ms, body, self._tick_ms, now_s)
        return body

    def track(self, key: SessionKey) -> Track | None:
        """Return what is known of a session, if anything."""
        return self._tenants.get(key.tenant_id, {}).get(key.session_id)

    def names(self, tenant: str) -> set[str]:
        """Return the ids of a tenant's sessions."""
        return set(self._tenants.get(tenant, ()))

    def newest(self, tenant: str, sessions: Iterable[str] | None = None) -> list[bytes]:
        """Return the newest update of each session of a tenant, or of those named that are live."""
        tracks = self._tenants.get(tenant, {})
        names = sorted(tracks if sessions is None else tracks.keys() & sessions)
        return [tracks[name].newest for name in names]

    def points(self, key: SessionKey) -> list[bytes]:
        """Return a session's last five minutes, oldest first."""
        track = self.track(key)
        if track is None:
            return []
        since_ms = track.newest_ms - HISTORY_S * 1000
        return [body for ms, body in track.points if ms > since_ms]

    def forget_silent(self) -> None:
        """Remove sessions without an update for too long."""
        until_s = self._clock() - SILENT_S
        for tenant, tracks in list(self._tenants.items()):
            live = {name: track for name, track in tracks.items() if track.heard_s > until_s}
            if len(live) < len(tracks):
                self._tenants[tenant] = live
            if not live:
                del self._tenants[tenant]

    def __len__(self) -> int:
        return sum(map(len, self._tenants.values()))

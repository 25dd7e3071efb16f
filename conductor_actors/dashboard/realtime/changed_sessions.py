"""The sessions that changed, sent to the watchers of their tenant once a tick is complete."""

from dataclasses import dataclass, field
from typing import Final

from conductor_actors.dashboard.realtime.broadcast import Broadcast
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock

TICK_QUIET_S: Final = 0.1  # a tick's updates are complete when none came for this long,
MAX_TICK_WAIT_S: Final = 2.0  # … or the first came this long ago


@dataclass
class _Changes:
    """A tenant's sessions that have changed since its watchers got a message."""

    first_s: float
    last_s: float
    session_ids: set[str] = field(default_factory=set)


class ChangedSessions:
    """Collects the changed sessions of each tenant."""

    def __init__(self, broadcast: Broadcast, clock: Clock) -> None:
        self._broadcast = broadcast
        self._clock = clock
        self._changes: dict[str, _Changes] = {}

    def add(self, key: SessionKey) -> None:
        """Record that a session has a newer update, or other open anomalies."""
        now_s = self._clock()
        changes = self._changes.get(key.tenant_id)
        if changes is None:
            changes = self._changes[key.tenant_id] = _Changes(now_s, now_s)
        changes.last_s = now_s
        changes.session_ids.add(key.session_id)

    def send(self) -> None:
        """Send the changes that are complete."""
        now_s = self._clock()
        for tenant, changes in list(self._changes.items()):
            is_quiet = now_s - changes.last_s >= TICK_QUIET_S
            if is_quiet or now_s - changes.first_s >= MAX_TICK_WAIT_S:
                del self._changes[tenant]
                self._broadcast.send_to_watchers(tenant, changes.session_ids)

"""From Redis to the clients: what is heard is kept, and announced to whom it concerns."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from conductor_actors.dashboard.bodies import decode_anomaly, encode, history_body
from conductor_actors.dashboard.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.hub import Hub
from conductor_actors.dashboard.recent import Recent
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import ANOMALIES, UPDATES, PublishedMessage
from conductor_actors.updates import decode_update

BEAT_S: Final = 0.1  # how soon a client that has caught up gets what has waited
QUIET_S: Final = 0.1  # a tick's updates are all there when none came for this long,
ALL_WITHIN_S: Final = 2.0  # … or the first came this long ago
REFILL_AFTER_S: Final = 10.0  # after an outage: by then the collector has caught up, too


@dataclass
class _Changes:
    """A tenant's sessions that have changed since its watchers were told."""

    first_s: float
    last_s: float
    names: set[str] = field(default_factory=set)


class Live:
    """Distributes every published message. A new subscriber gets the history first."""

    def __init__(
        self,
        hub: Hub,
        audience: Broadcast,
        recent: Recent,
        metrics: DashboardMetrics,
        clocks: Clocks,
    ) -> None:
        self._hub = hub
        self._audience = audience
        self._recent = recent
        self._metrics = metrics
        self._clocks = clocks
        self._changes: dict[str, _Changes] = {}

    def receive(self, message: PublishedMessage) -> None:
        """Add and distribute a published message, or count it as invalid."""
        self._metrics.updates_heard.inc()
        tenant, name, body = message
        receive = self._receive_update if name == UPDATES else self._receive_anomaly
        if not receive(tenant, body):
            self._metrics.updates_invalid.inc()

    def resumed(self) -> None:
        """Send every history again when what was missed can be known: Redis was away."""
        asyncio.get_running_loop().call_later(REFILL_AFTER_S, self._refill)

    def send_history(self, client: Client, session_id: str) -> None:
        """Send a session's last five minutes to a client, as soon as they are known."""

        def give(points: list[bytes]) -> None:
            if session_id in client.sessions:
                message = Message("engagement:history", history_body(session_id, points))
                self._audience.send(client, ("history", session_id), message)

        self._recent.send(SessionKey(client.caller.tenant, session_id), give)

    async def run(self) -> None:
        """Send what has waited, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._audience.flush()
            self._announce_changes()

    def _receive_update(self, tenant: str, data: bytes) -> bool:
        update = decode_update(tenant, data)
        if update is None:
            return False
        body = self._hub.take(update)
        if body is not None:
            age_s = self._clocks.wall() - update.at_ms / 1000
            self._metrics.update_age_seconds.observe(age_s)
            key = SessionKey(tenant, update.session_id)
            self._audience.announce(key, "update", UPDATES, body)
            self._note_change(key)
        return True

    def _receive_anomaly(self, tenant: str, data: bytes) -> bool:
        anomaly = decode_anomaly(tenant, data)
        if anomaly is None:
            return False
        key = SessionKey(tenant, anomaly.session_id)
        self._audience.announce(key, anomaly.type, ANOMALIES, encode(anomaly))
        return True

    def _note_change(self, key: SessionKey) -> None:
        now_s = self._clocks.monotonic()
        changes = self._changes.get(key.tenant_id)
        if changes is None:
            changes = self._changes[key.tenant_id] = _Changes(now_s, now_s)
        changes.last_s = now_s
        changes.names.add(key.session_id)

    def _announce_changes(self) -> None:
        now_s = self._clocks.monotonic()
        for tenant, changes in list(self._changes.items()):
            is_quiet = now_s - changes.last_s >= QUIET_S
            if is_quiet or now_s - changes.first_s >= ALL_WITHIN_S:
                del self._changes[tenant]
                self._audience.announce_sessions(tenant, changes.names)

    def _refill(self) -> None:
        for key in self._audience.subscribed():
            for client in self._audience.subscribers(key):
                self.send_history(client, key.session_id)

"""From Redis to the clients: every published message is sent to its subscribers."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from conductor_actors.anomaly_messages import decode_anomaly, encode_anomaly_message
from conductor_actors.dashboard.bodies import history_body
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.realtime.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.recent_history import RecentHistory
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import ANOMALIES, UPDATES, PublishedMessage
from conductor_actors.updates import decode_update

FLUSH_INTERVAL_S: Final = 0.1  # until a client that has caught up gets its waiting messages
TICK_QUIET_S: Final = 0.1  # a tick's updates are complete when none came for this long,
MAX_TICK_WAIT_S: Final = 2.0  # … or the first came this long ago
HISTORY_RESEND_DELAY_S: Final = 10.0  # after an outage, until the collector has caught up, too


@dataclass
class _Changes:
    """A tenant's sessions that have changed since its watchers got a message."""

    first_s: float
    last_s: float
    session_ids: set[str] = field(default_factory=set)


class FanOut:
    """Sends every published message to its subscribers. A new one gets the history first."""

    def __init__(
        self,
        live: LiveSessions,
        broadcast: Broadcast,
        recent: RecentHistory,
        metrics: DashboardMetrics,
        clocks: Clocks,
    ) -> None:
        self._live = live
        self._broadcast = broadcast
        self._recent = recent
        self._metrics = metrics
        self._clocks = clocks
        self._changes: dict[str, _Changes] = {}

    def receive(self, message: PublishedMessage) -> None:
        """Send a published message to its subscribers, or count it as invalid."""
        self._metrics.updates_heard.inc()
        tenant, name, body = message
        receive = self._receive_update if name == UPDATES else self._receive_anomaly
        if not receive(tenant, body):
            self._metrics.updates_invalid.inc()

    def resume(self) -> None:
        """Send every history again after an outage of Redis, once missed scores are stored."""
        asyncio.get_running_loop().call_later(HISTORY_RESEND_DELAY_S, self._resend_histories)

    def send_history(self, client: Client, session_id: str) -> None:
        """Send a session's last five minutes to a client, as soon as they are read."""

        def deliver(points: list[bytes]) -> None:
            if session_id in client.sessions:
                message = Message("engagement:history", history_body(session_id, points))
                self._broadcast.send(client, ("history", session_id), message)

        self._recent.request(SessionKey(client.caller.tenant, session_id), deliver)

    async def run(self) -> None:
        """Send waiting messages at intervals, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            self._broadcast.flush()
            self._send_changes()

    def _receive_update(self, tenant: str, data: bytes) -> bool:
        update = decode_update(tenant, data)
        if update is None:
            return False
        body = self._live.add(update)
        if body is not None:
            age_s = self._clocks.wall() - update.at_ms / 1000
            self._metrics.update_age_seconds.observe(age_s)
            key = SessionKey(tenant, update.session_id)
            self._broadcast.send_to_subscribers(key, "update", UPDATES, body)
            self._record_change(key)
        return True

    def _receive_anomaly(self, tenant: str, data: bytes) -> bool:
        anomaly = decode_anomaly(tenant, data)
        if anomaly is None:
            return False
        key = SessionKey(tenant, anomaly.session_id)
        self._broadcast.send_to_subscribers(
            key, anomaly.type, ANOMALIES, encode_anomaly_message(anomaly)
        )
        return True

    def _record_change(self, key: SessionKey) -> None:
        now_s = self._clocks.monotonic()
        changes = self._changes.get(key.tenant_id)
        if changes is None:
            changes = self._changes[key.tenant_id] = _Changes(now_s, now_s)
        changes.last_s = now_s
        changes.session_ids.add(key.session_id)

    def _send_changes(self) -> None:
        now_s = self._clocks.monotonic()
        for tenant, changes in list(self._changes.items()):
            is_quiet = now_s - changes.last_s >= TICK_QUIET_S
            if is_quiet or now_s - changes.first_s >= MAX_TICK_WAIT_S:
                del self._changes[tenant]
                self._broadcast.send_to_watchers(tenant, changes.session_ids)

    def _resend_histories(self) -> None:
        for key in self._broadcast.subscribed_sessions():
            for client in self._broadcast.subscribers(key):
                self.send_history(client, key.session_id)

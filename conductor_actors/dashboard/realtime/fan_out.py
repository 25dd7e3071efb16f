"""From Redis to the clients: every published message is sent to its subscribers."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from conductor_actors.dashboard.bodies import history_body
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.realtime.agent_fan_out import AgentFanOut
from conductor_actors.dashboard.realtime.anomaly_fan_out import AnomalyFanOut
from conductor_actors.dashboard.realtime.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.realtime.changed_sessions import ChangedSessions
from conductor_actors.dashboard.realtime.invalid_messages import InvalidMessages
from conductor_actors.dashboard.scores.live_anomalies import MissedMessages
from conductor_actors.dashboard.scores.live_scores import LiveScores
from conductor_actors.dashboard.scores.stored_interventions import MissedDecisions
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES, PublishedMessage
from conductor_actors.wire.updates import receive_update

FLUSH_INTERVAL_S: Final = 0.1  # until a client that has caught up gets its waiting messages


class FanOut:
    """Sends every published message to its subscribers. A new one gets the history first."""

    def __init__(
        self, live: LiveScores, broadcast: Broadcast, metrics: DashboardMetrics, clocks: Clocks
    ) -> None:
        self._live = live
        self._broadcast = broadcast
        self._metrics = metrics
        self._clocks = clocks
        self._changed = ChangedSessions(broadcast, clocks.monotonic)
        self._anomalies = AnomalyFanOut(live.anomalies, broadcast, self._changed)
        self._agents = AgentFanOut(live.decisions, broadcast, self._changed, clocks.wall)
        self._invalid = InvalidMessages(clocks.monotonic)
        self._newest_ms = 0  # of the messages that are being received
        self._receivers = {
            UPDATES: self._receive_update,
            ANOMALIES: self._anomalies.receive_begin,
            ANOMALIES_ENDED: self._anomalies.receive_end,
        }

    def receive(self, messages: Sequence[PublishedMessage]) -> None:
        """Send published messages to their subscribers, or count them as invalid."""
        self._metrics.updates_heard.inc(len(messages))
        self._newest_ms = 0
        for message in messages:
            tenant, name, body = message
            receive = self._receivers.get(name)
            if not (receive(tenant, body) if receive else self._agents.receive(*message)):
                self._metrics.updates_invalid.inc()
                self._invalid.add(message)
        if self._newest_ms:
            age_s = self._clocks.wall() - self._newest_ms / 1000
            self._metrics.update_age_seconds.observe(age_s)

    def send_filled(self, keys: Iterable[SessionKey]) -> None:
        """Send sessions that are known by now to the watchers of their tenant."""
        for key in keys:
            self._add_changed(key)

    def send_missed(self, missed: MissedMessages) -> None:
        """Send the begins and ends of anomalies that were not received."""
        self._anomalies.send_missed(missed)

    def send_missed_decisions(self, missed: MissedDecisions) -> None:
        """Send what conductors did and was not received."""
        self._agents.send_missed(missed)

    def send_agent(self, client: Client, session_id: str) -> None:
        """Send what the conductor of a session does now to a client."""
        self._agents.send_present(client, session_id)

    def resend_histories(self) -> None:
        """Send every history again, as after an outage of Redis."""
        for key in self._broadcast.subscribed_sessions():
            for client in self._broadcast.subscribers(key):
                self.send_history(client, key.session_id)
        for key in self._broadcast.agent_subscribed_sessions():
            for client in self._broadcast.agent_subscribers(key):
                self.send_agent(client, key.session_id)

    def send_history(self, client: Client, session_id: str) -> None:
        """Send a session's last five minutes to a client, as soon as they are read."""
        key = SessionKey(client.caller.tenant, session_id)

        def deliver(points: list[bytes]) -> None:
            if session_id in client.sessions:
                anomalies = self._live.anomalies.recent(key)
                decisions = self._live.decisions.recent(key)
                body = history_body(session_id, points, anomalies, decisions)
                message = Message("engagement:history", body)
                self._broadcast.send(client, ("history", session_id), message)

        self._live.recent.request(key, deliver)

    async def run(self) -> None:
        """Send waiting messages at intervals, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            self._broadcast.flush()
            self._changed.send()

    def _receive_update(self, tenant: str, data: bytes) -> bool:
        received = receive_update(tenant, data)
        if received is None:
            return False
        update, body = received
        if self._live.sessions.add(update, body):
            self._newest_ms = update.at_ms
            key = SessionKey(tenant, update.session_id)
            self._broadcast.send_to_subscribers(key, "update", UPDATES, body)
            self._add_changed(key)
            self._agents.receive_update(update)
        return True

    def _add_changed(self, key: SessionKey) -> None:
        if self._broadcast.has_watchers(key.tenant_id):
            self._changed.add(key)

"""From Redis or the database to the clients: the begins and ends of anomalies."""

from typing import Final, get_args

from conductor_actors.dashboard.realtime.broadcast import Broadcast
from conductor_actors.dashboard.realtime.changed_sessions import ChangedSessions
from conductor_actors.dashboard.scores.anomaly_records import anomaly_of
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies, MissedMessages
from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED
from conductor_actors.wire.anomaly_messages import (
    Anomaly,
    AnomalyEnd,
    decode_anomaly,
    decode_anomaly_end,
    encode_anomaly_message,
)

_OWN_TYPES: Final = frozenset(get_args(AnomalyType))


class AnomalyFanOut:
    """Sends each begin and end of an anomaly once to the subscribers of its session.

    The list of sessions has the open ones, so a session with a begin or an end has changed.
    """

    def __init__(self, live: LiveAnomalies, broadcast: Broadcast, changed: ChangedSessions) -> None:
        self._live = live
        self._broadcast = broadcast
        self._changed = changed

    def receive_begin(self, tenant: str, body: bytes) -> bool:
        """Send a published begin; return False if it is invalid."""
        anomaly = decode_anomaly(tenant, body)
        if anomaly is None:
            return False
        if self._live.begin(anomaly):
            self._send(ANOMALIES, anomaly)
        return True

    def receive_end(self, tenant: str, body: bytes) -> bool:
        """Send a published end; return False if it is invalid."""
        end = decode_anomaly_end(tenant, body)
        if end is None:
            return False
        if self._live.end(end):
            self._send(ANOMALIES_ENDED, end)
        return True

    def send_missed(self, missed: MissedMessages) -> None:
        """Send the messages that were not received, as the database has them."""
        for record in missed.begun:
            self._send(ANOMALIES, anomaly_of(record))
        for end in missed.ended:
            self._send(ANOMALIES_ENDED, end)

    def _send(self, name: str, message: Anomaly | AnomalyEnd) -> None:
        key = SessionKey(message.tenant_id, message.session_id)
        kind = (
            message.type if message.type in _OWN_TYPES else ""
        )  # few kinds wait for a slow client
        self._broadcast.send_to_subscribers(
            key, f"{name} {kind}", name, encode_anomaly_message(message)
        )
        self._changed.add(key)

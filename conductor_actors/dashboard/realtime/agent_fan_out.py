"""From Redis or the database to the clients: what the conductor does in sessions."""

from typing import Any, Final

import msgspec

from conductor_actors.dashboard.bodies import encode
from conductor_actors.dashboard.realtime.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.realtime.changed_sessions import ChangedSessions
from conductor_actors.dashboard.scores.decision_records import changed_ms, instant_of
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.stored_interventions import MissedDecisions
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import from_iso, to_ms
from conductor_actors.ports import Clock
from conductor_actors.wire.intervention_bodies import (
    DecisionBody,
    ExecutedBody,
    RewardBody,
    SessionEvent,
    StatusBody,
)
from conductor_actors.wire.intervention_messages import decode_session_event, session_channel
from conductor_actors.wire.updates import INVALID_BODY, Update, timestamp

STATUS: Final = "agent.status"
DECISION: Final = "agent.decision"
EXECUTED: Final = "agent.intervention.executed"
REWARD: Final = "agent.reward.measured"


class AgentFanOut:
    """Sends each change of a session's conductor once to the subscribers of the session.

    The list of sessions has the open decisions, so a session with another one has changed.
    `clock` returns seconds since 1970.
    """

    def __init__(
        self, live: LiveDecisions, broadcast: Broadcast, changed: ChangedSessions, clock: Clock
    ) -> None:
        self._live = live
        self._broadcast = broadcast
        self._changed = changed
        self._clock = clock

    def receive(self, tenant: str, name: str, body: bytes) -> bool:
        """Send a published message; return False if it is invalid.

        One whose session is not its channel's is ignored: `session:session:a:events` is a channel
        of two tenants.
        """
        event = decode_session_event(body)
        if event is None:
            return False
        if session_channel(event.session_id) != name:
            return True
        try:
            at_ms = to_ms(from_iso(event.timestamp))
            self._receive(SessionKey(tenant, event.session_id), event, at_ms)
        except INVALID_BODY:
            return False
        return True

    def receive_update(self, update: Update) -> None:
        """Send mode and status, if an update says that they are others."""
        if self._live.update(update):
            self._send_status(SessionKey(update.tenant_id, update.session_id), update.at_ms)

    def send_missed(self, missed: MissedDecisions) -> None:
        """Send the messages that were not received, as the database has their records."""
        for tenant, record in missed:
            key = SessionKey(tenant, record.session_id)
            self._send_decision(key, record, changed_ms(record))
            for kind, at_ms, data in _reports(record):
                self._report(key, record, _event(kind, key, at_ms, data))

    def send_present(self, client: Client, session_id: str) -> None:
        """Send mode and status of a session to a client, and its open decision.

        Clients that only subscribed to scores get the default mode and status as updates have it:
        not at all.
        """
        key = SessionKey(client.caller.tenant, session_id)
        if session_id not in client.agents and self._live.is_default(key):
            return
        now_ms = round(self._clock() * 1000)
        events = [_event(STATUS, key, now_ms, _status(self._live.state(key)))]
        if (current := self._live.current(key)) is not None:
            events.append(_event(DECISION, key, changed_ms(current), current))
        for event in events:
            slot = f"{event.type} {event.data.get('id', '')}", session_id
            self._broadcast.send(client, slot, Message(event.type, encode(event)))

    def _receive(self, key: SessionKey, event: SessionEvent, at_ms: int) -> None:
        match event.type:
            case "agent.status":
                status = msgspec.convert(event.data, StatusBody)
                state = msgspec.convert(msgspec.structs.asdict(status), AgentState)
                if self._live.set_state(key, state, at_ms):
                    self._send_status(key, at_ms)
            case "agent.decision":
                record = msgspec.convert(event.data, DecisionBody)
                if record.session_id == key.session_id and self._live.add(key.tenant_id, record):
                    self._send_decision(key, record, at_ms)
            case "agent.intervention.executed":
                self._report(key, msgspec.convert(event.data, ExecutedBody), event)
            case "agent.reward.measured":
                self._report(key, msgspec.convert(event.data, RewardBody), event)

    def _report(
        self, key: SessionKey, about: ExecutedBody | RewardBody | DecisionBody, event: SessionEvent
    ) -> None:
        decision_id = about.id if isinstance(about, DecisionBody) else about.intervention_id
        if self._live.report(key, decision_id, event.type):
            self._send(key, f"{event.type} {decision_id}", event)

    def _send_status(self, key: SessionKey, at_ms: int) -> None:
        self._send(key, STATUS, _event(STATUS, key, at_ms, _status(self._live.state(key))))

    def _send_decision(self, key: SessionKey, record: DecisionBody, at_ms: int) -> None:
        self._send(key, f"{DECISION} {record.id}", _event(DECISION, key, at_ms, record))
        self._changed.add(key)

    def _send(self, key: SessionKey, kind: str, event: SessionEvent) -> None:
        self._broadcast.send_to_agent_subscribers(key, kind, event.type, encode(event))


def _status(state: AgentState) -> StatusBody:
    return StatusBody(mode=state.mode, status=state.status, decision_id=state.decision_id)


def _event(kind: Any, key: SessionKey, at_ms: int, data: msgspec.Struct) -> SessionEvent:  # noqa: ANN401
    body: dict[str, Any] = msgspec.to_builtins(data)
    return SessionEvent(type=kind, session_id=key.session_id, timestamp=timestamp(at_ms), data=body)


def _reports(record: DecisionBody) -> list[tuple[str, int, ExecutedBody | RewardBody]]:
    """Return the reports that were published about an intervention, with their times."""
    found: list[tuple[str, int, ExecutedBody | RewardBody]] = []
    for status in ("EXECUTED", "FAILED"):
        if (at := record.metadata.steps.get(status)) is not None:
            note = record.metadata.note
            executed = ExecutedBody(
                intervention_id=record.id,
                type=record.type,
                success=status == "EXECUTED",
                error=note if status == "FAILED" and isinstance(note, str) else None,
            )
            found.append((EXECUTED, instant_of(at), executed))
    if record.outcome is not None:
        reward = RewardBody(intervention_id=record.id, type=record.type, outcome=record.outcome)
        found.append((REWARD, instant_of(record.outcome.measured_at), reward))
    return found

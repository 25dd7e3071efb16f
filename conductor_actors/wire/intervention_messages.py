"""Published interventions: the one definition of their JSON, for publishers and subscribers.

Keys are in snake case, as platforms and front ends have them. Channels and bodies are those of the
contract, section 7. After a crash, a message of a session or of an event may be published again,
with the same `timestamp`; an action is sent once.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.conductor.interventions import AgentState, Intervention
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.wire.intervention_bodies import (
    ActionMessage,
    ActionMetadata,
    AnomalyNotification,
    DecisionBody,
    ExecutedBody,
    ExecutionNotification,
    Notification,
    RewardBody,
    SessionEvent,
    SessionEventData,
    SessionEventType,
    StatusBody,
    decision_body,
    outcome_body,
)
from conductor_actors.wire.updates import INVALID_BODY, timestamp

T = TypeVar("T")

ACTIONS_CHANNEL: Final = "agent.interventions"
CONDUCTOR_CHANNELS: Final = (ACTIONS_CHANNEL, "session:*:events", "agent:notifications:*")  # all
HIGH_PRIORITY: Final = 0.75  # the confidence from which the conductor acts alone


def session_channel(session_id: str) -> str:
    """Return the channel of what the conductor does in a session, without its tenant."""
    return f"session:{session_id}:events"


def notification_channel(event_id: str) -> str:
    """Return the channel of an event's notifications, without its tenant."""
    return f"agent:notifications:{event_id}"


class _SessionEvent(SessionEvent, kw_only=True):
    data: SessionEventData  # type: ignore[assignment] # as it is encoded


class ChannelMessage(NamedTuple):
    """A body, and the channel that it is published on, without its tenant."""

    channel: str
    body: bytes


_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode
_action_decoder: Final = msgspec.json.Decoder(ActionMessage)
_session_event_decoder: Final = msgspec.json.Decoder(SessionEvent)
_notification_decoder: Final = msgspec.json.Decoder(Notification)


def encode_action(session_id: str, record: Intervention) -> bytes:
    """Return the message by which a platform is to carry out an action."""
    message = ActionMessage(
        type=f"agent.intervention.{record.type.lower()}",
        intervention_id=record.id,
        session_id=session_id,
        event_id=record.event_id,
        timestamp=timestamp(record.steps.get("APPROVED", record.at_ms)),
        metadata=ActionMetadata(
            reason=record.reasoning,
            confidence=record.confidence,
            priority="high" if record.confidence >= HIGH_PRIORITY else "normal",
            estimated_impact=record.estimated_impact,
        ),
    )
    return _encode({**(record.content or {}), **msgspec.structs.asdict(message)})


def messages_of(row: ScoreRow) -> Iterator[ChannelMessage]:
    """Return the messages that are published for the anomalies and interventions of a row."""
    for change in row.anomalies:
        if isinstance(change, AnomalyBegan):
            notification = _anomaly_notification(row, change)
            yield ChannelMessage(notification_channel(row.event_id), _encode(notification))
    channel = session_channel(row.session_id)
    for record in row.interventions:
        for kind, data in _changes_of(row, record):
            yield ChannelMessage(channel, _session_event(row, kind, data))
        if (is_success := _executed_at(row, record)) is not None:
            execution = _execution_notification(row, record, is_success=is_success)
            yield ChannelMessage(notification_channel(record.event_id), _encode(execution))


def status_message_of(row: ScoreRow, state: AgentState) -> ChannelMessage:
    """Return the message that a session has this mode and status from a row on."""
    data = StatusBody(mode=state.mode, status=state.status, decision_id=state.decision_id)
    body = _session_event(row, "agent.status", data)
    return ChannelMessage(session_channel(row.session_id), body)


def decode_action(body: bytes) -> ActionMessage | None:
    """Decode what all messages of `agent.interventions` have; None if one is invalid."""
    return _decoded(_action_decoder, body)


def decode_session_event(body: bytes) -> SessionEvent | None:
    """Decode a message of `session:<id>:events`; return None if it is invalid."""
    return _decoded(_session_event_decoder, body)


def decode_notification(body: bytes) -> Notification | None:
    """Decode a message of `agent:notifications:<event>`; return None if it is invalid."""
    return _decoded(_notification_decoder, body)


def decision_of(event: SessionEvent) -> DecisionBody | None:
    """Return the intervention of an `agent.decision`; None for another event, or an invalid one."""
    if event.type != "agent.decision":
        return None
    try:
        return msgspec.convert(event.data, DecisionBody)
    except INVALID_BODY:
        return None


def _changes_of(
    row: ScoreRow, record: Intervention
) -> Iterator[tuple[SessionEventType, SessionEventData]]:
    yield "agent.decision", decision_body(row.session_id, record)
    if (is_success := _executed_at(row, record)) is not None:
        error = None if is_success else record.note
        yield (
            "agent.intervention.executed",
            ExecutedBody(
                intervention_id=record.id, type=record.type, success=is_success, error=error
            ),
        )
    if record.outcome is not None and record.outcome.measured_ms == row.at_ms:
        outcome = outcome_body(record.outcome)
        yield (
            "agent.reward.measured",
            RewardBody(intervention_id=record.id, type=record.type, outcome=outcome),
        )


def _executed_at(row: ScoreRow, record: Intervention) -> bool | None:
    """Return whether an action was carried out, if that became known at the row's tick."""
    if record.steps.get("EXECUTED") == row.at_ms:
        return True
    return False if record.steps.get("FAILED") == row.at_ms else None


def _session_event(row: ScoreRow, kind: SessionEventType, data: SessionEventData) -> bytes:
    return _encode(
        _SessionEvent(
            type=kind, session_id=row.session_id, timestamp=timestamp(row.at_ms), data=data
        )
    )


def _anomaly_notification(row: ScoreRow, begun: AnomalyBegan) -> AnomalyNotification:
    return AnomalyNotification(
        event_id=row.event_id,
        session_id=row.session_id,
        timestamp=timestamp(row.at_ms),
        anomaly_id=begun.id,
        anomaly_type=begun.type,
        severity=begun.severity,
        current_engagement=row.score,
        expected_engagement=begun.expected_engagement,
        reason=begun.reason,
    )


def _execution_notification(
    row: ScoreRow, record: Intervention, *, is_success: bool
) -> ExecutionNotification:
    return ExecutionNotification(
        event_id=record.event_id,
        session_id=row.session_id,
        timestamp=timestamp(row.at_ms),
        intervention_id=record.id,
        intervention_type=record.type,
        success=is_success,
        confidence=record.confidence,
        reason=record.reasoning,
    )


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    try:
        return decoder.decode(body)
    except INVALID_BODY:
        return None

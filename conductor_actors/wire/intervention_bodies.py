"""The JSON bodies of interventions, in messages and in the columns of the database.

Keys are in snake case, as platforms and front ends have them. Source: the contract, section 7.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from conductor_actors.domain.conductor.interventions import Intervention, MeasuredOutcome
from conductor_actors.domain.identity import Id
from conductor_actors.wire.updates import timestamp

SessionEventType: TypeAlias = Literal[
    "agent.status", "agent.decision", "agent.intervention.executed", "agent.reward.measured"
]


class OutcomeBody(msgspec.Struct, kw_only=True):
    """What followed an intervention. All but the score before are null if it was `censored`."""

    success: bool | None
    reward: float | None
    engagement_before: float
    engagement_after: float | None
    engagement_delta: float | None
    pre_engagement: float
    post_engagement: float | None
    measured_at: str
    censored: str | msgspec.UnsetType = msgspec.UNSET


class InterventionMetadata(msgspec.Struct, kw_only=True):
    """How an intervention was decided, and what became of it.

    `probabilities`, in millionths, are those of the types that were allowed; `draw` chose one of
    them. They and what belongs to the anomaly are absent if a person started it. `steps` has the
    time of each status so far.
    """

    event_id: str
    origin: str
    engagement_before: float
    estimated_impact: float
    steps: dict[str, str]
    anomaly_id: str | msgspec.UnsetType = msgspec.UNSET
    anomaly_type: str | msgspec.UnsetType = msgspec.UNSET
    policy_version: int | msgspec.UnsetType = msgspec.UNSET
    probabilities: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    draw: float | msgspec.UnsetType = msgspec.UNSET
    content: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    send_by: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET


class DecisionBody(msgspec.Struct, kw_only=True):
    """The data of `agent.decision`: an intervention as it is now. Histories have the same keys."""

    id: Id
    session_id: Id
    event_id: Id
    timestamp: str
    type: str
    status: str
    confidence: float | None
    reasoning: str | None
    outcome: OutcomeBody | None
    metadata: InterventionMetadata


class StatusBody(msgspec.Struct, kw_only=True):
    """The data of `agent.status`: mode and status of a session, and its open decision."""

    mode: str
    status: str
    decision_id: str | None


class ExecutedBody(msgspec.Struct, kw_only=True):
    """The data of `agent.intervention.executed`: whether the platform carried an action out."""

    intervention_id: Id
    type: str
    success: bool
    error: str | None


class RewardBody(msgspec.Struct, kw_only=True):
    """The data of `agent.reward.measured`: what followed an intervention."""

    intervention_id: Id
    type: str
    outcome: OutcomeBody


SessionEventData: TypeAlias = DecisionBody | StatusBody | ExecutedBody | RewardBody


class PerformanceMetadata(msgspec.Struct, kw_only=True):
    """The metadata of a measured trial in the database: what effects are estimated from.

    `probability` is that of the type that was drawn; probabilities are in millionths.
    """

    event_id: str
    origin: str
    anomaly_type: str
    probability: int
    probabilities: dict[str, int]
    before: float
    after: float
    reward: float | None
    policy_version: int


class SessionEvent(msgspec.Struct, kw_only=True):
    """A message of `session:<id>:events`. The keys of `data` depend on the type."""

    type: SessionEventType
    session_id: Id
    timestamp: str
    data: dict[str, Any]


class AnomalyNotification(msgspec.Struct, kw_only=True, tag_field="type", tag="anomaly_detected"):
    """`agent:notifications:<event>`: an anomaly begins in a session of the event."""

    event_id: Id
    session_id: Id
    timestamp: str
    anomaly_id: str
    anomaly_type: str
    severity: str
    current_engagement: float
    expected_engagement: float
    reason: str


class ExecutionNotification(
    msgspec.Struct, kw_only=True, tag_field="type", tag="intervention_executed"
):
    """`agent:notifications:<event>`: an action was carried out in a session, or failed."""

    event_id: Id
    session_id: Id
    timestamp: str
    intervention_id: str
    intervention_type: str
    success: bool
    confidence: float | None
    reason: str | None


Notification: TypeAlias = AnomalyNotification | ExecutionNotification


class ActionMetadata(msgspec.Struct, kw_only=True):
    """Why an action is sent."""

    reason: str
    confidence: float
    priority: str
    estimated_impact: float


class ActionMessage(msgspec.Struct, kw_only=True):
    """What all messages of `agent.interventions` have; the content depends on the type."""

    type: str
    intervention_id: Id
    session_id: Id
    event_id: Id
    timestamp: str
    metadata: ActionMetadata


def decision_body(session_id: str, record: Intervention) -> DecisionBody:
    """Return an intervention as messages and histories have it."""
    return DecisionBody(
        id=record.id,
        session_id=session_id,
        event_id=record.event_id,
        timestamp=timestamp(record.at_ms),
        type=record.type,
        status=record.status,
        confidence=record.confidence,
        reasoning=record.reasoning,
        outcome=None if record.outcome is None else outcome_body(record.outcome),
        metadata=metadata_body(record),
    )


def outcome_body(outcome: MeasuredOutcome) -> OutcomeBody:
    """Return an outcome as messages and the database have it."""
    before, after = outcome.before, outcome.after
    return OutcomeBody(
        success=outcome.success,
        reward=outcome.reward,
        engagement_before=before,
        engagement_after=after,
        engagement_delta=None if after is None else after - before,
        pre_engagement=before,
        post_engagement=after,
        measured_at=timestamp(outcome.measured_ms),
        censored=outcome.censored or msgspec.UNSET,
    )


def metadata_body(record: Intervention) -> InterventionMetadata:
    """Return the metadata of an intervention as messages and the database have them."""
    metadata = InterventionMetadata(
        event_id=record.event_id,
        origin=record.origin,
        engagement_before=record.before,
        estimated_impact=record.estimated_impact,
        steps={status: timestamp(ms) for status, ms in record.steps.items()},
        content=msgspec.UNSET if record.content is None else record.content,
        expires_at=_instant(record.expires_ms),
        send_by=_instant(record.send_by_ms),
        note=record.note or msgspec.UNSET,
    )
    choice = record.choice
    if choice is not None:
        metadata.anomaly_id, metadata.anomaly_type = choice.anomaly_id, choice.anomaly_type
        metadata.policy_version, metadata.draw = choice.policy_version, choice.draw
        metadata.probabilities = {str(kind): share for kind, share in choice.probabilities.items()}
    return metadata


def _instant(ms: int) -> str | msgspec.UnsetType:
    return timestamp(ms) if ms else msgspec.UNSET

"""Interventions: what the conductor, or a person, does about a session, from decision to outcome.

Source of the names and of every status: the contract, section 7.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args
from uuid import NAMESPACE_URL, uuid5

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType

ActionType: TypeAlias = Literal["POLL", "BROADCAST", "NOTIFICATION", "GAMIFICATION"]
InterventionType: TypeAlias = Literal["HOLD", ActionType]
Mode: TypeAlias = Literal["OFF", "MANUAL", "SEMI_AUTO", "AUTO"]
Origin: TypeAlias = Literal["hold", "suggest", "act", "manual"]  # who decided, and how
InterventionStatus: TypeAlias = Literal[
    "HELD",
    "SUGGESTED",
    "APPROVED",
    "DISMISSED",
    "EXPIRED",
    "SENT",
    "EXECUTED",
    "FAILED",
    "COMPLETED",
]
AgentStatus: TypeAlias = Literal[
    "MONITORING", "ANOMALY_DETECTED", "WAITING_APPROVAL", "INTERVENING", "LEARNING", "IDLE"
]

HOLD: Final = "HOLD"
ACTIONS: Final[tuple[ActionType, ...]] = get_args(ActionType)
INTERVENTION_TYPES: Final[tuple[InterventionType, ...]] = (HOLD, *ACTIONS)  # as they are drawn
MICRO: Final = 1_000_000  # scores and probabilities are kept in millionths where they are added

# A status is only followed by one of a higher rank.
STATUS_RANKS: Final[Mapping[InterventionStatus, int]] = {
    "HELD": 0,
    "SUGGESTED": 0,
    "APPROVED": 1,
    "DISMISSED": 2,
    "EXPIRED": 2,
    "SENT": 3,
    "EXECUTED": 4,
    "FAILED": 4,
    "COMPLETED": 5,
}

# Content of an action, as `agent.interventions` has it: the keys depend on the type.
Content: TypeAlias = Mapping[str, Any]


class Choice(msgspec.Struct, frozen=True):
    """A random choice among the types that were allowed: what an effect can be estimated from.

    `probabilities` are in millionths and add up to a million. `draw` is the random number, in
    millionths, that the choice follows from: types share 0 to a million in the order of
    `INTERVENTION_TYPES`.
    """

    anomaly_id: str
    anomaly_type: AnomalyType
    policy_version: int
    probabilities: dict[InterventionType, int]
    draw: float


class MeasuredOutcome(msgspec.Struct, frozen=True):
    """What followed: the mean score 30 to 120 s after, against what doing nothing gives.

    `after`, `reward` and `success` are None if it could not be measured; `censored` says why:
    `ended`, `gap` or `other_action`. The reward of what was not drawn is None, too.
    """

    measured_ms: int
    before: float
    after: float | None = None
    reward: float | None = None
    success: bool | None = None
    censored: str | None = None


class Intervention(msgspec.Struct, frozen=True):
    """One intervention as it is at a tick; its status only moves forward.

    `at_ms` is the tick of the decision. `choice` is None for what a person started. `content` is
    None for HOLD. A suggestion expires at `expires_ms`; what is APPROVED must be sent by
    `send_by_ms`. `steps` has the tick of each status so far, in milliseconds since 1970. `note`
    says why it was dismissed, expired or failed. `estimated_impact` is what acting is expected to
    add to the score, by what was learnt.
    """

    id: str
    at_ms: int
    event_id: str
    type: InterventionType
    origin: Origin
    status: InterventionStatus
    confidence: float
    reasoning: str
    before: float
    choice: Choice | None = None
    content: dict[str, Any] | None = None
    expires_ms: int = 0
    send_by_ms: int = 0
    steps: dict[InterventionStatus, int] = {}
    outcome: MeasuredOutcome | None = None
    note: str | None = None
    estimated_impact: float = 0.0

    @property
    def is_to_send(self) -> bool:
        """Whether it is decided, and not known to be sent."""
        return self.status == "APPROVED"

    @property
    def is_learnt(self) -> bool:
        """Whether it is a trial whose outcome was measured."""
        return self.choice is not None and self.outcome is not None and not self.outcome.censored


class AgentState(msgspec.Struct, frozen=True, gc=False):
    """Mode and status of the conductor in a session; the open decision, if there is one."""

    mode: Mode
    status: AgentStatus
    decision_id: str | None = None


def intervention_id(anomaly_id: str) -> str:
    """Return the id of the intervention that an anomaly leads to."""
    return str(uuid5(NAMESPACE_URL, f"conductor_actors/intervention/{anomaly_id}"))

"""The types of the JSON bodies of the conductor's HTTP API, except those of published messages.

Keys are in snake case, as existing clients have them. `static/types.d.ts` and the OpenAPI document
are generated from these.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from conductor_actors.domain.conductor.interventions import ActionType, AgentStatus, Mode
from conductor_actors.domain.conductor.templates import (
    MAX_CONTENT_CHARS,
)
from conductor_actors.domain.identity import Id
from conductor_actors.wire.intervention_bodies import DecisionBody

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CONTENT_CHARS)]
JsonObject = dict[str, Any]


class ModeRequest(msgspec.Struct, gc=False):
    """The request to set a mode; null ends it: a session has the mode of its event again."""

    mode: Mode | None


class SessionAgent(msgspec.Struct, kw_only=True):
    """What the conductor does in a session.

    `status` is IDLE, and `is_active` false, while the session is not live or the mode is OFF.
    `current_decision` is the open one; `confidence_score` is its confidence. `last_activity` is
    when the conductor last did something, as far as it is known here.
    """

    session_id: Id
    mode: Mode
    status: AgentStatus
    last_activity: str | None
    confidence_score: float | None
    current_decision: DecisionBody | None
    is_active: bool


class EventMode(msgspec.Struct):
    """The mode of the sessions of an event that have no mode of their own; null: the default."""

    event_id: Id
    mode: Mode | None


class ApprovalRequest(msgspec.Struct):
    """The request to approve a suggestion, with other content if it is not absent or null."""

    content: JsonObject | None = None


class DismissalRequest(msgspec.Struct):
    """The request to dismiss a suggestion."""

    reason: Reason | None = None


class DecisionAnswered(msgspec.Struct):
    """An answer to a suggestion that was accepted: APPROVED or DISMISSED."""

    id: Id
    session_id: Id
    status: str


class DrawnShare(msgspec.Struct):
    """The chance of a type, and the part of 0 to 1 that a draw must be in for it."""

    type: str
    probability: float
    low: float
    high: float
    is_drawn: bool


class DecisionExplanation(DecisionBody, kw_only=True):
    """An intervention, and the random choice that led to it; empty if a person started it."""

    shares: Sequence[DrawnShare]


class DecisionList(msgspec.Struct):
    """The decisions that are open, or changed in the last five minutes, oldest first.

    `enabled` is false while the operator has switched the conductor off. `default_mode` is that of
    the sessions and events for which none is set.
    """

    enabled: bool
    default_mode: Mode
    decisions: Sequence[DecisionBody]


class RegistrationRequest(msgspec.Struct):
    """The request of a client to register a session. It changes nothing."""

    session_id: Id


class ManualRequest(msgspec.Struct):
    """The request to start an action. `context.content` replaces the template, if it is there."""

    session_id: Id
    intervention_type: ActionType
    reason: Reason
    event_id: Id | None = None
    context: JsonObject | None = None


class ManualAccepted(msgspec.Struct):
    """An action that a person started: it has this id, once its session has read it."""

    id: Id
    session_id: Id
    status: str = "accepted"


class InterventionStats(msgspec.Struct, kw_only=True):
    """The numbers of a session's interventions, those that did nothing (HOLD) included.

    `success_rate` is the share of the measured that were successful, against what doing nothing
    gives; null if none was measured. None of these is an effect.
    """

    session_id: Id
    total_interventions: int
    by_type: dict[str, int]
    by_status: dict[str, int]
    measured: int
    successful: int
    success_rate: float | None
    mean_reward: float | None


class TypeEffect(msgspec.Struct, kw_only=True):
    """The effect of a type on the score, against doing nothing, with its 95 % interval.

    `origin` is how it was decided: `act` at once, or `suggest`, whatever became of the suggestion.
    `n` and `n_hold` are the trials of both. While there are too few, `effect`, `low` and `high` are
    null, and `missing` is the number of trials that are still needed.
    """

    type: str
    origin: str
    n: int
    n_hold: int
    effect: float | None
    low: float | None
    high: float | None
    missing: int


class EffectReport(msgspec.Struct):
    """The effects of all types, from the trials since a time."""

    since: str
    trials: int
    effects: Sequence[TypeEffect]


class TemplatesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The request to replace all texts; types that are absent have the defaults again."""

    templates: Mapping[str, JsonObject]


class Templates(msgspec.Struct):
    """The texts of the actions as they are used, the types that replace a default, and defaults.

    `placeholders` are those that a text may have, such as `people` for `{people}`.
    """

    templates: dict[ActionType, JsonObject]
    replaced: Sequence[ActionType]
    defaults: dict[ActionType, JsonObject]
    placeholders: Sequence[str]

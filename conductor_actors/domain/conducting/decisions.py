"""Decide what to do about an anomaly: a random choice, with probabilities that are logged."""

from typing import NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.conductor.conduct_rules import (
    MIN_CONFIDENCE_TO_ACT,
    MIN_CONFIDENCE_TO_SUGGEST,
    SEND_WITHIN_MS,
    SUGGESTION_MS,
)
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import (
    HOLD,
    ActionType,
    Choice,
    Intervention,
    InterventionType,
    Mode,
    intervention_id,
)
from conductor_actors.domain.conductor.policy import (
    confidence,
    draw,
    drawn,
    expected_effect,
    probabilities,
)
from conductor_actors.domain.conductor.templates import rendered
from conductor_actors.domain.scoring import ScoreRow


class Situation(NamedTuple):
    """What a decision depends on besides the anomaly. `allowed` are by the limits."""

    row: ScoreRow
    mode: Mode
    directives: Directives
    allowed: tuple[ActionType, ...]
    salt: str


def decide(anomaly: AnomalyBegan, situation: Situation) -> Intervention | None:
    """Return what to do, HOLD among it; None if the limits allow no action.

    Where no action is worth suggesting, HOLD is certain: its outcome teaches what actions are
    compared with.
    """
    if not situation.allowed:
        return None
    policy = situation.directives.policy
    allowed = tuple(each for each in situation.allowed if _may_suggest(each, anomaly, situation))
    shares = probabilities(policy, anomaly.type, allowed)
    point = draw(anomaly.id, situation.salt)
    kind = drawn(shares, point)
    choice = Choice(anomaly.id, anomaly.type, policy.version, shares, point)
    return (
        _held(anomaly, choice, situation)
        if kind == HOLD
        else _action(kind, anomaly, choice, situation)
    )


def _may_suggest(action: ActionType, anomaly: AnomalyBegan, situation: Situation) -> bool:
    if situation.mode != "SEMI_AUTO":
        return True
    policy = situation.directives.policy
    return confidence(policy, anomaly.type, action) >= MIN_CONFIDENCE_TO_SUGGEST


def _held(anomaly: AnomalyBegan, choice: Choice, situation: Situation) -> Intervention:
    row = situation.row
    return Intervention(
        intervention_id(anomaly.id),
        row.at_ms,
        row.event_id,
        HOLD,
        "hold",
        "HELD",
        choice.probabilities[HOLD] / 1_000_000,
        _reasoning(HOLD, anomaly, choice),
        row.score,
        choice,
        steps={"HELD": row.at_ms},
    )


def _action(
    action: ActionType, anomaly: AnomalyBegan, choice: Choice, situation: Situation
) -> Intervention:
    row, at_ms = situation.row, situation.row.at_ms
    certainty = confidence(situation.directives.policy, anomaly.type, action)
    is_semi_auto = situation.mode == "SEMI_AUTO" and certainty >= MIN_CONFIDENCE_TO_ACT
    acts = situation.mode == "AUTO" or is_semi_auto
    return Intervention(
        intervention_id(anomaly.id),
        at_ms,
        row.event_id,
        action,
        "act" if acts else "suggest",
        "APPROVED" if acts else "SUGGESTED",
        certainty,
        _reasoning(action, anomaly, choice),
        row.score,
        choice,
        content_of(action, row, situation.directives, anomaly.reason, anomaly.type),
        expires_ms=0 if acts else at_ms + SUGGESTION_MS,
        send_by_ms=at_ms + SEND_WITHIN_MS if acts else 0,
        steps={"APPROVED" if acts else "SUGGESTED": at_ms},
        estimated_impact=expected_effect(situation.directives.policy, anomaly.type, action),
    )


def content_of(
    action: ActionType, row: ScoreRow, directives: Directives, reason: str, anomaly: str = ""
) -> dict[str, object]:
    """Return what an action says: the tenant's template, or the default, filled in."""
    values: dict[str, str | int] = {
        "people": row.signals.total_users,
        "reason": reason,
        "session": row.session_id,
        "event": row.event_id,
        "anomaly": anomaly.lower().replace("_", " "),
    }
    return rendered(directives.templates, action, values)


def _reasoning(kind: InterventionType, anomaly: AnomalyBegan, choice: Choice) -> str:
    share = choice.probabilities[kind] / 10_000
    sentences = [anomaly.reason, f"Chosen at random, with a probability of {share:.1f} %."]
    if kind == HOLD:
        sentences.append("Nothing is done, to learn what happens without an action.")
    return " ".join(sentences)

"""The records of interventions: from published messages, and from the database."""

from typing import Any

import msgspec

from conductor_actors.domain.conductor.interventions import STATUS_RANKS
from conductor_actors.instants import from_iso, to_ms
from conductor_actors.ports.conductor_port import StoredIntervention
from conductor_actors.wire.intervention_bodies import (
    DecisionBody,
    InterventionMetadata,
    OutcomeBody,
)
from conductor_actors.wire.updates import INVALID_BODY, timestamp


def stored_decision(stored: StoredIntervention) -> DecisionBody:
    """Return the record of a stored intervention, without what another program stored instead."""
    found = _metadata(stored)
    # The database keeps no order of keys.
    found.steps = dict(sorted(found.steps.items(), key=lambda step: (step[1], _rank(step[0]))))
    return DecisionBody(
        id=stored.id,
        session_id=stored.session_id,
        event_id=stored.event_id,
        timestamp=timestamp(stored.at_ms),
        type=stored.type,
        status=stored.status,
        confidence=stored.confidence,
        reasoning=stored.reasoning,
        outcome=_converted(stored.outcome, OutcomeBody),
        metadata=found,
    )


def is_newer(decision: DecisionBody, known: DecisionBody) -> bool:
    """Check whether a record is a newer one of an intervention than the one that is known."""
    return _version(decision) > _version(known)


def decided_ms(decision: DecisionBody) -> int:
    """Return when an intervention was decided, in milliseconds since 1970; 0 if it is no time."""
    return instant_of(decision.timestamp)


def changed_ms(decision: DecisionBody) -> int:
    """Return when an intervention changed last."""
    texts = [decision.timestamp, *decision.metadata.steps.values()]
    if decision.outcome is not None:
        texts.append(decision.outcome.measured_at)
    return max(map(instant_of, texts))


def expires_ms(decision: DecisionBody) -> int | None:
    """Return when a suggestion expires; None if nobody is to decide it."""
    expires_at = decision.metadata.expires_at
    is_open = decision.status == "SUGGESTED" and isinstance(expires_at, str)
    return instant_of(str(expires_at)) if is_open else None


def _metadata(stored: StoredIntervention) -> InterventionMetadata:
    usual = {
        "event_id": stored.event_id,
        "origin": "",
        "engagement_before": 0.0,
        "estimated_impact": 0.0,
        "steps": {},
    }
    found = _converted({**usual, **stored.metadata}, InterventionMetadata)
    return found or InterventionMetadata(**usual)  # type: ignore[arg-type] # as above


def _converted(value: object, kind: type[Any]) -> Any:  # noqa: ANN401
    try:
        return None if value is None else msgspec.convert(value, kind)
    except INVALID_BODY:
        return None


def _version(decision: DecisionBody) -> tuple[int, bool, int]:
    rank = _rank(decision.status)
    return rank, decision.outcome is not None, len(decision.metadata.steps)


def _rank(status: str) -> int:
    return STATUS_RANKS.get(status, 0)  # type: ignore[call-overload, no-any-return] # of others: 0


def instant_of(text: str) -> int:
    """Return a time in milliseconds since 1970; 0 if it is none."""
    try:
        return to_ms(from_iso(text))
    except (ValueError, OverflowError):
        return 0

"""What the conductor of a session publishes, for tests of what receives it."""

from typing import Any
from uuid import uuid4

import msgspec
import redis
from msgspec.structs import replace

from conductor_actors.domain.conductor.interventions import Choice, Intervention, MeasuredOutcome
from conductor_actors.wire.intervention_bodies import decision_body, outcome_body
from conductor_actors.wire.updates import timestamp
from tests.dashboard.conftest import this_tick_ms

SHARES = {"HOLD": 100_000, "POLL": 300_000, "BROADCAST": 600_000}
REASON = "2 events in 9 s, 14 were expected."


def suggestion(ticks_ago: int = 1, **changes: Any) -> Intervention:
    """Return a suggestion that is open."""
    at_ms = this_tick_ms(ticks_ago)
    usual = Intervention(
        str(uuid4()),
        at_ms,
        "event",
        "BROADCAST",
        "suggest",
        "SUGGESTED",
        0.6,
        REASON,
        0.25,
        choice=Choice(str(uuid4()), "SUDDEN_DROP", 3, dict(SHARES), 750_000.0),  # type: ignore[arg-type] # of types
        content={"message": "What do you think?"},
        expires_ms=at_ms + 1_800_000,
        steps={"SUGGESTED": at_ms},
    )
    return replace(usual, **changes)


def moved(record: Intervention, status: Any, **changes: Any) -> Intervention:
    """Return an intervention that got a status at the next tick."""
    steps = {**record.steps, status: record.at_ms + 5000}
    return replace(record, status=status, steps=steps, **changes)


def measured(record: Intervention) -> Intervention:
    """Return an intervention with its outcome."""
    outcome = MeasuredOutcome(record.at_ms + 120_000, 0.25, 0.5, 0.125, success=True)
    return replace(record, outcome=outcome)


def event(
    kind: str, session_id: str, at_ms: int, data: dict[str, Any] | msgspec.Struct
) -> dict[str, Any]:
    """Return the body of a message of `session:<id>:events`."""
    body = msgspec.to_builtins(data)
    return {
        "type": kind,
        "session_id": session_id,
        "timestamp": timestamp(at_ms),
        "data": body,
    }


def decision(session_id: str, record: Intervention, at_ms: int | None = None) -> dict[str, Any]:
    """Return the message that an intervention is now so."""
    at_ms = record.at_ms if at_ms is None else at_ms
    return event("agent.decision", session_id, at_ms, decision_body(session_id, record))


def status(session_id: str, mode: str, state: str, decision_id: str | None = None) -> Any:
    """Return the message that a session has this mode and status."""
    data = {"mode": mode, "status": state, "decision_id": decision_id}
    return event("agent.status", session_id, this_tick_ms(), data)


def executed(session_id: str, record: Intervention) -> dict[str, Any]:
    """Return the message that an action was carried out."""
    data = {
        "intervention_id": record.id,
        "type": record.type,
        "success": True,
        "error": None,
    }
    return event("agent.intervention.executed", session_id, record.at_ms + 5000, data)


def reward(session_id: str, record: Intervention) -> dict[str, Any]:
    """Return the message that the outcome of an intervention is known."""
    assert record.outcome is not None
    data = {
        "intervention_id": record.id,
        "type": record.type,
        "outcome": msgspec.to_builtins(outcome_body(record.outcome)),
    }
    return event("agent.reward.measured", session_id, record.outcome.measured_ms, data)


def announce(client: redis.Redis, *bodies: dict[str, Any], tenant: str = "default") -> None:
    """Publish messages as the collector does."""
    prefix = "" if tenant == "default" else f"{tenant}:"
    for body in bodies:
        channel = f"{prefix}session:{body['session_id']}:events"
        client.publish(channel, msgspec.json.encode(body))

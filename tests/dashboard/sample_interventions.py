"""Bodies of the conductor that the fake service sends."""

from typing import Any, Final

from msgspec.structs import replace

from conductor_actors.domain.conductor.interventions import Choice, Intervention, MeasuredOutcome
from conductor_actors.domain.conductor.templates import DEFAULT_TEMPLATES
from conductor_actors.wire.intervention_bodies import decision_body
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, Body, plain

REASON: Final = "2 messages and reactions in the last 20 s; 58 were expected of 60 people."
EXPIRY_MS: Final = 30 * 60_000
WINDOW_END_MS: Final = 120_000
QUESTION: Final = str(DEFAULT_TEMPLATES["POLL"]["poll"]["question"])

_CHOICE: Final = Choice(
    "anomaly", "SUDDEN_DROP", 3, {"HOLD": 100_000, "POLL": 700_000, "BROADCAST": 200_000}, 500_000
)
_SUGGESTED: Final = Intervention(
    "poll-1",
    NOON_MS,
    "conf-2026",
    "POLL",
    "suggest",
    "SUGGESTED",
    0.62,
    REASON,
    0.28,
    choice=_CHOICE,
    content=dict(DEFAULT_TEMPLATES["POLL"]),
    expires_ms=NOON_MS + EXPIRY_MS,
    steps={"SUGGESTED": NOON_MS},
)


def suggestion(session: str = "keynote", **changes: Any) -> Body:
    """Return a poll that is suggested at noon, as `agent.decision` has it."""
    return plain(decision_body(session, replace(_SUGGESTED, **changes)))


def sent(session: str = "keynote", at_ms: int = NOON_MS, **changes: Any) -> Body:
    """Return a poll that was suggested, then approved, sent and carried out within four ticks."""
    mine = {"status": "EXECUTED", "steps": _steps(at_ms), "at_ms": at_ms}
    return suggestion(session, **mine | changes)


def measured(session: str = "keynote", at_ms: int = NOON_MS, **changes: Any) -> Body:
    """Return a poll that was sent and measured: the score was 6 points better than without it."""
    outcome = MeasuredOutcome(at_ms + WINDOW_END_MS, 0.28, 0.48, 0.06, success=True)
    steps = _steps(at_ms) | {"COMPLETED": at_ms + WINDOW_END_MS}
    mine = {"status": "COMPLETED", "steps": steps, "at_ms": at_ms, "outcome": outcome}
    return suggestion(session, **mine | changes)


def _steps(at_ms: int) -> dict[str, int]:
    names = ("SUGGESTED", "APPROVED", "SENT", "EXECUTED")
    return {name: at_ms + number * TICK_MS for number, name in enumerate(names)}


def held(session: str = "keynote", at_ms: int = NOON_MS, **changes: Any) -> Body:
    """Return a decision to do nothing, as it is before its outcome."""
    mine: Body = {
        "id": "hold-1",
        "type": "HOLD",
        "origin": "hold",
        "status": "HELD",
        "content": None,
    }
    mine |= {"steps": {"HELD": at_ms}, "at_ms": at_ms, "expires_ms": 0}
    return suggestion(session, **mine | changes)


def effect(kind: str, origin: str, *known: float, n: int = 52, missing: int = 0) -> Body:
    """Return the effect of a type; `known` is the effect and the ends of its interval."""
    value, low, high = known or (None, None, None)
    head = {"type": kind, "origin": origin, "n": n, "n_hold": 60}
    return head | {"effect": value, "low": low, "high": high, "missing": missing}

"""Sessions in a mode, their first decision, and what is requested of them."""

from typing import Any, Final

from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import (
    HOLD,
    Intervention,
    Mode,
)
from conductor_actors.domain.conductor.policy import Policy, added
from conductor_actors.domain.conductor.requests import (
    Approved,
    InterventionSent,
    ManualRequested,
)
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.conducting.conducted_session import ConductedSession

MANUAL_ID: Final = "00000000-0000-4000-8000-000000000009"


def session_in(mode: Mode, policy: Policy | None = None) -> ConductedSession:
    rules = SessionRules(conduct=ConductRules(mode=mode))
    return ConductedSession(rules, None if policy is None else Directives(policy))


def first_decision(session: ConductedSession, *, is_action: bool = True) -> Intervention:
    """Pass anomalies until one leads to an action, or to nothing done on purpose."""
    for number in range(1, 200):
        [decision] = [
            each for each in session.drop(number) if each.steps == {each.status: session.at_ms}
        ]
        if (decision.type != HOLD) == is_action:
            return decision
        session.ticks(600)
    raise AssertionError("no such decision")


def sent(decision: Intervention, refused: str | None = None) -> InterventionSent:
    return InterventionSent(0, decision.id, refused)


def approved(decision: Intervention, content: dict[str, Any] | None = None) -> Approved:
    return Approved(0, decision.id, content)


def manual(number: int = 9, action: str = "BROADCAST") -> ManualRequested:
    identity = f"00000000-0000-4000-8000-{number:012d}"
    return ManualRequested(0, identity, action, "Lunch is over.", None)  # type: ignore[arg-type]


def learnt(action: str, reward: float, trials: int = 60) -> Policy:
    policy = Policy()
    for _ in range(trials):
        policy = added(policy, "HOLD", "SUDDEN_DROP", 500_000, 500_000)
        policy = added(policy, action, "SUDDEN_DROP", 500_000, 500_000 + round(reward * 1e6))  # type: ignore[arg-type]
    return policy

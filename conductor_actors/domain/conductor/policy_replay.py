"""A replay of anomalies and outcomes into the choices and effects that follow from them.

It needs no sessions: what is allowed and what was measured is given. So anybody can check choices
and effects against their own calculation.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.conductor.effects import Effect, Trial, effects_of
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    MICRO,
    ActionType,
    Choice,
    InterventionType,
    Origin,
)
from conductor_actors.domain.conductor.policy import Policy, added, draw, drawn, probabilities

ACTED: Final = "act"  # the origin of all actions of a replay


class ReplayedChoice(NamedTuple):
    """What was chosen about an anomaly, and how."""

    type: InterventionType
    choice: Choice


class _Open(NamedTuple):
    tenant: str
    before: float
    chosen: ReplayedChoice


class PolicyReplay:
    """Chooses and learns by tenant, as the service does."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._policies: dict[str, Policy] = {}
        self._open: dict[str, _Open] = {}
        self._ids: set[str] = set()
        self._trials: dict[str, list[Trial]] = {}

    def choose(
        self,
        anomaly_id: str,
        anomaly_type: AnomalyType,
        tenant: str,
        before: float,
        allowed: Sequence[ActionType] = ACTIONS,
    ) -> ReplayedChoice:
        """Choose about an anomaly. Raise `ValueError` if there was one with the same id."""
        if anomaly_id in self._ids:
            raise ValueError(f"a second anomaly with the id {anomaly_id}")
        self._ids.add(anomaly_id)
        policy = self._policies.get(tenant, Policy())
        shares = probabilities(policy, anomaly_type, allowed)
        point = draw(anomaly_id, self._salt)
        choice = Choice(anomaly_id, anomaly_type, policy.version, shares, point)
        chosen = ReplayedChoice(drawn(shares, point), choice)
        self._open[anomaly_id] = _Open(tenant, before, chosen)
        return chosen

    def learn(self, anomaly_id: str, after: float) -> None:
        """Learn what followed. Raise `ValueError` without such an anomaly, or if it is known."""
        if anomaly_id not in self._ids:
            raise ValueError(f"no anomaly before has the id {anomaly_id}")
        if anomaly_id not in self._open:
            raise ValueError(f"a second outcome of the anomaly {anomaly_id}")
        tenant, before, (kind, choice) = self._open.pop(anomaly_id)
        self._policies[tenant] = added(
            self._policies.get(tenant, Policy()),
            kind,
            choice.anomaly_type,
            round(before * MICRO),
            round(after * MICRO),
        )
        origin: Origin = "hold" if kind == HOLD else ACTED
        trial = Trial(kind, origin, choice.anomaly_type, before, after, dict(choice.probabilities))
        self._trials.setdefault(tenant, []).append(trial)

    def effects(self) -> Mapping[str, Sequence[Effect]]:
        """Return the effects of acting, by tenant."""
        return {
            tenant: [each for each in effects_of(trials) if each.origin == ACTED]
            for tenant, trials in self._trials.items()
        }

"""The policy of a tenant: what its trials gave so far, and what follows for the next choice.

What is learnt are sums of integers, so the order of trials can't matter. All else follows from the
sums alone: the same sums give the same probabilities.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from math import sqrt
from typing import Final, TypeAlias

import msgspec

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES, AnomalyType
from conductor_actors.domain.conductor.best import normal_cdf, probabilities_of_best
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    INTERVENTION_TYPES,
    MICRO,
    ActionType,
    InterventionType,
)
from conductor_actors.domain.conductor.posterior import Moments, Posterior, posterior

HOLD_FLOOR_MICRO: Final = 100_000
ACTION_FLOOR_MICRO: Final = 20_000  # of each allowed action


class CellSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The trials of one intervention type after one type of anomaly.

    Scores before and after are whole millionths; so all sums are integers, and exact.
    """

    trials: int = 0
    before: int = 0
    after: int = 0
    before_squared: int = 0
    before_after: int = 0
    after_squared: int = 0


class Policy(msgspec.Struct, frozen=True, gc=False):
    """One version of what was learnt: the sums of each cell, by its `cell_name`."""

    version: int = 0
    cells: dict[str, CellSums] = {}


Probabilities: TypeAlias = dict[InterventionType, int]  # in millionths; they add up to a million


def cell_name(kind: InterventionType, anomaly_type: AnomalyType) -> str:
    """Return the name of a cell, such as `POLL:SUDDEN_DROP`."""
    return f"{kind}:{anomaly_type}"


def added(
    policy: Policy,
    kind: InterventionType,
    anomaly_type: AnomalyType,
    before_micro: int,
    after_micro: int,
) -> Policy:
    """Return the next version, which knows one more trial."""
    name = cell_name(kind, anomaly_type)
    sums = policy.cells.get(name, CellSums())
    more = CellSums(
        sums.trials + 1,
        sums.before + before_micro,
        sums.after + after_micro,
        sums.before_squared + before_micro * before_micro,
        sums.before_after + before_micro * after_micro,
        sums.after_squared + after_micro * after_micro,
    )
    return Policy(policy.version + 1, {**policy.cells, name: more})


def reference(policy: Policy, anomaly_type: AnomalyType, before: float) -> float:
    """Return the score 30 to 120 s later if nothing is done, 0…1, from the score `before`."""
    expected = _posterior(_Same(policy)).without_action(anomaly_type, before)
    return min(1.0, max(0.0, expected))


def confidence(policy: Policy, anomaly_type: AnomalyType, action: ActionType) -> float:
    """Return the probability that an action is better than doing nothing; 0.5 without trials."""
    mean, deviation = _effect(_Same(policy), anomaly_type, action)
    return normal_cdf(mean / deviation)


def expected_effect(policy: Policy, anomaly_type: AnomalyType, action: ActionType) -> float:
    """Return what an action is expected to add to the score, against doing nothing."""
    return _effect(_Same(policy), anomaly_type, action)[0]


def probabilities(
    policy: Policy, anomaly_type: AnomalyType, allowed: Sequence[ActionType]
) -> Probabilities:
    """Return the probabilities of HOLD and of the allowed actions, in whole millionths.

    HOLD has at least 0.1 and each action at least 0.02, so that each effect can be estimated. The
    rest is shared by the probability of being the best, which is Thompson sampling.
    """
    actions = tuple(action for action in ACTIONS if action in allowed)
    return dict(_shares(_Same(policy), anomaly_type, actions))


def draw(anomaly_id: str, salt: str) -> float:
    """Return a random number in [0, 1,000,000) that follows from the anomaly's id and a salt."""
    digest = sha256(f"{anomaly_id}\n{salt}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53) * MICRO


def drawn(probabilities: Mapping[InterventionType, int], draw: float) -> InterventionType:
    """Return the type whose share of [0, 1,000,000) the number is in; types are in their order."""
    upper = 0
    for kind in INTERVENTION_TYPES:
        upper += probabilities.get(kind, 0)
        if draw < upper:
            return kind
    raise ValueError(f"{draw} is not below the sum of the probabilities, {upper}")


class _Same:
    """A policy as the key of a cache: the same object, since comparing all sums takes longer."""

    __slots__ = ("policy",)

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.policy is other.policy

    def __hash__(self) -> int:
        return id(self.policy)


@lru_cache(maxsize=256)
def _posterior(same: _Same) -> Posterior:
    cells = same.policy.cells
    return posterior(
        {
            (kind, anomaly_type): _moments(sums)
            for kind in INTERVENTION_TYPES
            for anomaly_type in ANOMALY_TYPES
            if (sums := cells.get(cell_name(kind, anomaly_type))) is not None and sums.trials > 0
        }
    )


@lru_cache(maxsize=1024)
def _effect(same: _Same, anomaly_type: AnomalyType, action: ActionType) -> tuple[float, float]:
    """Return mean and standard deviation of what is known of an effect."""
    effects = _posterior(same).effects(anomaly_type, (action,))
    return effects.means[0], sqrt(effects.covariances[0][0])


@lru_cache(maxsize=1024)
def _shares(
    same: _Same, anomaly_type: AnomalyType, actions: tuple[ActionType, ...]
) -> Probabilities:
    if not actions:
        return {HOLD: MICRO}
    kinds: tuple[InterventionType, ...] = (HOLD, *actions)
    floors = (HOLD_FLOOR_MICRO, *(ACTION_FLOOR_MICRO for _ in actions))
    effects = _posterior(same).effects(anomaly_type, actions)
    best = probabilities_of_best((0.0, *effects.means), effects.independent_variances())
    rest = MICRO - sum(floors)
    shares = [floor + int(rest * p) for floor, p in zip(floors, best, strict=True)]
    shares[best.index(max(best))] += MICRO - sum(shares)
    return dict(zip(kinds, shares, strict=True))


def _moments(sums: CellSums) -> Moments:
    """Return means, and sums of squares about them; integers lose nothing to cancellation."""
    n = sums.trials
    return Moments(
        trials=n,
        before=sums.before / n / MICRO,
        after=sums.after / n / MICRO,
        before_squares=(n * sums.before_squared - sums.before**2) / n / MICRO**2,
        products=(n * sums.before_after - sums.before * sums.after) / n / MICRO**2,
        after_squares=(n * sums.after_squared - sums.after**2) / n / MICRO**2,
    )

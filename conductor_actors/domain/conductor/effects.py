"""What actions changed: the effect of each against doing nothing, with its 95 % interval.

For each action, trials of it and of HOLD are compared in a regression of the score after on the
action, the type of the anomaly and the score before. A trial weighs 1 / the probability with which
it was drawn, so each arm stands for all decisions, however its probability changed; the weights of
an arm are scaled to a mean of 1. The interval is of Student's t with HC3 errors, which hold when
noise differs between trials. Its degrees of freedom are Satterthwaite's: a few trials with much
weight make an estimate less sure than their number suggests.

Acting and suggesting are estimated apart: a suggestion counts whatever became of it. Trials of HOLD
are in both, if the action could have been drawn instead. No numpy: with one column to estimate,
means about the anomaly types and two projections are all that the regression takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import fsum, sqrt
from typing import Final, NamedTuple

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    ActionType,
    InterventionType,
    Origin,
)

MIN_TRIALS: Final = 10  # of each arm
ORIGINS: Final[tuple[Origin, ...]] = ("act", "suggest")

_Z: Final = 1.959963984540054  # 97.5 % of a standard normal are below
_TINY: Final = 1e-9


class Trial(NamedTuple):
    """A random choice whose outcome was measured.

    `origin` is `hold`, `act` or `suggest`. `probabilities` are those of all types that could be
    drawn, in any one unit.
    """

    type: InterventionType
    origin: Origin
    anomaly_type: AnomalyType
    before: float
    after: float
    probabilities: Mapping[InterventionType, float]


class Effect(msgspec.Struct, frozen=True):
    """The effect of an action on the score 30 to 120 s later, against doing nothing.

    `n` and `n_hold` count the trials that could be compared: after types of anomaly that both arms
    have. `effect`, `low` and `high` are None until `needed`, the number of such trials that are
    missing in both arms, is 0.
    """

    type: ActionType
    origin: Origin
    n: int
    n_hold: int
    effect: float | None
    low: float | None
    high: float | None
    needed: int


class Estimate(NamedTuple):
    """An estimated coefficient, its standard error and the degrees of freedom of the error."""

    value: float
    error: float
    freedom: float


def effects_of(trials: Sequence[Trial]) -> list[Effect]:
    """Return the effects of acting, then of suggesting, each by type of action."""
    return [_effect(trials, action, origin) for origin in ORIGINS for action in ACTIONS]


def _effect(trials: Sequence[Trial], action: ActionType, origin: Origin) -> Effect:
    arm, hold = _comparable(trials, action, origin)
    needed = sum(max(0, MIN_TRIALS - len(each)) for each in (arm, hold))
    effect = low = high = None
    if not needed and (found := _estimate(arm, hold)) is not None:
        effect, margin = found.value, t_quantile(found.freedom) * found.error
        low, high = effect - margin, effect + margin
    return Effect(
        action, origin, len(arm), len(hold), effect, low, high, needed or int(effect is None)
    )


def _comparable(
    trials: Sequence[Trial], action: ActionType, origin: Origin
) -> tuple[list[Trial], list[Trial]]:
    """Return the trials of the action and of HOLD, after types of anomaly that both have."""
    usable = [
        each
        for each in trials
        if each.probabilities.get(action, 0) > 0 and each.probabilities.get(each.type, 0) > 0
    ]
    arm = [each for each in usable if each.type == action and each.origin == origin]
    hold = [each for each in usable if each.type == HOLD]
    both = {each.anomaly_type for each in arm} & {each.anomaly_type for each in hold}
    return (
        [each for each in arm if each.anomaly_type in both],
        [each for each in hold if each.anomaly_type in both],
    )


def _estimate(arm: Sequence[Trial], hold: Sequence[Trial]) -> Estimate | None:
    """Regress the score after on the action; None if it always goes with the score before."""
    trials = [*arm, *hold]
    weights = [*_weights(arm), *_weights(hold)]
    types = [each.anomaly_type for each in trials]
    before = _centred([each.before for each in trials], weights, types)
    after = _centred([each.after for each in trials], weights, types)
    acted = _centred([1.0] * len(arm) + [0.0] * len(hold), weights, types)

    at_most = _TINY * _product(weights, acted, acted)
    acted = _residuals(acted, before, weights)
    squares = _product(weights, acted, acted)
    if squares <= at_most:
        return None
    effect = _product(weights, acted, after) / squares
    noise = _residuals(_residuals(after, before, weights), acted, weights)
    leverages = _leverages(weights, types, (before, acted))
    variances, expected = [], []
    for weight, a, e, leverage in zip(weights, acted, noise, leverages, strict=True):
        if leverage < 1 - _TINY:  # else the residual is 0, whatever the noise
            share = (weight * a / squares) ** 2 / (1 - leverage)
            variances.append(share * e**2 / (1 - leverage))
            expected.append(share)
    freedom = fsum(expected) ** 2 / fsum(share**2 for share in expected)
    return Estimate(effect, sqrt(fsum(variances)), freedom)


def _weights(arm: Sequence[Trial]) -> list[float]:
    raw = [1 / each.probabilities[each.type] for each in arm]
    mean = fsum(raw) / len(raw)
    return [weight / mean for weight in raw]


def _centred(
    values: Sequence[float], weights: Sequence[float], types: Sequence[AnomalyType]
) -> list[float]:
    """Return the values about the weighted mean of their type of anomaly."""
    means = {}
    for kind in set(types):
        chosen = [(w, v) for w, v, each in zip(weights, values, types, strict=True) if each == kind]
        means[kind] = fsum(w * v for w, v in chosen) / fsum(w for w, _ in chosen)
    return [value - means[kind] for value, kind in zip(values, types, strict=True)]


def _residuals(
    values: Sequence[float], on: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """Return what is left of the values after their regression on one other column."""
    squares = _product(weights, on, on)
    slope = _product(weights, on, values) / squares if squares > _TINY else 0.0
    return [value - slope * other for value, other in zip(values, on, strict=True)]


def _leverages(
    weights: Sequence[float], types: Sequence[AnomalyType], columns: Sequence[Sequence[float]]
) -> Iterator[float]:
    """Return how much each trial determines its own fit, 0…1; the columns are orthogonal."""
    totals = {
        kind: fsum(w for w, each in zip(weights, types, strict=True) if each == kind)
        for kind in set(types)
    }
    squares = [_product(weights, column, column) for column in columns]
    for index, (weight, kind) in enumerate(zip(weights, types, strict=True)):
        shares = (
            column[index] ** 2 / square
            for column, square in zip(columns, squares, strict=True)
            if square > _TINY
        )
        yield weight * (1 / totals[kind] + fsum(shares))


def _product(weights: Sequence[float], left: Sequence[float], right: Sequence[float]) -> float:
    return fsum(w * a * b for w, a, b in zip(weights, left, right, strict=True))


def t_quantile(freedom: float) -> float:
    """Return the value that 97.5 % of Student's t are below, to 5 digits from 10 degrees on.

    Source: the expansion about the normal quantile, Abramowitz and Stegun 26.7.5.
    """
    z2 = _Z * _Z
    terms = (
        1.0,
        (z2 + 1) / 4,
        ((5 * z2 + 16) * z2 + 3) / 96,
        (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384,
        ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160,
    )
    return _Z * fsum(term / freedom**power for power, term in enumerate(terms))

"""What the trials say about effects: a normal model with two levels, solved exactly.

The score after a trial is that of doing nothing plus the effect of the action, plus noise:

    after = level + nothing[anomaly type] + slope · (before - level)       without an action
          + action[type] + deviation[type, anomaly type]                   with one

All terms are normal with mean 0, so what is not known yet is shrunk to no change and no effect.
Actions tell about doing nothing as well: what all of them have in common is no effect. Slope and
noise are pooled over all cells, within each, and are taken as known.
"""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Final, NamedTuple, TypeAlias

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES, AnomalyType
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    ActionType,
    InterventionType,
)

# Scores before and after anomalies of the sessions that the detector is judged on.
LEVEL: Final = 0.4
SLOPE: Final = 0.5
BEFORE_DEVIATION: Final = 0.15
SLOPE_TRIALS: Final = 5  # what the slope above is worth

NOISE_DEVIATION: Final = 0.06
NOISE_TRIALS: Final = 5  # what the noise above is worth

CHANGE_VARIANCE: Final = 0.15**2  # by which the score changes without an action, whatever the type
TYPE_CHANGE_VARIANCE: Final = 0.10**2  # and further by the type of the anomaly
ACTION_VARIANCE: Final = 0.05**2
DEVIATION_VARIANCE: Final = 0.03**2  # of an action's effect by the type of the anomaly

MAX_SHARED: Final = 0.9  # of the smallest variance of an effect

_NOTHING: Final = {kind: index for index, kind in enumerate(ANOMALY_TYPES)}
_ACTION: Final = {kind: len(ANOMALY_TYPES) + index for index, kind in enumerate(ACTIONS)}
_SIZE: Final = len(ANOMALY_TYPES) + len(ACTIONS)

Matrix: TypeAlias = list[list[float]]


class Moments(NamedTuple):
    """Means of the trials of a cell, and sums of squares and products about them."""

    trials: int
    before: float
    after: float
    before_squares: float
    products: float
    after_squares: float


Cells: TypeAlias = Mapping[tuple[InterventionType, AnomalyType], Moments]


class JointEffects(NamedTuple):
    """The effects of some actions after a type of anomaly: means and covariances."""

    means: Sequence[float]
    covariances: Sequence[Sequence[float]]

    def independent_variances(self) -> list[float]:
        """Return variances of independent values: of doing nothing first, then of each action.

        What effects have in common is what is not known about doing nothing.
        """
        own = [row[index] for index, row in enumerate(self.covariances)]
        pairs = len(own) * (len(own) - 1)
        others = fsum(map(fsum, self.covariances)) - fsum(own)
        shared = others / pairs if pairs else 0.0
        shared = max(0.0, min(shared, MAX_SHARED * min(own)))
        return [shared, *(variance - shared for variance in own)]


class Posterior(NamedTuple):
    """What is known from the trials so far.

    `cells` has for each action after each type of anomaly how much its own trials weigh against
    those of other types, 0…1, and the change they gave.
    """

    slope: float
    means: Sequence[float]
    covariances: Matrix
    cells: Mapping[tuple[InterventionType, AnomalyType], tuple[float, float]]

    def without_action(self, anomaly_type: AnomalyType, before: float) -> float:
        """Return the expected score after doing nothing; it may be outside 0…1."""
        return LEVEL + self.means[_NOTHING[anomaly_type]] + self.slope * (before - LEVEL)

    def effects(self, anomaly_type: AnomalyType, actions: Sequence[ActionType]) -> JointEffects:
        """Return the effects of the actions against doing nothing."""
        nothing, matrix = _NOTHING[anomaly_type], self.covariances
        parts = []
        for action in actions:
            weight, change = self.cells.get((action, anomaly_type), (0.0, 0.0))
            parts.append((_ACTION[action], weight, change))
        means = [
            (1 - weight) * self.means[action] + weight * (change - self.means[nothing])
            for action, weight, change in parts
        ]
        covariances = [
            [
                (1 - w) * (1 - v) * matrix[a][b]
                - (1 - w) * v * matrix[a][nothing]
                - w * (1 - v) * matrix[nothing][b]
                + w * v * matrix[nothing][nothing]
                + ((1 - w) * DEVIATION_VARIANCE if a == b else 0.0)
                for b, v, _ in parts
            ]
            for a, w, _ in parts
        ]
        return JointEffects(means, covariances)


def posterior(cells: Cells) -> Posterior:
    """Return what the moments of all cells with trials say."""
    slope = _slope(cells)
    noise = _noise(cells, slope)
    precision, right = _prior(), [0.0] * _SIZE
    weights: dict[tuple[InterventionType, AnomalyType], tuple[float, float]] = {}
    for (kind, anomaly_type), cell in cells.items():
        change = cell.after - LEVEL - slope * (cell.before - LEVEL)
        variance = noise / cell.trials
        terms = [_NOTHING[anomaly_type]]
        if kind != HOLD:
            weight = DEVIATION_VARIANCE / (DEVIATION_VARIANCE + variance)
            weights[kind, anomaly_type] = weight, change
            variance += DEVIATION_VARIANCE
            terms.append(_ACTION[kind])
        for row in terms:
            right[row] += change / variance
            for column in terms:
                precision[row][column] += 1 / variance
    covariances = _inverse(precision)
    means = [fsum(map(float.__mul__, row, right)) for row in covariances]
    return Posterior(slope, means, covariances, weights)


def _slope(cells: Cells) -> float:
    prior = SLOPE_TRIALS * BEFORE_DEVIATION**2
    squares = fsum(cell.before_squares for cell in cells.values())
    products = fsum(cell.products for cell in cells.values())
    return (prior * SLOPE + products) / (prior + squares)


def _noise(cells: Cells, slope: float) -> float:
    squares = NOISE_TRIALS * NOISE_DEVIATION**2
    trials = NOISE_TRIALS
    for cell in cells.values():
        trials += cell.trials - 1
        squares += cell.after_squares - slope * (2 * cell.products - slope * cell.before_squares)
    return squares / trials


def _prior() -> Matrix:
    """Return the prior precisions; changes without an action have one part in common."""
    count = len(ANOMALY_TYPES)
    shared = CHANGE_VARIANCE / (TYPE_CHANGE_VARIANCE + count * CHANGE_VARIANCE)
    matrix = [[0.0] * _SIZE for _ in range(_SIZE)]
    for row in range(count):
        for column in range(count):
            matrix[row][column] = ((row == column) - shared) / TYPE_CHANGE_VARIANCE
    for row in range(count, _SIZE):
        matrix[row][row] = 1 / ACTION_VARIANCE
    return matrix


def _inverse(matrix: Matrix) -> Matrix:
    """Invert a positive definite matrix in place, by Gauss and Jordan; pivots are positive."""
    for pivot in range(_SIZE):
        row = matrix[pivot]
        scale = 1 / row[pivot]
        row[pivot] = 1.0
        matrix[pivot] = row = [value * scale for value in row]
        for index, other in enumerate(matrix):
            if index != pivot:
                factor = other[pivot]
                other[pivot] = 0.0
                matrix[index] = [a - factor * b for a, b in zip(other, row, strict=True)]
    return matrix

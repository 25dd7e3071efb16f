"""Which of several independent normal values is the largest: the probability of each."""

from collections.abc import Sequence
from math import erfc, fsum, prod, sqrt
from typing import Final

MIN_DEVIATION: Final = 1e-6  # so that a known value is a normal one, too
NODES: Final = tuple(z / 2 for z in range(-10, 11))  # of each value, in deviations from its mean


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal value is at most `z`."""
    return 0.5 * erfc(-z / sqrt(2))


def probabilities_of_best(means: Sequence[float], variances: Sequence[float]) -> list[float]:
    """Return for each value the probability that it is the largest; they add up to 1.

    The integral of each density times the distributions of the others is taken over nodes that all
    values contribute to, so a narrow one between wide ones is resolved as well.
    """
    deviations = [max(MIN_DEVIATION, sqrt(variance)) for variance in variances]
    values = list(zip(means, deviations, strict=True))
    nodes = sorted(mean + deviation * z for mean, deviation in values for z in NODES)
    below = [
        [normal_cdf((node - mean) / deviation) for node in nodes] for mean, deviation in values
    ]
    weights = [_integral(below, which) for which in range(len(values))]
    total = fsum(weights)
    return [weight / total for weight in weights]


def _integral(below: Sequence[Sequence[float]], which: int) -> float:
    """Add up the probability of each interval times that of all others being below it."""
    own = below[which]
    others = [prod(at[:which]) * prod(at[which + 1 :]) for at in zip(*below, strict=True)]
    return fsum(
        (own[k + 1] - own[k]) * (others[k] + others[k + 1]) / 2 for k in range(len(own) - 1)
    )

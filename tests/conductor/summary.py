"""What many repetitions of a scenario add up to."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import exp, lgamma, log, sqrt
from typing import Final, NamedTuple

from tests.conductor.game import CHANCE, Logged, Repetition

PROBABILITY_EDGES: Final = (0.0, 0.0205, 0.03, 0.06, 0.1005, 0.13, 0.2, 0.3, 0.5, 0.7, 1.0)
MIN_EXPECTED: Final = 5.0  # draws in a bin


class Share(NamedTuple):
    """A share with its standard error."""

    value: float
    error: float


class Calibration(NamedTuple):
    """Chi-square of draws against their logged probabilities."""

    statistic: float
    bins: int

    @property
    def p_value(self) -> float:
        return chi_square_above(self.statistic, self.bins)


def regret_share(repetitions: Sequence[Repetition], player: str, decisions: int) -> Share:
    """Return the regret of a player as a share of random's."""
    of = [each.regret[player][decisions - 1] for each in repetitions]
    random = [each.regret[CHANCE][decisions - 1] for each in repetitions]
    ratio = sum(of) / sum(random)
    spread = sum((a - ratio * b) ** 2 for a, b in zip(of, random, strict=True))
    return Share(ratio, sqrt(spread) / sum(random))


def coverage(repetitions: Sequence[Repetition]) -> Share:
    """Return the share of intervals that contain the truth; errors are by repetition."""
    counts = [
        (sum(each.is_covering for each in one.intervals), len(one.intervals)) for one in repetitions
    ]
    total = sum(of for _, of in counts)
    share = sum(covering for covering, _ in counts) / total
    spread = sum((covering - share * of) ** 2 for covering, of in counts)
    return Share(share, sqrt(spread) / total)


def calibration(repetitions: Sequence[Repetition]) -> Calibration:
    """Compare draws with their probabilities, in bins of the probability."""
    bins: list[list[Logged]] = [[] for _ in pairwise(PROBABILITY_EDGES)]
    for one in repetitions:
        for each in one.logged:
            last = len(bins) - 1
            bins[min(last, bisect_right(PROBABILITY_EDGES, each.probability) - 1)].append(each)
    statistic, used = 0.0, 0
    for members in bins:
        expected = sum(each.probability for each in members)
        if expected >= MIN_EXPECTED:
            drawn = sum(each.is_drawn for each in members)
            variance = sum(each.probability * (1 - each.probability) for each in members)
            statistic += (drawn - expected) ** 2 / variance
            used += 1
    return Calibration(statistic, used)


def chi_square_above(statistic: float, freedom: int) -> float:
    """Return the probability of a larger value: 1 less the series of the incomplete gamma."""
    x, a = statistic / 2, freedom / 2
    if x <= 0:
        return 1.0
    term = total = 1 / a
    n = a
    while term > total * 1e-15:
        n += 1
        term *= x / n
        total += term
    return max(0.0, 1 - total * exp(-x + a * log(x) - lgamma(a)))

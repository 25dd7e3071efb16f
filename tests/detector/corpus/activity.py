"""When people write and react: a self-exciting process whose rate follows the programme."""

from collections.abc import Sequence
from random import Random


def self_exciting_times(
    rng: Random, per_s: float, factors: Sequence[float], excitation: float, answer_s: float
) -> list[float]:
    """Draw the times of a Hawkes process in seconds, in no order.

    Events that answer none follow the factors of each second. Each event is answered by
    `excitation` others in the mean, after a delay that is exponential.
    """
    times = _times(rng, per_s * (1 - excitation), factors)
    expovariate, random, end_s = rng.expovariate, rng.random, len(factors)
    for at_s in times:  # which grows meanwhile, so that answers are answered
        # A geometric number has the same mean as a Poisson one, and a longer tail.
        while random() * (1 + excitation) < excitation:
            answer_at_s = at_s + expovariate(1 / answer_s)
            if answer_at_s < end_s:
                times.append(answer_at_s)
    return times


def _times(rng: Random, per_s: float, factors: Sequence[float]) -> list[float]:
    """Draw the times of a Poisson process with a rate for each second."""
    times: list[float] = []
    left = rng.expovariate(1.0)
    for second, factor in enumerate(factors):
        mean = per_s * factor
        passed = left
        while passed < mean:
            times.append(second + passed / mean)
            passed += rng.expovariate(1.0)
        left = passed - mean
    return times

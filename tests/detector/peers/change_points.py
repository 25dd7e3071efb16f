"""Bayesian online change points of the counts of events (Adams and MacKay, 2007).

Poisson with a Gamma prior, and tempered, because chat is burstier than a Poisson process.
"""

from math import exp, lgamma, log, log1p
from typing import Final

from tests.detector.detectors import Replayed, rising
from tests.detector.judge import Alarm

HAZARD: Final = 1 / 360  # a change every half an hour
MAX_RUN: Final = 120  # ticks, ten minutes
NEW_RUN: Final = 24  # ticks, within which a change counts as new
DISPERSION: Final = 2.5
KEPT: Final = 0.3  # of the events before
CERTAIN: Final = 0.97


def change_points(seen: Replayed) -> list[Alarm]:
    """Report where the counts have most likely fallen to less than a third."""
    runs, is_alarming = _Runs(), []
    for number, events in enumerate(seen.events):
        has_fallen = runs.add(events)
        is_alarming.append(number >= 30 and has_fallen)
    return rising(seen, is_alarming)


class _Runs:
    """How likely the last change was so many ticks ago, and the counts since then."""

    def __init__(self) -> None:
        self._logs = [0.0]  # of the probability of each length
        self._sums = [1.0]  # of counts, with the prior's
        self._lengths = [1.0]

    def add(self, events: int) -> bool:
        """Add the count of a tick; return whether it has fallen for sure."""
        logs = [
            before + _log_predictive(events, total, length) / DISPERSION
            for before, total, length in zip(self._logs, self._sums, self._lengths, strict=True)
        ]
        highest = max(logs)
        changed = highest + log(sum(exp(each - highest) for each in logs)) + log(HAZARD)
        grown = [each + log1p(-HAZARD) for each in logs]
        scale = max(changed, *grown)
        mass = scale + log(exp(changed - scale) + sum(exp(each - scale) for each in grown))
        self._logs = [each - mass for each in (changed, *grown)][: MAX_RUN + 1]
        self._sums = [1.0, *(each + events for each in self._sums)][: MAX_RUN + 1]
        self._lengths = [1.0, *(each + 1 for each in self._lengths)][: MAX_RUN + 1]
        return self._has_fallen()

    def _has_fallen(self) -> bool:
        """Add up the runs so short that what was before them is still known, and much more."""
        certain, longest = 0.0, len(self._sums) - 1
        for run in range(1, min(NEW_RUN, longest)):
            before = (self._sums[longest] - self._sums[run]) / (longest - run)
            if self._sums[run] - 1 < KEPT * before * run:
                certain += exp(self._logs[run])
        return certain >= CERTAIN


def _log_predictive(events: int, total: float, length: float) -> float:
    """Return the logarithm of a negative binomial probability."""
    return (
        lgamma(total + events)
        - lgamma(total)
        - lgamma(events + 1)
        + total * log(length / (length + 1))
        - events * log(length + 1)
    )

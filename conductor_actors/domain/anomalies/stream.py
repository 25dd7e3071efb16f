"""The usual events of one kind, chat messages or reactions."""

from math import sqrt
from typing import Final

from conductor_actors.domain.anomalies.packed_detector import Packed

MAX_DISPERSION: Final = 6.0


class Stream:
    """The means of the events per second.

    `spread` is the mean square difference of neighbouring bins, which slow changes leave alone.
    `dispersion` is the variance of a count as a multiple of its mean.
    """

    __slots__ = ("dispersion", "fast", "last", "slow", "spread")

    def __init__(
        self, fast: float = 0.0, slow: float = 0.0, spread: float = 0.0, last: float = 0.0
    ) -> None:
        self.fast = fast
        self.slow = slow
        self.spread = spread
        self.last = last  # the count of the last bin
        self.dispersion = _dispersion(slow, spread)

    def learn(self, count: float, seconds: int, fast: float, slow: float) -> None:
        """Move the means towards a bin by these weights; a burst counts only in part."""
        slow_mean = self.slow
        if not count and not slow_mean:
            return  # there was never an event
        if slow < fast:  # no longer among the first bins
            usual = slow_mean * seconds
            most = usual + 4.0 * sqrt(self.dispersion * usual) + 2.0
            if most < count:
                count = most
        change, self.last = count - self.last, count
        spread, per_s = self.spread, count / seconds
        spread += slow * (change * change / (2.0 * seconds) - spread)
        slow_mean += slow * (per_s - slow_mean)
        self.fast += fast * (per_s - self.fast)
        self.slow, self.spread = slow_mean, spread
        self.dispersion = _dispersion(slow_mean, spread)

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (self.fast, self.slow, self.spread, self.last)


def _dispersion(mean: float, spread: float) -> float:
    if mean <= 0.0 or spread <= mean:
        return 1.0
    dispersion = spread / mean
    return dispersion if dispersion < MAX_DISPERSION else MAX_DISPERSION


NO_EVENTS: Final = Stream()  # is replaced, and learns nothing: most sessions have one kind or none

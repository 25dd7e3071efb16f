"""How fast something goes on, from what lines say about it."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(seconds=15)
MOST_STEPS: Final = 1000

_NO_TIME: Final = timedelta(0)


class CounterRate:
    """The rate of a counter that only grows, or begins anew with its process."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self.per_s: float | None = None

    def take(self, at: datetime, total: float) -> None:
        """Take a reading."""
        if self._last is not None:
            over_s = (at - self._last[0]).total_seconds()
            if over_s <= 0:
                return
            self.per_s = (total - self._last[1]) / over_s if total >= self._last[1] else None
        self._last = at, total


class StepRate:
    """The rate of amounts, each of which came since the one before it."""

    def __init__(self) -> None:
        self._counter = CounterRate()
        self._total = 0

    @property
    def per_s(self) -> float | None:
        """Amount a second between the last two."""
        return self._counter.per_s

    def take(self, at: datetime, amount: int) -> None:
        """Take an amount."""
        self._total += amount
        self._counter.take(at, self._total)


class WindowRate:
    """The rate of amounts that come now and then: over 15 s, in which three ticks fall."""

    def __init__(self) -> None:
        self._steps: deque[tuple[datetime, int]] = deque(maxlen=MOST_STEPS)

    def take(self, at: datetime, amount: int) -> None:
        """Take an amount."""
        self._steps.append((at, amount))

    def per_s(self, now: datetime) -> float | None:
        """Amount a second; None before the first."""
        if not self._steps:
            return None
        recent = sum(amount for at, amount in self._steps if _NO_TIME <= now - at < WINDOW)
        return recent / WINDOW.total_seconds()

"""Rates per second, computed from the counters and amounts in log events."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

RATE_WINDOW: Final = timedelta(seconds=15)  # three ticks
MAX_AMOUNTS: Final = 1000

_NO_TIME: Final = timedelta(0)


class CounterRate:
    """The rate of a counter that only grows, or restarts from 0 with its process."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self.per_s: float | None = None

    def add(self, at: datetime, total: float) -> None:
        """Add a value of the counter."""
        if self._last is not None:
            over_s = (at - self._last[0]).total_seconds()
            if over_s <= 0:
                return
            self.per_s = (total - self._last[1]) / over_s if total >= self._last[1] else None
        self._last = at, total


class StepRate:
    """The rate of amounts that are reported one after the other, such as events routed."""

    def __init__(self) -> None:
        self._counter = CounterRate()
        self._total = 0
        self.per_s: float | None = None

    def add(self, at: datetime, amount: int) -> None:
        """Add an amount."""
        self._total += amount
        self._counter.add(at, self._total)
        self.per_s = self._counter.per_s


class WindowRate:
    """The rate of amounts that come at irregular times, averaged over `RATE_WINDOW`."""

    def __init__(self) -> None:
        self._amounts: deque[tuple[datetime, int]] = deque(maxlen=MAX_AMOUNTS)

    def add(self, at: datetime, amount: int) -> None:
        """Add an amount."""
        self._amounts.append((at, amount))

    def add_all(self, other: "WindowRate") -> None:
        """Add the amounts of another rate."""
        self._amounts += other._amounts  # noqa: SLF001 - of the same class

    def per_s(self, now: datetime) -> float | None:
        """Return the amount per second; None before the first amount."""
        if not self._amounts:
            return None
        recent = sum(amount for at, amount in self._amounts if _NO_TIME <= now - at < RATE_WINDOW)
        return recent / RATE_WINDOW.total_seconds()

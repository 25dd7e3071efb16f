"""Rolling windows over event time: constant time per event, bounded by what a window can hold.

All take times that never go back, in milliseconds; a window at `t` is `[t - length, t)`.
"""

from collections import deque
from itertools import islice, repeat


class CountWindow:
    """Count events of the last `length_s` seconds: a deque of one-second counts and their sum."""

    __slots__ = ("counts", "newest_s", "total")

    def __init__(self, length_s: int) -> None:
        self.counts: deque[int] = deque(maxlen=length_s)
        self.newest_s = 0
        self.total = 0

    def add(self, at_ms: int) -> None:
        """Count one event."""
        second = at_ms // 1000
        if second != self.newest_s or not self.counts:
            self._slide_to(second)
        self.counts[-1] += 1
        self.total += 1

    def expire(self, at_ms: int) -> None:
        """Forget what a window ending at `at_ms`, a whole second, no longer holds."""
        if self.total:
            self._slide_to(at_ms // 1000 - 1)

    def copy(self) -> "CountWindow":
        """Make one that can go its own way."""
        twin = CountWindow.__new__(CountWindow)
        twin.counts = self.counts.copy()
        twin.newest_s = self.newest_s
        twin.total = self.total
        return twin

    def _slide_to(self, second: int) -> None:
        counts = self.counts
        length_s = counts.maxlen or 0
        ahead = second - self.newest_s
        if not counts or ahead >= length_s:
            counts.clear()
            counts.append(0)
            self.total = 0
        else:
            leaving = len(counts) + ahead - length_s
            if leaving > 0:
                self.total -= sum(islice(counts, leaving))
            counts.extend(repeat(0, ahead))
        self.newest_s = second


class RecencyWindow:
    """Remember keys for `length_ms` after a moment of theirs: who was active, what was said.

    A dict in the order of those moments, so that only what expires is ever looked at.
    """

    __slots__ = ("length_ms", "moments")

    def __init__(self, length_ms: int, moments: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.moments: dict[str, int] = {} if moments is None else moments

    def touch(self, key: str, at_ms: int) -> None:
        """Remember the key from `at_ms` on."""
        moments = self.moments
        if key in moments:
            del moments[key]  # so that it moves to the end
        moments[key] = at_ms

    def holds(self, key: str, at_ms: int) -> bool:
        """Tell whether the key's moment is less than one window before `at_ms`."""
        moment = self.moments.get(key)
        return moment is not None and at_ms - moment < self.length_ms

    def forget(self, key: str) -> None:
        """Drop the key, known or not."""
        self.moments.pop(key, None)

    def expire(self, at_ms: int) -> None:
        """Forget every key whose moment is before the window ending at `at_ms`."""
        horizon = at_ms - self.length_ms
        expired = []
        for key, moment in self.moments.items():
            if moment >= horizon:
                break
            expired.append(key)
        for key in expired:
            del self.moments[key]

    def copy(self) -> "RecencyWindow":
        """Make one that can go its own way."""
        return RecencyWindow(self.length_ms, self.moments.copy())

"""Rolling windows over event time: constant time per event, bounded by what a window can hold.

All take times that never go back, in milliseconds; a window at `t` is `[t - length, t)`.
"""

from collections import deque
from itertools import islice, repeat


class CountWindow:
    """Count events of the last `length_s` seconds: a deque of one-second counts and their sum.

    There is none while there is nothing to count: most sessions are idle, and it takes 624 bytes.
    """

    __slots__ = ("counts", "length_s", "newest_s", "total")

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self.counts: deque[int] | None = None
        self.newest_s = 0
        self.total = 0

    def add(self, at_ms: int) -> None:
        """Count one event."""
        second = at_ms // 1000
        if self.counts is None:
            self.counts = deque((1,), self.length_s)
            self.newest_s = second
        else:
            if second != self.newest_s:
                self._slide_to(self.counts, second)
            self.counts[-1] += 1
        self.total += 1

    def expire(self, at_ms: int) -> None:
        """Forget what a window ending at `at_ms`, a whole second, no longer holds."""
        if self.counts is not None:
            self._slide_to(self.counts, at_ms // 1000 - 1)
            if not self.total:
                self.counts = None

    def copy(self) -> "CountWindow":
        """Make one that can go its own way."""
        twin = CountWindow(self.length_s)
        twin.counts = None if self.counts is None else self.counts.copy()
        twin.newest_s = self.newest_s
        twin.total = self.total
        return twin

    def _slide_to(self, counts: deque[int], second: int) -> None:
        ahead = second - self.newest_s
        if ahead >= self.length_s:
            counts.clear()
            counts.append(0)
            self.total = 0
        else:
            leaving = len(counts) + ahead - self.length_s
            if leaving > 0:
                self.total -= sum(islice(counts, leaving))
            counts.extend(repeat(0, ahead))
        self.newest_s = second


class RepeatWindow:
    """Detects repeats: remembers keys for less than `length_ms` after they came first.

    A dict in the order of those moments, so that only what expires is ever looked at.
    """

    __slots__ = ("length_ms", "moments")

    def __init__(self, length_ms: int, moments: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.moments: dict[str, int] = {} if moments is None else moments

    def is_repeat(self, key: str, at_ms: int) -> bool:
        """Check whether the key came within one length before `at_ms`; if not, remember it."""
        moment = self.moments.get(key)
        if moment is not None:
            if at_ms - moment < self.length_ms:
                return True
            del self.moments[key]  # so that it moves to the end
        self.moments[key] = at_ms
        return False

    def expire(self, at_ms: int) -> None:
        """Forget every key whose moment is before the window ending at `at_ms`."""
        horizon = at_ms - self.length_ms
        expired = []
        for key, moment in self.moments.items():
            if moment >= horizon:
                break
            expired.append(key)
        if len(expired) == len(self.moments):
            self.moments = {}  # a dict does not give back the room of what is deleted
        else:
            for key in expired:
                del self.moments[key]

    def copy(self) -> "RepeatWindow":
        """Make one that can go its own way."""
        return RepeatWindow(self.length_ms, self.moments.copy())


class PresenceWindow:
    """Remember keys for `length_ms` after their last moment: who was active, who has left.

    Whoever sees a key sets its moment: `window.moments[key] = at_ms`, which keeps the string that
    is there already, shared with other dicts.
    """

    __slots__ = ("length_ms", "moments")

    def __init__(self, length_ms: int, moments: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.moments: dict[str, int] = {} if moments is None else moments

    def forget(self, key: str) -> None:
        """Drop the key, known or not."""
        self.moments.pop(key, None)

    def expire(self, at_ms: int) -> None:
        """Forget every key whose moment is before the window ending at `at_ms`."""
        horizon = at_ms - self.length_ms
        moments = self.moments
        if moments and min(moments.values()) < horizon:
            self.moments = {key: moment for key, moment in moments.items() if moment >= horizon}

    def copy(self) -> "PresenceWindow":
        """Make one that can go its own way."""
        return PresenceWindow(self.length_ms, self.moments.copy())

"""Rolling windows over event time: constant time per event, bounded by what a window can hold.

Times are milliseconds and never go back; a window at `t` is `[t - length, t)`.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice, repeat


class CountWindow:
    """Counts the events of the last `length_s` seconds: one count a second, and their sum.

    There is no deque while there is nothing to count: most sessions are idle, and it has 624 bytes.
    """

    __slots__ = ("counts", "length_s", "newest_s", "total")

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self.counts: deque[int] | None = None
        self.newest_s = 0
        self.total = 0

    def add(self, times_ms: Sequence[int]) -> None:
        """Count events, in the order of their times."""
        if self.counts is None:
            self.counts = deque((0,), self.length_s)
            self.newest_s = times_ms[0] // 1000
        counts, newest_s = self.counts, self.newest_s
        for at_ms in times_ms:
            second = at_ms // 1000
            if second != newest_s:
                self._slide_to(counts, second)
                newest_s = second
            counts[-1] += 1
        self.total += len(times_ms)

    def expire(self, at_ms: int) -> None:
        """Drop what is before the window that ends at `at_ms`, a whole second."""
        if self.counts is not None:
            self._slide_to(self.counts, at_ms // 1000 - 1)
            if not self.total:
                self.counts = None

    def copy(self) -> "CountWindow":
        """Return an independent copy."""
        copy = CountWindow(self.length_s)
        copy.counts = None if self.counts is None else self.counts.copy()
        copy.newest_s = self.newest_s
        copy.total = self.total
        return copy

    def _slide_to(self, counts: deque[int], second: int) -> None:
        ahead = second - self.newest_s
        if ahead >= self.length_s:
            self.total -= sum(counts)  # not to 0: what is being added is not in it yet
            counts.clear()
            counts.append(0)
        else:
            leaving = len(counts) + ahead - self.length_s
            if leaving > 0:
                self.total -= sum(islice(counts, leaving))
            counts.extend(repeat(0, ahead))
        self.newest_s = second


class RepeatWindow:
    """Detects repeats of a key within less than `length_ms` after it came first.

    A dict in the order of those times, so that only what expires is visited.
    """

    __slots__ = ("length_ms", "times_ms")

    def __init__(self, length_ms: int, times_ms: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.times_ms: dict[str, int] = {} if times_ms is None else times_ms

    def is_repeat(self, key: str, at_ms: int, new: dict[str, int]) -> bool:
        """Check whether the key came within one length before `at_ms`; if not, add it to `new`.

        `new` has the keys since the last `update`.
        """
        first_ms = new.get(key)
        if first_ms is None:
            first_ms = self.times_ms.get(key)
        elif at_ms - first_ms >= self.length_ms:
            del new[key]  # so that it moves to the end
        if first_ms is not None and at_ms - first_ms < self.length_ms:
            return True
        new[key] = at_ms
        return False

    def update(self, new: dict[str, int]) -> None:
        """Add the keys that `is_repeat` has added to `new`."""
        times_ms = self.times_ms
        if not times_ms.keys().isdisjoint(new):
            for key in new:
                times_ms.pop(key, None)  # so that it moves to the end
        times_ms.update(new)

    def expire(self, at_ms: int) -> None:
        """Drop every key that is before the window that ends at `at_ms`."""
        begin_ms = at_ms - self.length_ms
        expired = []
        for key, first_ms in self.times_ms.items():
            if first_ms >= begin_ms:
                break
            expired.append(key)
        if len(expired) == len(self.times_ms):
            self.times_ms = {}  # a dict does not shrink when keys are deleted
        else:
            for key in expired:
                del self.times_ms[key]

    def copy(self) -> "RepeatWindow":
        """Return an independent copy."""
        return RepeatWindow(self.length_ms, self.times_ms.copy())


class PresenceWindow:
    """Remembers keys for `length_ms` after their last time: who was active, who has left.

    Callers set the time themselves, `window.times_ms[key] = at_ms`, which keeps the string that is
    the key already, shared with other dicts.
    """

    __slots__ = ("length_ms", "times_ms")

    def __init__(self, length_ms: int, times_ms: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.times_ms: dict[str, int] = {} if times_ms is None else times_ms

    def forget(self, key: str) -> None:
        """Drop the key, known or not."""
        self.times_ms.pop(key, None)

    def expire(self, at_ms: int) -> None:
        """Drop every key that is before the window that ends at `at_ms`."""
        begin_ms = at_ms - self.length_ms
        times_ms = self.times_ms
        if times_ms and min(times_ms.values()) < begin_ms:
            self.times_ms = {key: last for key, last in times_ms.items() if last >= begin_ms}

    def copy(self) -> "PresenceWindow":
        """Return an independent copy."""
        return PresenceWindow(self.length_ms, self.times_ms.copy())

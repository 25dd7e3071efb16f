"""Rolling windows over event time: constant time per event, bounded by what a window can hold.

Times are milliseconds and never go back; a window at `t` is `[t - length, t)`.
"""

from bisect import bisect_left
from functools import lru_cache
from typing import Any, Final, Self, TypeAlias

NEVER_MS: Final = 1 << 60

# What an empty window has, which is replaced when a key comes: most windows are empty, and a dict
# has 64 bytes.
NO_TIMES: Final[dict[str, int]] = {}

# Milliseconds. Compiled code copies an `int` into a new object for each place that stores it.
SharedMs: TypeAlias = Any


class CountWindow:
    """Counts the events of the last `length_s` seconds: one count a second, and their sum.

    There is no list while there is nothing to count: most sessions are idle, and it has 568 bytes.
    """

    __slots__ = ("counts", "length_s", "newest_s", "total")

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self.counts: list[int] | None = None  # the newest last
        self.newest_s = 0
        self.total = 0

    def add(self, times_ms: list[int]) -> None:
        """Count events, in the order of their times."""
        if self.counts is None:
            self.counts = [0]
            self.newest_s = times_ms[0] // 1000
        counts, begin, end = self.counts, 0, len(times_ms)
        while begin < end:
            first, at_ms = begin, times_ms[begin]
            second, next_ms = at_ms // 1000, at_ms - at_ms % 1000 + 1000
            begin += 1
            if begin < end and times_ms[begin] < next_ms:
                begin = bisect_left(times_ms, next_ms, begin + 1)
            if second != self.newest_s:
                self._slide_to(counts, second)
            counts[-1] += begin - first
            self.total += begin - first

    def with_events(self, times_ms: list[int]) -> "CountWindow":
        """Return the window with these events; an empty one, which may be shared, is left so."""
        window = CountWindow(self.length_s) if self.counts is None else self
        window.add(times_ms)
        return window

    def expire(self, at_ms: int) -> None:
        """Drop what is before the window that ends at `at_ms`, a whole second."""
        if self.counts is not None:
            self._slide_to(self.counts, at_ms // 1000 - 1)
            if not self.total:
                self.counts = None

    def expires_ms(self) -> int:
        """Return the first tick at which `expire` changes the sum; `NEVER_MS` without events."""
        if self.counts is None:
            return NEVER_MS
        oldest_s = self.newest_s - len(self.counts) + 1
        for events in self.counts:
            if events:
                break
            oldest_s += 1
        return (oldest_s + self.length_s + 1) * 1000

    def last(self, seconds: int, at_ms: int) -> list[int]:
        """Return the counts of the seconds before `at_ms`, in order; no event is later."""
        counts, behind = self.counts, at_ms // 1000 - 1 - self.newest_s
        if counts is None or behind >= seconds:
            return [0] * seconds
        last = counts[max(0, len(counts) + behind - seconds) :]
        return [0] * (seconds - behind - len(last)) + last + [0] * behind

    def copy(self) -> "CountWindow":
        """Return an independent copy."""
        copy = CountWindow(self.length_s)
        copy.counts = None if self.counts is None else self.counts.copy()
        copy.newest_s = self.newest_s
        copy.total = self.total
        return copy

    def _slide_to(self, counts: list[int], second: int) -> None:
        ahead = second - self.newest_s
        leaving = len(counts) + ahead - self.length_s
        if ahead >= self.length_s:
            counts[:] = [0]
            self.total = 0
        elif ahead == 1:  # most often; the other way takes twice as long for it
            if leaving > 0:
                self.total -= counts.pop(0)
            counts.append(0)
        else:
            if leaving > 0:
                self.total -= sum(counts[:leaving])
                del counts[:leaving]
            counts.extend([0] * ahead)
        self.newest_s = second


@lru_cache
def empty_counts(length_s: int) -> CountWindow:
    """Return a window without events, which all sessions share."""
    return CountWindow(length_s)


class PresenceWindow:
    """Remembers keys for `length_ms` after their last time: who was active, who has left.

    A dict in the order of those times, so that only what expires is visited.
    """

    __slots__ = ("length_ms", "times_ms")

    def __init__(self, length_ms: int, times_ms: dict[str, int] | None = None) -> None:
        self.length_ms = length_ms
        self.times_ms: dict[str, int] = times_ms or NO_TIMES

    def add(self, key: str, at_ms: int) -> None:
        """Set the last time of a key; no other key has a later one."""
        if not self.times_ms:
            self.times_ms = {key: at_ms}
            return
        self.times_ms.pop(key, None)  # so that it moves to the end
        self.times_ms[key] = at_ms

    def expire(self, at_ms: int) -> list[str]:
        """Drop every key that is before the window that ends at `at_ms`; return those keys."""
        begin_ms = at_ms - self.length_ms
        expired = []
        for key, last_ms in self.times_ms.items():
            if last_ms >= begin_ms:
                break
            expired.append(key)
        if len(expired) == len(self.times_ms):
            self.times_ms = NO_TIMES  # a dict does not shrink when keys are deleted
        else:
            for key in expired:
                del self.times_ms[key]
        return expired

    def expires_ms(self) -> int:
        """Return from when on `expire` drops a key; `NEVER_MS` without keys."""
        for last_ms in self.times_ms.values():
            return last_ms + self.length_ms + 1
        return NEVER_MS

    def copy(self) -> Self:
        """Return an independent copy."""
        return type(self)(self.length_ms, self.times_ms.copy())


class RepeatWindow(PresenceWindow):
    """Detects repeats of a key within less than `length_ms` after it came first."""

    __slots__ = ()

    def is_repeat(self, key: str, at_ms: SharedMs, new: dict[str, SharedMs]) -> bool:
        """Check whether the key came within one length before `at_ms`; if not, add it to `new`.

        `new` has the keys since the last `update`.
        """
        known = len(new)
        first_ms: SharedMs = new.setdefault(key, at_ms)
        if len(new) > known:
            first_ms = self.times_ms.get(key)
            if first_ms is None:
                return False
        if at_ms - first_ms < self.length_ms:
            if len(new) > known:
                del new[key]
            return True
        del new[key]  # so that it moves to the end
        new[key] = at_ms
        return False

    def update(self, new: dict[str, int]) -> None:
        """Add the keys that `is_repeat` has added to `new`."""
        times_ms = self.times_ms
        if not times_ms:
            self.times_ms = new
            return
        expected = len(times_ms) + len(new)
        times_ms.update(new)
        if len(times_ms) < expected:  # some were there: all move to the end
            for key in new:
                del times_ms[key]
            times_ms.update(new)

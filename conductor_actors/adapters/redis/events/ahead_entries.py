"""Entries whose ids are ahead of Redis' clock: its clock stepped, or a producer sets own ids.

Redis makes no id less than the last one of a stream, so all later entries of the stream are ahead,
too. They count when they are read, because their time may never come.
"""

import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis.events.entry_ids import MAX_MS
from conductor_actors.adapters.redis.events.event_names import event_tenant
from conductor_actors.domain.entries import Entry, RestampedEntry
from conductor_actors.domain.gaps import CLOCK, Gap
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.log_events import EntriesAhead, emit
from conductor_actors.ports import Clock

MAX_AHEAD_MS: Final = 10_000  # entries that are ahead by less wait for their time
# A replay counts them at the times of their ids, so all rows between are marked. But not of ids in
# other units, whose times are in other centuries.
MAX_MARKED_MS: Final = 3_600_000
AHEAD_REMINDER_S: Final = 60.0
MAX_AHEAD_S: Final = 1e12  # of a log line


class AheadEntries:
    """Restamps entries, reports them every minute, and collects the `gaps` that they make."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}  # since the last line of each stream
        self._reported_s: dict[str, float] = {}
        self.gaps: list[Gap] = []

    def restamp(self, entries: Sequence[Entry], now_ms: int, after: Frontier) -> list[Entry]:
        """Return a stream's entries with those that are ahead at `now_ms`, or just `after`."""
        first = bisect_right(entries, now_ms + MAX_AHEAD_MS, key=lambda entry: entry[0])
        before = entries[first - 1][:2] if first else after
        ms, sequence = max((now_ms, 0), (before[0], before[1] + 1))
        ahead = entries[first:]
        self._add_gaps(ahead, ms)
        self._report(ahead, now_ms)
        restamped = (RestampedEntry(entry, ms, sequence + n) for n, entry in enumerate(ahead))
        return [*entries[:first], *restamped]

    def _add_gaps(self, ahead: Sequence[Entry], at_ms: int) -> None:
        tenant = event_tenant(ahead[0][2]) or DEFAULT_TENANT
        first_ms, last_ms = ahead[0][0], min(ahead[-1][0], int(MAX_MS))
        is_near = last_ms - at_ms <= MAX_MARKED_MS
        self.gaps.append(Gap(tenant, CLOCK, 0, at_ms, last_ms if is_near else at_ms))
        if not is_near and first_ms <= last_ms:
            self.gaps.append(Gap(tenant, CLOCK, 0, first_ms, last_ms))

    def _report(self, ahead: Sequence[Entry], now_ms: int) -> None:
        name, now_s = ahead[0][2], self._clock()
        self._counts[name] = self._counts.get(name, 0) + len(ahead)
        if now_s - self._reported_s.get(name, float("-inf")) >= AHEAD_REMINDER_S:
            self._reported_s[name] = now_s
            ahead_s = min((ahead[-1][0] - now_ms) / 1000, MAX_AHEAD_S)
            emit(EntriesAhead(source=name, entries=self._counts.pop(name), ahead_s=ahead_s))

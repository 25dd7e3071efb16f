"""How late the published updates of each session came, and which came twice."""

from collections import Counter
from collections.abc import Collection
from itertools import pairwise
from time import monotonic, time
from typing import Final, NamedTuple

from conductor_actors.instants import from_iso, to_ms
from tests.faults.samples import Samples, Update

TICK_S: Final = 1
ON_TIME_S: Final = 2.0 * TICK_S


class TimedUpdate(NamedTuple):
    """An update: when it came (monotonic seconds), of which session and tick, and how late."""

    at_s: float
    session: str
    tick_ms: int
    late_s: float

    @property
    def is_on_time(self) -> bool:
        return self.late_s <= ON_TIME_S


def timed(samples: Samples[Update]) -> list[TimedUpdate]:
    """Return the updates that came so far, with how late they came after their tick."""
    offset_s = time() - monotonic()
    found = []
    for at_s, update in list(samples.values):
        tick_ms = to_ms(from_iso(update.timestamp))
        late_s = at_s + offset_s - tick_ms / 1000
        found.append(TimedUpdate(at_s, update.session_id, tick_ms, late_s))
    return found


class Lateness(NamedTuple):
    """The figures of some sessions in an interval, each of the session where it is largest.

    `away_s` is the longest time in which a session had no update on time, `late_s` the lateness of
    an update that was published.
    """

    sessions: int
    away_s: float
    late_s: float


def lateness(
    updates: Collection[TimedUpdate], sessions: Collection[str], since_s: float, until_s: float
) -> Lateness:
    """Return how late sessions were in an interval of monotonic time."""
    moments: dict[str, list[float]] = {session: [since_s] for session in sessions}
    largest_s = 0.0
    for each in updates:
        if each.session in moments and since_s <= each.at_s <= until_s:
            largest_s = max(largest_s, each.late_s)
            if each.is_on_time:
                moments[each.session].append(each.at_s)
    away = [b - a for found in moments.values() for a, b in pairwise([*found, until_s])]
    return Lateness(len(moments), max(away, default=0.0), largest_s)


def published_twice(updates: Collection[TimedUpdate]) -> list[tuple[str, int]]:
    """Return the session and the tick of each update that came more than once."""
    counts = Counter((each.session, each.tick_ms) for each in updates)
    return [key for key, count in counts.items() if count > 1]

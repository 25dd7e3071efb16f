"""What became of partitions: moves that are under way or complete, and failures with their pauses.

A coordinator that restarts begins anew: then a move may not be listed, and a pause may be shorter.
"""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from conductor_actors.cluster.host_messages import PartitionFigures
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.log_events import emit
from conductor_actors.log_events.cluster_events import PartitionMoved
from conductor_actors.ports import Clock
from conductor_actors.wire.cluster_status import ClusterMove

LISTED_MOVES: Final = 20
MOVE_TIMEOUT_S: Final = 15.0  # one that takes longer does not hold up others
FIRST_FAILURE_PAUSE_S: Final = 1.0
MAX_FAILURE_PAUSE_S: Final = 60.0  # a partition that has run for so long has recovered


class _Departure(NamedTuple):
    source: str  # empty if it died
    began_s: float
    has_left: bool


class _Failure(NamedTuple):
    host: str
    failures: int
    until_s: float
    reason: str


class PartitionHistory:
    """Records departures, arrivals and failures of partitions."""

    def __init__(
        self, count: int, clock: Clock = time.monotonic, wall_clock: Clock = time.time
    ) -> None:
        """Record those of `count` partitions."""
        self._count = count
        self._clock = clock
        self._wall_clock = wall_clock
        self._departed: dict[int, _Departure] = {}
        self._failed: dict[int, _Failure] = {}
        self._moves: deque[ClusterMove] = deque(maxlen=LISTED_MOVES)

    def moves(self) -> Sequence[ClusterMove]:
        """Return the last moves, the newest last."""
        return tuple(self._moves)

    def depart(self, number: int, source: str) -> None:
        """Record that a partition leaves its host, to start on another; `source` is "" if it died.

        It is under way until it runs again.
        """
        before = self._departed.get(number)
        began_s = before.began_s if before else self._clock()
        self._departed[number] = _Departure(source, began_s, has_left=not source)

    def under_way(self, drains: Collection[int]) -> int:
        """Return how many partitions have left a host and run nowhere yet, but for `drains`."""
        earliest_s = self._clock() - MOVE_TIMEOUT_S
        return sum(
            departure.began_s > earliest_s and number not in drains
            for number, departure in self._departed.items()
        )

    def record(self, host: str, figures: PartitionFigures) -> None:
        """Record what a host reports of a partition."""
        number = figures.number
        if figures.exit_code is not None and number in self._departed:
            self._departed[number] = self._departed[number]._replace(has_left=True)
        if figures.exit_code:
            self._fail(host, figures)
        elif figures.state == "running":
            self._arrive(number, host)
            failure = self._failed.get(number)
            if failure is not None and self._clock() > failure.until_s + MAX_FAILURE_PAUSE_S:
                del self._failed[number]

    def paused(self) -> Collection[int]:
        """Return the partitions that have failed and do not start yet."""
        now_s = self._clock()
        return {number for number, each in self._failed.items() if each.until_s > now_s}

    def avoided(self) -> Mapping[int, str]:
        """Return the host of each partition on which it failed last."""
        return {number: each.host for number, each in self._failed.items()}

    def problems(self) -> Sequence[str]:
        """Return why partitions fail, each reason once."""
        return sorted({each.reason for each in self._failed.values()} - {""})

    def _arrive(self, number: int, host: str) -> None:
        departure = self._departed.get(number)
        if departure is None or not departure.has_left:
            return
        del self._departed[number]
        duration_s = round(self._clock() - departure.began_s, 3)
        at_ms = int(self._wall_clock() * 1000)
        self._moves.append(ClusterMove(at_ms, number, departure.source, host, duration_s))
        emit(
            PartitionMoved(
                partition=str(Partition(number, self._count)),
                source=departure.source,
                target=host,
                duration_s=duration_s,
            )
        )

    def _fail(self, host: str, figures: PartitionFigures) -> None:
        before = self._failed.get(figures.number)
        failures = before.failures + 1 if before else 1
        pause_s = min(MAX_FAILURE_PAUSE_S, FIRST_FAILURE_PAUSE_S * 2 ** min(10, failures - 1))
        reason = "; ".join(figures.obstacles)
        self._failed[figures.number] = _Failure(host, failures, self._clock() + pause_s, reason)

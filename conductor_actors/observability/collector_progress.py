"""The status of the collector in this process, recorded by its own threads."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from conductor_actors.domain.entries import RestampedEntry
from conductor_actors.domain.gaps import CLOCK
from conductor_actors.log_events import GapDetected, LogEvent
from conductor_actors.observability.collector_status import (
    CollectorState,
    CollectorStatus,
    GapCount,
)
from conductor_actors.observability.tick_timeliness import TickTimeliness
from conductor_actors.ports import Clock, ReadResult

STALLED_AFTER_S: Final = 10.0  # without a successful read


class CollectorProgress:
    """What the collector has done so far. Written by its threads, read by any.

    Pass `observe` to `log_events.subscribe`.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._phase: CollectorState = "starting"
        self._read_s = clock()
        self._redis_now_ms = 0
        self._lag_s: float | None = None
        self._committed_s: float | None = None
        self._gaps: Counter[str] = Counter()
        self._lost_events: Counter[str] = Counter()
        self._ahead_entries = 0
        self._ahead_until_ms: int | None = None  # until then, reads are searched for them
        self._ticks = TickTimeliness(clock)
        self.is_publishing = True
        self.entries = 0  # that were read

    def observe(self, event: LogEvent) -> None:
        """Record what a log event reports of ticks and of Redis' clock."""
        self._ticks.observe(event)
        if isinstance(event, GapDetected) and event.reason == CLOCK:
            self._gaps[CLOCK] += 1

    def record_standby(self) -> None:
        """Record that another process is the owner."""
        self._phase = "standby"

    def record_start(self) -> None:
        """Record that the actors have started."""
        self._phase = "running"
        self._read_s = self._clock()

    def record_drain(self) -> None:
        """Record that no more events are read."""
        self._phase = "draining"

    def record_read(self, read: ReadResult) -> None:
        """Record a successful read, even an empty one."""
        self._read_s = self._clock()
        self._redis_now_ms = read.now_ms
        self._lag_s = read.lag_s
        self.entries += len(read.entries)
        for gap in read.gaps:
            self._gaps[gap.reason] += 1
            self._lost_events[gap.reason] += gap.lost or 0
        if read.clock_gaps:
            self._ahead_until_ms = read.now_ms
        if self._ahead_until_ms is not None:  # a later read may return them
            ahead = sum(isinstance(entry, RestampedEntry) for entry in read.entries)
            self._ahead_entries += ahead
            if read.watermark_ms > self._ahead_until_ms:
                self._ahead_until_ms = None

    def redis_now_ms(self) -> float:
        """Return the time of Redis' clock, counted on from the last successful read."""
        return self._redis_now_ms + (self._clock() - self._read_s) * 1000

    def record_commit(self) -> None:
        """Record that a checkpoint is durable."""
        self._committed_s = self._clock()

    def status(self) -> CollectorStatus:
        """Return the status of this moment."""
        obstacles = self._obstacles()
        is_stalled = self._phase == "running" and bool(obstacles)
        return CollectorStatus(
            "stalled" if is_stalled else self._phase,
            obstacles,
            self._lag_s,
            self._checkpoint_age_s(),
            self._gap_counts(),
        )

    def _obstacles(self) -> Sequence[str]:
        """Return what prevents events from being read or scores from being published."""
        if self._phase == "standby":
            return ("standby: another process owns the events",)
        if self._phase != "running":
            return (f"collector: {self._phase}",)
        obstacles = []
        silent_s = self._clock() - self._read_s
        if silent_s > STALLED_AFTER_S:
            obstacles.append(f"collector: no events could be read for {silent_s:.0f} s")
        if not self.is_publishing:
            obstacles.append("collector: scores can't be announced")
        return [*obstacles, *self._ticks.obstacles()]

    def _checkpoint_age_s(self) -> float | None:
        committed_s = self._committed_s
        return None if committed_s is None else round(self._clock() - committed_s, 3)

    def _gap_counts(self) -> Mapping[str, GapCount]:
        counts = [*self._gaps.items()]  # a copy: another thread may add a reason meanwhile
        return {
            reason: GapCount(
                count, self._lost_events[reason], self._ahead_entries if reason == CLOCK else 0
            )
            for reason, count in counts
        }

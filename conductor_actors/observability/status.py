"""How the collector is doing, for whoever asks from another thread: health and readiness."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from conductor_actors.ports import Clock, ReadResult

READS_WITHIN_S: Final = 10.0
SPEAK_EVERY_S: Final = 1.0  # of reads: there are forty a second


class Progress:
    """What is known of one collector. Written by its threads, read by any."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._phase: Literal["starting", "standby", "running", "draining"] = "starting"
        self._read_s = clock()
        self._lag_s: float | None = None
        self._committed_s: float | None = None
        self._gaps: Counter[str] = Counter()
        self._lost_events: Counter[str] = Counter()
        self.is_publishing = True

    def stands_by(self) -> None:
        """Record that another process is the owner."""
        self._phase = "standby"

    def begins(self) -> None:
        """Record that the actors have started."""
        self._phase = "running"
        self._read_s = self._clock()

    def ends(self) -> None:
        """Record that nothing more is read."""
        self._phase = "draining"

    def has_read(self, read: ReadResult) -> None:
        """Record a successful read, even an empty one."""
        self._read_s = self._clock()
        self._lag_s = max(0, read.now_ms - read.watermark_ms) / 1000
        for gap in read.gaps:
            self._gaps[gap.reason] += 1
            self._lost_events[gap.reason] += gap.lost or 0

    def has_committed(self) -> None:
        """Record that a checkpoint is durable."""
        self._committed_s = self._clock()

    def lag_s(self) -> float | None:
        """Return how far reading is behind Redis' clock."""
        return self._lag_s

    def checkpoint_age_s(self) -> float | None:
        """Return the age of this process's last checkpoint."""
        if self._committed_s is None:
            return None
        return round(self._clock() - self._committed_s, 3)

    def gaps(self) -> Mapping[str, tuple[int, int]]:
        """Count gaps since the start, and the events known to be lost in them, by reason."""
        gaps = [*self._gaps.items()]
        return {reason: (count, self._lost_events[reason]) for reason, count in gaps}

    def state(self) -> str:
        """Return its state in a word."""
        return "stalled" if self._phase == "running" and self.obstacles() else self._phase

    def obstacles(self) -> Sequence[str]:
        """Return what prevents events from being read or scores from leaving, if anything does."""
        if self._phase == "standby":
            return ("standby: another process owns the events",)
        if self._phase != "running":
            return (f"collector: {self._phase}",)
        obstacles = []
        quiet_s = self._clock() - self._read_s
        if quiet_s > READS_WITHIN_S:
            obstacles.append(f"collector: no events could be read for {quiet_s:.0f} s")
        if not self.is_publishing:
            obstacles.append("collector: scores can't be announced")
        return obstacles

"""Whether the ticks of the sessions that there are come in time."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from conductor_actors import log_events as events
from conductor_actors.domain.ticks import LIVE_MS
from conductor_actors.log_events import LogEvent
from conductor_actors.ports import Clock

MAX_DELAY_S: Final = LIVE_MS / 1000  # the scores of a tick that is later are not published


class TickTimeliness:
    """Follows ticks from their broadcast to their completion, by their log events."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, float]] = deque()  # ticks, and since when they were due
        self._completed: tuple[float, float] | None = None  # when the last was, and its delay
        self._broadcast: tuple[int, float] | None = None  # the last tick, and when that was
        self._interval_s: float | None = None
        self._has_sessions = False

    def observe(self, event: LogEvent) -> None:
        """Record what one event reports."""
        with self._lock:
            match event:
                case events.TickBroadcast():
                    self._record_broadcast(event.tick_at_ms)
                case events.EventsRouted():
                    self._has_sessions = event.sessions > 0
            match event:
                case events.TickBroadcast(sessions=0) | events.EventsRouted(sessions=0):
                    self._pending.clear()
                    self._completed = None
                case events.TickBroadcast():
                    self._pending.append((event.tick_at_ms, self._clock() - event.lag_s))
                case events.TickCompleted():
                    self._complete(event.tick_at_ms)
                    self._completed = self._clock(), event.lag_s + event.duration_s

    def obstacles(self) -> Sequence[str]:
        """Return why scores come too late, if they do."""
        with self._lock:
            delay_s = self._delay_s()
        return [f"collector: ticks are {delay_s:.0f} s late"] if delay_s > MAX_DELAY_S else []

    def _record_broadcast(self, at_ms: int) -> None:
        if self._broadcast is not None:
            self._interval_s = (at_ms - self._broadcast[0]) / 1000
        self._broadcast = at_ms, self._clock()

    def _complete(self, at_ms: int) -> None:
        while self._pending and self._pending[0][0] <= at_ms:
            self._pending.popleft()

    def _delay_s(self) -> float:
        """Return the delay of the oldest tick in progress, or else of the next or the last one."""
        now_s = self._clock()
        if self._pending:
            return now_s - self._pending[0][1]
        if self._has_sessions and self._broadcast is not None and self._interval_s is not None:
            overdue_s = now_s - self._broadcast[1] - self._interval_s
            if overdue_s > MAX_DELAY_S:
                return overdue_s
        ended_s, delay_s = self._completed or (0.0, 0.0)
        return delay_s if now_s - ended_s <= MAX_DELAY_S else 0.0  # the sessions are over

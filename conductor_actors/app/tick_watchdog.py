"""Detect a collector that makes no ticks although it could, whatever the reason."""

import sys
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

from conductor_actors import log_events as events
from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.log_events import LogEvent
from conductor_actors.threads import partition_threads

MAX_STALL_S: Final = 30.0

_NEEDED: Final = frozenset({"redis events", "redis lease"})  # without them no tick can be made


class TickActivity(NamedTuple):
    """What a collector has done for its ticks so far.

    `next_tick_ms` is None before the first read, and with `CONDUCTOR_START=earliest` before the
    first entry. `is_blocked` says that rows can be stored nowhere,
    so that no more may be made. `handled` is the number of messages that sessions have handled.
    """

    next_tick_ms: int | None
    handled: int
    is_blocked: bool


class TickWatchdog:
    """Measures for how long a collector makes no tick although it could.

    It could while Redis can be read, a tick is due, and rows can be stored. A collector that reads
    what was missed, and sessions that handle messages, are slow and not stalled. The time in which
    the process was suspended does not count. Pass `observe` to `log_events.subscribe`.
    """

    def __init__(
        self,
        read_activity: Callable[[], TickActivity],
        redis_now_ms: Callable[[], float],
        awake_clock: AwakeClock | None = None,
    ) -> None:
        self._read_activity = read_activity
        self._redis_now_ms = redis_now_ms
        self._awake_clock = awake_clock or AwakeClock()
        self._away: set[str] = set()
        self._broadcast_ms = self._completed_ms = 0
        self._entries = self._reads = 0
        self._last: object = None
        self._since_s = 0.0

    def observe(self, event: LogEvent) -> None:
        """Record what one event reports."""
        match event:
            case events.OutageBegan():
                self._away = self._away | {event.service}
            case events.OutageEnded():
                self._away = self._away - {event.service}
            case events.EventsRead():
                self._entries += event.entries
                self._reads += 1
            case events.TickBroadcast() if event.sessions:
                self._broadcast_ms = event.tick_at_ms
            case events.TickCompleted():
                self._completed_ms = event.tick_at_ms
            case events.EventsRouted(sessions=0):
                self._completed_ms = self._broadcast_ms

    def stalled_s(self) -> float:
        """Return for how long no tick was made; call it at least every 0.5 s."""
        self._awake_clock.advance()
        activity = self._read_activity()
        is_pending = self._completed_ms < self._broadcast_ms
        # While a tick is pending, later ticks and reads complete nothing.
        made = self._completed_ms if is_pending else (activity.next_tick_ms, self._entries)
        if activity.next_tick_ms is None and not is_pending:
            made = self._reads  # as long as they return nothing, there is nothing to tick
        state = made, activity.handled
        if state != self._last or not self._could_tick(activity, is_pending=is_pending):
            self._last, self._since_s = state, self._awake_clock.now_s
        return self._awake_clock.now_s - self._since_s

    def _could_tick(self, activity: TickActivity, *, is_pending: bool) -> bool:
        if activity.is_blocked or self._away & _NEEDED:
            return False
        next_ms = activity.next_tick_ms
        return is_pending or next_ms is None or next_ms <= self._redis_now_ms()


def format_stacks(partition: str = "") -> str:
    """Return the stack of every thread of a partition, or of none, for the report of a stall."""
    frames = sys._current_frames()  # noqa: SLF001 - its documented use
    return "\n".join(
        "".join([f"{thread.name}:\n", *traceback.format_stack(frames.get(thread.ident))])
        for thread in partition_threads(partition)
        if thread.ident in frames
    )

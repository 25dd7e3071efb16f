"""Redis' clock without its steps, so that ticks go on in real time while it is wrong."""

import time
from typing import Final, Literal, NamedTuple, TypeAlias

from conductor_actors.log_events import RedisClockStepped, RedisClockTrusted, emit

MAX_STEP_MS: Final = 10_000  # more than this is no delay of a reply, and no correction of a drift
TRUST_AFTER_S: Final = 60.0
SLEW_RATE: Final = 0.9  # of real time: ticks go on, a little slower, until Redis' clock is there

_Step: TypeAlias = Literal["ahead", "back"]


class _Reading(NamedTuple):
    """A time of Redis, and our own between which it was read."""

    ms: int
    began_s: float
    ended_s: float


def elapsed_s() -> float:
    """Return monotonic seconds that count while the machine sleeps, where it has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class ServerClock:
    """Compares Redis' clock with our monotonic one, and replaces what can't be.

    A clock that steps ahead is not followed until that has lasted for a minute. One that steps
    back is waited for, at nine tenths of real time: ticks that were made can't be made again.
    Never ahead of a clock that is right: every entry before the returned time has been read.
    """

    def __init__(self) -> None:
        self._last: _Reading | None = None  # the last that was trusted
        self._resumed_ms = 0
        self._step: _Step | None = None
        self._stepped_s = 0.0

    @property
    def is_ahead(self) -> bool:
        """Whether the returned time is ahead of Redis' clock, which stepped back."""
        return self._step == "back"

    def resume(self, ms: int) -> None:
        """Continue after a process that has read up to this time."""
        self._resumed_ms = ms

    def correct(self, server_ms: int, began_s: float, ended_s: float) -> int:
        """Return the time to go by, given Redis' and our own before and after it was read."""
        reading = _Reading(server_ms, began_s, ended_s)
        if self._last is None:
            self._last = reading._replace(ms=max(server_ms, self._resumed_ms))
        earliest_ms = self._last.ms + (began_s - self._last.ended_s) * 1000
        latest_ms = self._last.ms + (ended_s - self._last.began_s) * 1000
        if server_ms > latest_ms + MAX_STEP_MS:
            self._begin("ahead", server_ms - latest_ms, began_s)
            if began_s - self._stepped_s < TRUST_AFTER_S:
                return int(max(earliest_ms, self._last.ms))
        elif server_ms < earliest_ms - MAX_STEP_MS or self._step == "back":
            slewed_ms = self._last.ms + (began_s - self._last.ended_s) * 1000 * SLEW_RATE
            if server_ms < slewed_ms:
                self._begin("back", server_ms - earliest_ms, began_s)
                return int(max(slewed_ms, self._last.ms))
        self._trust(reading)
        return server_ms

    def _begin(self, step: _Step, by_ms: float, now_s: float) -> None:
        if self._step != step:
            self._step, self._stepped_s = step, now_s
            emit(RedisClockStepped(by_s=round(by_ms / 1000, 1)))

    def _trust(self, reading: _Reading) -> None:
        self._last = reading
        if self._step is not None:
            self._step = None
            emit(RedisClockTrusted(after_s=round(reading.began_s - self._stepped_s, 1)))

"""Traces of single sessions: for how long, how many lines a second, and what was left out."""

from typing import Final

from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import TraceBegan, TraceEnded, emit
from conductor_actors.ports import Clock

LINES_PER_S: Final = 20.0
BURST: Final = 20.0


class Tracing:
    """One session's trace, while it lasts: through restarts, and through its passivation.

    The session's actor counts; the Supervisor alone extends and ends.
    """

    def __init__(self, key: SessionKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._tokens = BURST
        self._filled_s = clock()
        self._messages = self._suppressed = self._left_out = 0
        self.until_s = float("-inf")
        self.is_over = False

    def extend(self, for_s: float) -> float:
        """Go on for so long at least; return for how long."""
        now_s = self._clock()
        self.until_s = max(self.until_s, now_s + for_s)
        left_s = self.until_s - now_s
        emit(TraceBegan(for_s=left_s).of_session(*self._key))
        return left_s

    def allow(self) -> int | None:
        """Count a message; say how many were left out before it, or None to leave it out."""
        now_s = self._clock()
        self._messages += 1
        self._tokens = min(BURST, self._tokens + (now_s - self._filled_s) * LINES_PER_S)
        self._filled_s = now_s
        if self._tokens < 1:
            self._left_out += 1
            self._suppressed += 1
            return None
        self._tokens -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out

    def end(self) -> None:
        """Let the actor go back to how it was, with its next message."""
        self.is_over = True
        emit(
            TraceEnded(messages=self._messages, suppressed=self._suppressed).of_session(*self._key)
        )


class Tracings:
    """Every trace that is on. Used by the Supervisor's thread alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tracings: dict[SessionKey, Tracing] = {}

    def of(self, key: SessionKey) -> Tracing | None:
        """Give a session's trace, if there is one."""
        return self._tracings.get(key)

    def begin(self, key: SessionKey) -> Tracing:
        """Give a session's trace, making one."""
        return self._tracings.setdefault(key, Tracing(key, self._clock))

    def end_due(self) -> None:
        """End those whose time is over."""
        if not self._tracings:
            return
        now_s = self._clock()
        for key in [key for key, each in self._tracings.items() if each.until_s <= now_s]:
            self._tracings.pop(key).end()

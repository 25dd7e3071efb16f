"""Send log lines to Redis too, from a thread of its own: logging never waits and never fails."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LogLinesDropped, emit
from conductor_actors.outages import Outage

MAX_BUFFERED: Final = 10_000  # as many as the stream keeps: more would push each other out of it
BATCH: Final = 500
RETRY_S: Final = 1.0
CLOSE_WITHIN_S: Final = 3.0


class Lines(Protocol):
    """Where lines are stored."""

    def append(self, lines: Sequence[str]) -> None:
        """Append the lines; raises `Unavailable` or `ConfigError`."""


class LogRelay:
    """Buffers lines until they are sent; when the buffer is full, new ones are dropped."""

    def __init__(self, lines: Lines, limit: int = MAX_BUFFERED) -> None:
        self._lines = lines
        self._limit = limit
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._came = threading.Condition()
        self._is_closed = threading.Event()
        self._outage = Outage("redis log")
        self._thread = threading.Thread(target=self._run, name="log-relay", daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        """Add a line, or count it as dropped; never waits, never raises."""
        with self._came:
            if len(self._waiting) < self._limit:
                self._waiting.append(line)
                self._came.notify()
            else:
                self._dropped += 1

    def close(self) -> None:
        """Send the buffered lines, within 3 s; the rest is lost."""
        self._is_closed.set()
        with self._came:
            self._came.notify()
        self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._lines.append(batch)
            except (Unavailable, ConfigError) as error:  # stdout has the lines
                if self._dropped or isinstance(error, ConfigError):  # else other outages report it
                    self._outage.failed(error)
                if self._is_closed.wait(RETRY_S):
                    return
            else:
                self._sent(len(batch))

    def _next(self) -> list[str]:
        """Wait for lines; return the oldest, or none once closed. They stay until they are sent."""
        with self._came:
            self._came.wait_for(lambda: self._waiting or self._is_closed.is_set())
            return list(islice(self._waiting, BATCH))

    def _sent(self, lines: int) -> None:
        with self._came:
            for _ in range(lines):
                self._waiting.popleft()
            dropped, self._dropped = self._dropped, 0
        self._outage.worked()
        if dropped:
            emit(LogLinesDropped(lines=dropped))

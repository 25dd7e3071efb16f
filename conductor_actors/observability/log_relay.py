"""Copy log lines to Redis on a separate thread, so that logging never blocks or fails."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LogLinesDropped, emit
from conductor_actors.outages import Outage

MAX_BUFFERED_LINES: Final = 10_000  # the length of the stream; more would be trimmed at once
MAX_BATCH_LINES: Final = 500
RETRY_INTERVAL_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 3.0


class LineStore(Protocol):
    """Stores log lines."""

    def append(self, lines: Sequence[str]) -> None:
        """Append the lines; raises `Unavailable` or `ConfigError`."""


class LogRelay:
    """Buffers lines until they are sent; when the buffer is full, new ones are dropped."""

    def __init__(self, store: LineStore, limit: int = MAX_BUFFERED_LINES) -> None:
        self._store = store
        self._limit = limit
        self._buffer: deque[str] = deque()
        self._dropped = 0
        self._condition = threading.Condition()
        self._is_closed = threading.Event()
        self._outage = Outage("redis log")
        self._thread = threading.Thread(target=self._run, name="log-relay", daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        """Buffer a line, or count it as dropped; never block or raise."""
        with self._condition:
            if len(self._buffer) < self._limit:
                self._buffer.append(line)
                self._condition.notify()
            else:
                self._dropped += 1

    def close(self) -> None:
        """Send the buffered lines, within 3 s; the rest is lost."""
        self._is_closed.set()
        with self._condition:
            self._condition.notify()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._store.append(batch)
            except (Unavailable, ConfigError) as error:  # the lines are on stdout too
                if self._dropped or isinstance(
                    error, ConfigError
                ):  # otherwise other users of Redis report it
                    self._outage.record_failure(error)
                if self._is_closed.wait(RETRY_INTERVAL_S):
                    return
            else:
                self._remove_sent(len(batch))

    def _next_batch(self) -> list[str]:
        """Wait for lines; return the oldest, or none once closed. They stay buffered until sent."""
        with self._condition:
            self._condition.wait_for(lambda: self._buffer or self._is_closed.is_set())
            return list(islice(self._buffer, MAX_BATCH_LINES))

    def _remove_sent(self, lines: int) -> None:
        with self._condition:
            for _ in range(lines):
                self._buffer.popleft()
            dropped, self._dropped = self._dropped, 0
        self._outage.record_success()
        if dropped:
            emit(LogLinesDropped(lines=dropped))

"""Write log lines from a thread of its own: whoever logs never waits for the reader of the log."""

import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, Protocol, TextIO

from conductor_actors.log_events import LogLinesDropped, emit
from conductor_actors.ports import Clock

MAX_QUEUED_BYTES: Final = 32 * 1024 * 1024  # the starts of 100,000 sessions take half of it
MAX_WRITE_BYTES: Final = 64 * 1024
DROPS_REPORT_INTERVAL_S: Final = 30.0
FLUSH_WITHIN_S: Final = 1.0


class LineOutput(Protocol):
    """Where whole lines are written."""

    def write_line(self, line: str) -> None:
        """Write a line, or lose it; never raises."""

    def close(self) -> None:
        """Write what is left."""


class StreamOutput:
    """Writes each line at once to a stream in memory, which can't block."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write_line(self, line: str) -> None:
        """Write a line; it is lost if the stream is closed."""
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: nothing is left."""


class QueuedOutput:
    """Writes lines to a file, pipe or terminal in the background.

    When the queue is full, new lines are dropped. The number is reported at once, every 30 s, and
    when lines are written again. If the reader goes away, lines are lost.
    """

    def __init__(
        self, stream: TextIO, limit_bytes: int = MAX_QUEUED_BYTES, clock: Clock = time.monotonic
    ) -> None:
        self._file = os.dup(stream.fileno())  # stays open, whatever becomes of the stream
        self._encoding = stream.encoding or "utf-8"
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._dropped = 0
        self._reported_s = float("-inf")
        self._came = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write_line(self, line: str) -> None:
        """Queue a line, or count it as dropped; never waits."""
        data = f"{line}\n".encode(self._encoding, "replace")
        if not self._add(data):
            self._report_dropped(DROPS_REPORT_INTERVAL_S)

    def close(self) -> None:
        """Write the queued lines, within 1 s; the rest is lost."""
        with self._came:
            self._is_closed = True
            self._came.notify()
        self._thread.join(FLUSH_WITHIN_S)

    def _add(self, data: bytes) -> bool:
        with self._came:
            if self._queued_bytes >= self._limit_bytes:
                self._dropped += 1
                return False
            self._queue.append(data)
            self._queued_bytes += len(data)
            self._came.notify()
            return True

    def _report_dropped(self, interval_s: float) -> None:
        """Report the dropped lines, unless the last report was less than `interval_s` ago."""
        with self._came:
            if not self._dropped or self._clock() - self._reported_s < interval_s:
                return
            dropped, self._dropped = self._dropped, 0
            self._reported_s = self._clock()
            self._queued_bytes -= MAX_WRITE_BYTES  # room for the report
        emit(LogLinesDropped(lines=dropped, output="stdout"))
        with self._came:
            self._queued_bytes += MAX_WRITE_BYTES

    def _run(self) -> None:
        while data := self._next():
            with suppress(OSError):
                self._write(data)
            if not self._has_waiting():
                self._report_dropped(0.0)
        os.close(self._file)

    def _next(self) -> bytes:
        """Wait for lines; return the oldest, or nothing once closed."""
        with self._came:
            self._came.wait_for(lambda: self._queue or self._is_closed)
            lines, size = [], 0
            while self._queue and size < MAX_WRITE_BYTES:
                lines.append(self._queue.popleft())
                size += len(lines[-1])
            self._queued_bytes -= size
            return b"".join(lines)

    def _has_waiting(self) -> bool:
        with self._came:
            return bool(self._queue)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:  # another program has made the pipe non-blocking
                select.select([], [self._file], [])

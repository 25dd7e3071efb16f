"""Warnings and errors of libraries, as lines of the log stream: each at most once a minute."""

import logging
import time
from typing import Final

from conductor_actors.log_events import LibraryComplained, emit
from conductor_actors.ports import Clock

REPEAT_INTERVAL_S: Final = 60.0
MAX_TEXT_CHARS: Final = 200
CAPTURED_LOGGERS: Final = ("uvicorn.error", "psycopg.pool", "asyncio")


class LibraryLogHandler(logging.Handler):
    """Emits a log event for each record of a library, and counts repetitions.

    Records repeat if they come from the same line of code: a client can vary the text.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._emitted_s: dict[tuple[str, int], float] = {}
        self._repeats: dict[tuple[str, int], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Emit an event, unless the same line of code had one within the last minute."""
        origin = record.pathname, record.lineno
        now_s = self._clock()
        if now_s - self._emitted_s.get(origin, float("-inf")) < REPEAT_INTERVAL_S:
            self._repeats[origin] = self._repeats.get(origin, 0) + 1
            return
        self._emitted_s[origin] = now_s
        emit(
            LibraryComplained(
                library=record.name,
                message=record.getMessage()[:MAX_TEXT_CHARS],
                error=repr(record.exc_info[1])[:MAX_TEXT_CHARS] if record.exc_info else None,
                repeats=self._repeats.pop(origin, 0),
            )
        )


def library_logger(library: str) -> logging.Logger:
    """Return a logger to pass to a library; only exceptions are logged.

    These libraries log refused requests as errors, too.
    """
    logger = logging.getLogger(f"conductor_actors.{library}")
    if not logger.handlers:
        logger.addHandler(LibraryLogHandler())
        logger.addFilter(_has_exception)
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    return logger


def _has_exception(record: logging.LogRecord) -> bool:
    return record.exc_info is not None


def capture_library_logs() -> None:
    """Log the warnings of the libraries that have loggers of their own."""
    for library in CAPTURED_LOGGERS:
        logger = logging.getLogger(library)
        if not any(isinstance(handler, LibraryLogHandler) for handler in logger.handlers):
            logger.addHandler(LibraryLogHandler())
            logger.propagate = False
            logger.setLevel(logging.WARNING)

"""What the libraries complain about, as lines of the log stream: once a minute each at most."""

import logging
import time
from typing import Final

from conductor_actors.log_events import LibraryComplained, emit
from conductor_actors.ports import Clock

REPEAT_S: Final = 60.0
LONGEST: Final = 200
LIBRARIES: Final = ("uvicorn.error", "psycopg.pool", "asyncio")


class StdlibHandler(logging.Handler):
    """Hands over what a library logs; what a hostile client can cause again and again is counted.

    A line is told by where it comes from, not by its text, which a client can vary.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: dict[tuple[str, int], float] = {}
        self._repeats: dict[tuple[str, int], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless the same place had one within the last minute."""
        place = record.pathname, record.lineno
        now_s = self._clock()
        if now_s - self._said.get(place, float("-inf")) < REPEAT_S:
            self._repeats[place] = self._repeats.get(place, 0) + 1
            return
        self._said[place] = now_s
        emit(
            LibraryComplained(
                library=record.name,
                message=record.getMessage()[:LONGEST],
                error=repr(record.exc_info[1])[:LONGEST] if record.exc_info else None,
                repeats=self._repeats.pop(place, 0),
            )
        )


def logger_of(library: str) -> logging.Logger:
    """Return the logger for a library: only faults are forwarded."""
    logger = logging.getLogger(f"conductor_actors.{library}")
    if not logger.handlers:
        logger.addHandler(StdlibHandler())
        logger.addFilter(_is_fault)
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    return logger


def _is_fault(record: logging.LogRecord) -> bool:
    """Distinguish faults from refused requests, which these libraries log as errors, too."""
    return record.exc_info is not None


def listen() -> None:
    """Hear the libraries that use loggers of their own."""
    for library in LIBRARIES:
        logger = logging.getLogger(library)
        if not any(isinstance(handler, StdlibHandler) for handler in logger.handlers):
            logger.addHandler(StdlibHandler())
            logger.propagate = False
            logger.setLevel(logging.WARNING)

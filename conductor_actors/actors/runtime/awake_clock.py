"""A clock that stands still while the process is suspended."""

import time
from collections.abc import Callable
from typing import Final

ADVANCE_INTERVAL_S: Final = 0.5  # the longest time between two calls of `advance`
MAX_STEP_S: Final = 1.0  # a longer step is a suspension, which counts as this much


class AwakeClock:
    """Counts the seconds that passed while the process was running.

    One thread calls `advance` at least every 0.5 s; any thread reads. Use it where time must have
    passed for other threads too: after a suspension, none of them is late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._advanced_s = clock()
        self.now_s = 0.0

    def advance(self) -> None:
        """Add the time since the last call, as far as the process was running."""
        now_s = self._clock()
        self.now_s += min(now_s - self._advanced_s, MAX_STEP_S)
        self._advanced_s = now_s

"""A monotonic clock that stands still until it is advanced, in place of the process' own."""

import queue  # noqa: F401 - it keeps the real clock, as does threading
import threading  # noqa: F401
import time
from functools import partial
from operator import getitem


class StoppedClock:
    """Replaces `time.monotonic`; create it before the modules that use it are imported.

    A call costs about as much as one of the real clock.
    """

    def __init__(self) -> None:
        self._now_s = [1000.0]
        time.monotonic = partial(getitem, self._now_s, 0)  # type: ignore[assignment]
        if hasattr(time, "CLOCK_BOOTTIME"):
            del time.CLOCK_BOOTTIME

    def advance(self, by_s: float) -> None:
        self._now_s[0] += by_s

"""What this process uses: CPU time as a share of a core, memory, and a rate of anything."""

import os
import time
from pathlib import Path
from typing import Final

from conductor_actors.ports import Clock

RATE_WINDOW_S: Final = 1.0

_MEMORY: Final = Path("/proc/self/statm")  # in pages; the second figure is what is resident


class Rate:
    """How fast a figure grows in a second, measured over a second at least."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._began = 0.0
        self._rate = 0.0

    def measure(self, figure: float) -> float:
        """Return the rate, now that the figure is this."""
        passed_s = self._clock() - self._began_s
        if passed_s >= RATE_WINDOW_S:
            self._rate = max(0.0, figure - self._began) / passed_s
            self._began_s, self._began = self._clock(), figure
        return round(self._rate, 3)


def memory_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not say."""
    try:
        return int(_MEMORY.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

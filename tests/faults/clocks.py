"""A Redis whose clock is set: what it says the time is, and the ids it gives to entries."""

import re
from time import time
from typing import Final

from tests.faults.proxy import Way

HOUR_S: Final = 3600.0

_TIME: Final = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n")


class RedisClock:
    """Redis' clock as the program sees it through a proxy whose filter this is.

    Entries get their ids of it, as Redis would give them: never one that is less than the last.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s
        self._last_ms = 0

    def __call__(self, way: Way, piece: bytes) -> bytes:
        return _TIME.sub(self._moved, piece) if way is Way.ANSWER else piece

    def entry_id(self) -> str:
        """Give the id of an entry that is added now."""
        self._last_ms = max(self._last_ms, int((time() + self.ahead_s) * 1000))
        return f"{self._last_ms}-*"

    def _moved(self, said: re.Match[bytes]) -> bytes:
        return b"*2\r\n$10\r\n%d\r\n" % (int(said[1]) + int(self.ahead_s))

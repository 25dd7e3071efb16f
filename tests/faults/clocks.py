"""A Redis whose clock is set: its TIME, and the ids of its entries."""

import re
from time import time
from typing import Final

from tests.faults.proxy import Direction

HOUR_S: Final = 3600.0

_TIME: Final = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n")


class RedisClock:
    """A filter of a proxy, through which the program sees another time of Redis.

    Entries get their ids from it as from Redis: no id is less than the one before.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s
        self._last_ms = 0

    def __call__(self, direction: Direction, chunk: bytes) -> bytes:
        return _TIME.sub(self._moved, chunk) if direction is Direction.RESPONSE else chunk

    def entry_id(self) -> str:
        """Return the id of an entry that is added now."""
        self._last_ms = max(self._last_ms, int((time() + self.ahead_s) * 1000))
        return f"{self._last_ms}-*"

    def _moved(self, said: re.Match[bytes]) -> bytes:
        return b"*2\r\n$10\r\n%d\r\n" % (int(said[1]) + int(self.ahead_s))

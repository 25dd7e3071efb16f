"""Somebody who listens to the updates: counts them, and notes when the last one came."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.benchmarks.raw_redis import RawRedis, command

CHANNEL: Final = "engagement:update"


class Audience:
    def __init__(self, line: RawRedis) -> None:
        self._line = line
        self._heard = 0
        self._came = threading.Condition()
        self._last_s = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def forget(self) -> None:
        with self._came:
            self._heard = 0

    def heard_at_s(self, messages: int, within_s: float) -> float:
        """Wait until so many came since `forget`; give the moment of the last one."""
        with self._came:
            is_there = self._came.wait_for(lambda: self._heard >= messages, within_s)
            assert is_there, f"{self._heard} of {messages} updates within {within_s:.0f} s"
            return self._last_s

    def _listen(self) -> None:
        while True:
            try:
                self._line.reply()
            except OSError:
                return
            with self._came:
                self._heard += 1
                self._last_s = time.time()
                self._came.notify_all()


@contextmanager
def audience(url: str) -> Iterator[Audience]:
    with RawRedis(url, patience_s=None) as line:
        line.pipeline(command("SUBSCRIBE", CHANNEL), 1)
        yield Audience(line)

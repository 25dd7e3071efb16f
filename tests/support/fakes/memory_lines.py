"""Log lines in memory."""

from collections.abc import Sequence
from threading import Condition

PATIENCE_S = 10.0


class MemoryLines:
    """Store appended lines in `lines`. While `outage` is set, every call raises it."""

    def __init__(self) -> None:
        self._grew = Condition()
        self.lines: list[str] = []
        self.outage: Exception | None = None
        self.attempts = 0

    def append(self, lines: Sequence[str]) -> None:
        with self._grew:
            self.attempts += 1
            self._grew.notify_all()
            if self.outage is not None:
                raise self.outage
            self.lines += lines

    def wait_for(self, lines: int = 0, attempts: int = 0) -> None:
        with self._grew:
            assert self._grew.wait_for(
                lambda: len(self.lines) >= lines and self.attempts >= attempts, PATIENCE_S
            ), (self.lines, self.attempts)

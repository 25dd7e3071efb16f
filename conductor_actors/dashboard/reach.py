"""Whether a service of the outside world can be reached, said once for each change."""

import time
from typing import Literal

from conductor_actors.log_events import OutageBegan, OutageEnded, emit
from conductor_actors.ports import Clock


class Reach:
    """One service: unknown until it was tried."""

    def __init__(self, service: str, clock: Clock = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._since_s: float | None = None
        self.state: Literal["ok", "away", "unknown"] = "unknown"

    def is_away(self, error: str) -> None:
        """Note an attempt that failed."""
        if self.state != "away":
            self.state = "away"
            self._since_s = self._clock()
            emit(OutageBegan(service=self._service, error=error))

    def is_there(self) -> None:
        """Note an attempt that worked."""
        if self._since_s is not None:
            lasted_s = round(self._clock() - self._since_s, 1)
            emit(OutageEnded(service=self._service, lasted_s=lasted_s))
        self._since_s = None
        self.state = "ok"

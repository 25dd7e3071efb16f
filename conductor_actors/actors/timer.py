"""A plain timer: tells actors that an interval has elapsed, for their periodic chores."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.mailbox import Mailbox


class Chore(NamedTuple):
    """Whom the timer tells, and how often."""

    mailbox: Mailbox
    interval_s: float


class Timer:
    """Tells each mailbox `IntervalElapsed` at its interval, on one thread, from `start` to `stop`.

    Measured with a clock that never goes back: no change of the wall clock stops or hurries it.
    An interval begins when the last one was told, so a machine that slept is not flooded.
    """

    def __init__(
        self, chores: Sequence[Chore], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._chores = chores
        self._clock = clock
        self._due_s = [clock() + chore.interval_s for chore in chores]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; may be called more than once."""
        self._stopped.set()

    def tell_due(self) -> float:
        """Tell those whose interval has elapsed; return the seconds until the next one does."""
        now_s = self._clock()
        for index, (mailbox, interval_s) in enumerate(self._chores):
            if now_s >= self._due_s[index]:
                self._due_s[index] = now_s + interval_s
                mailbox.tell(IntervalElapsed())
        return max(0.0, min(self._due_s) - now_s)

    def _run(self) -> None:
        while not self._stopped.wait(self.tell_due()):
            pass

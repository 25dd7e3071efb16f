"""A plain timer for the periodic chores of actors."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.mailbox import Mailbox


class Chore(NamedTuple):
    """Which mailbox the timer sends to, and how often."""

    mailbox: Mailbox
    interval_s: float


class Timer:
    """Sends `IntervalElapsed` to each mailbox at its interval, from `start` to `stop`.

    It uses a monotonic clock, so changes of the wall clock have no effect. An interval begins when
    the last message was sent, so a process that was suspended is not flooded.
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

    def send_due(self) -> float:
        """Send to mailboxes whose interval has elapsed; return the seconds until the next."""
        now_s = self._clock()
        for index, (mailbox, interval_s) in enumerate(self._chores):
            if now_s >= self._due_s[index]:
                self._due_s[index] = now_s + interval_s
                mailbox.tell(IntervalElapsed())
        return max(0.0, min(self._due_s) - now_s)

    def _run(self) -> None:
        while not self._stopped.wait(self.send_due()):
            pass

"""A timer thread that sends actors a message at intervals."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.mailbox import Mailbox


class TimerEntry(NamedTuple):
    """A mailbox, and the interval at which the timer sends to it."""

    mailbox: Mailbox
    interval_s: float


class Timer:
    """Sends `IntervalElapsed` to each mailbox at its interval, from `start` to `stop`.

    Its clock is monotonic, so changes of the wall clock have no effect. An interval begins when the
    previous message was sent, so messages don't pile up while the process is suspended.
    """

    def __init__(
        self, entries: Sequence[TimerEntry], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = entries
        self._clock = clock
        self._due_s = [clock() + entry.interval_s for entry in entries]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; may be called more than once."""
        self._stopped.set()

    def send_due(self) -> float:
        """Send to the mailboxes whose interval has elapsed; return the seconds until the next."""
        now_s = self._clock()
        for index, (mailbox, interval_s) in enumerate(self._entries):
            if now_s >= self._due_s[index]:
                self._due_s[index] = now_s + interval_s
                mailbox.tell(IntervalElapsed())
        return max(0.0, min(self._due_s) - now_s)

    def _run(self) -> None:
        while not self._stopped.wait(self.send_due()):
            pass

"""A timer thread that sends actors a message at intervals."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.awake_clock import ADVANCE_INTERVAL_S, AwakeClock
from conductor_actors.threads import InheritingThread


class RemindedMailbox(Protocol):
    """Accepts reminders for an actor."""

    def remind(self, message: object) -> None:
        """Add a message unless one of its kind is waiting; never blocks, never raises."""


class TimerEntry(NamedTuple):
    """A mailbox, and the interval at which the timer sends to it."""

    mailbox: RemindedMailbox
    interval_s: float


class Timer:
    """Sends `IntervalElapsed` to each mailbox at its interval, from `start` to `stop`.

    Its clock is monotonic, so changes of the wall clock have no effect. A message that waits is not
    sent again, so the number of messages says nothing about the time: receivers ask a clock. The
    next interval begins when it is sent. The timer advances the awake clock, too.
    """

    def __init__(
        self,
        entries: Sequence[TimerEntry],
        awake_clock: AwakeClock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = entries
        self._awake_clock = awake_clock
        self._clock = clock
        self._due_s = [clock() + entry.interval_s for entry in entries]
        self._stopped = threading.Event()
        self._thread = InheritingThread(self._run, "timer")

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
                mailbox.remind(IntervalElapsed())
        return max(0.0, min(self._due_s) - now_s)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            self._awake_clock.advance()
            wait_s = min(self.send_due(), ADVANCE_INTERVAL_S)

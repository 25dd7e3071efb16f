"""A thread of the dispatcher with the turns that it has taken, many under one lock.

The thread runs them without the lock. Another thread, which has the lock, can take turns away that
have not begun, from a thread that is slow or hung: both pop from the same list, and to pop is one
step of the interpreter, so that each turn goes to one of them.
"""

from collections.abc import Callable
from typing import NamedTuple

from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.mailbox import MAX_TURN_S, PooledMailbox


class RunningTurn(NamedTuple):
    """A turn that is running: whose it is, and when it began, by both clocks."""

    mailbox: PooledMailbox
    began_s: float
    began_awake_s: float


class TurnRunner:
    """The turns of one thread: those to begin, the one that is running, and those that are over."""

    __slots__ = (
        "_began_awake_s",
        "_began_s",
        "_clock",
        "_mailbox",
        "_rest",
        "finished",
        "is_abandoned",
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        self.finished: list[PooledMailbox] = []
        self.is_abandoned = False  # its turn is hung, and its thread replaced
        self._rest: list[PooledMailbox] = []  # the next one last
        self._mailbox: PooledMailbox | None = None
        self._began_s = self._began_awake_s = 0.0
        self._clock = clock

    def begin(self, mailboxes: list[PooledMailbox]) -> None:
        """Set the turns to run, the next one last."""
        self._rest = mailboxes

    def run(self, awake_clock: AwakeClock) -> None:
        """Run turn after turn, for about 5 ms; what is left then has to be put back."""
        now_s = self._clock()
        until_s = now_s + MAX_TURN_S
        rest, finished = self._rest, self.finished
        while now_s <= until_s:
            try:
                mailbox = rest.pop()
            except IndexError:
                return
            self._began_s, self._began_awake_s = now_s, awake_clock.now_s
            self._mailbox = mailbox  # after its times, and before it is run
            if mailbox.actor is not None:
                mailbox.actor.take_turn()
            now_s = self._clock()
            if self.is_abandoned:
                return
            mailbox.busy_s += now_s - self._began_s
            self._mailbox = None  # before the next is popped: see `running`
            finished.append(mailbox)

    def running(self) -> RunningTurn | None:
        """Return the turn that is running, from any thread; None between two turns."""
        mailbox = self._mailbox
        if mailbox is None:
            return None
        turn = RunningTurn(mailbox, self._began_s, self._began_awake_s)
        return turn if mailbox is self._mailbox else None

    def take(self, most: int | None = None) -> list[PooledMailbox]:
        """Remove turns that have not begun, the last ones first; return them, the next one last."""
        taken: list[PooledMailbox] = []
        while self._rest and (most is None or len(taken) < most):
            try:
                taken.append(self._rest.pop(0))
            except IndexError:  # the thread was faster
                break
        return taken

    def count_rest(self) -> int:
        """Count the turns that have not begun."""
        return len(self._rest)

"""Run many actors on few threads: a mailbox per actor, one run queue, turns of bounded length.

In a turn an actor handles at most `MAX_TURN_MESSAGES` in at most `MAX_TURN_S`; then it goes to the
back of the queue, so no actor starves another. Tenants take turns, too, so no tenant starves
another. Handlers must not block: a pool of two threads stalls when two of them do. `slow_turns`
lists handlers that take long, and `abandon_hung` replaces the threads of those that never return.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox, Turn, resolve_dead_ask
from conductor_actors.actors.runtime.run_queue import RunQueue

MAX_TURN_MESSAGES: Final = 64
MAX_TURN_S: Final = 0.005
HUNG_AFTER_S: Final = 5.0


class SlowTurn(NamedTuple):
    """A turn that takes long: its mailbox's name, its duration so far, and its thread."""

    name: str
    running_s: float
    thread_id: int


class RunningTurn(NamedTuple):
    """A turn that is running: when it began, by both clocks, and whose it is."""

    began_s: float
    began_awake_s: float
    mailbox: PooledMailbox


class Dispatcher:
    """A pool of threads that runs actors turn by turn. Every method is thread-safe."""

    def __init__(
        self,
        threads: int = 2,
        clock: Callable[[], float] = time.monotonic,
        awake_clock: AwakeClock | None = None,
    ) -> None:
        """Start the threads. While nobody advances `awake_clock`, no handler is hung."""
        self._clock = clock
        self._awake_clock = awake_clock or AwakeClock(clock)
        self._lock = threading.Lock()
        self._work_added = threading.Condition(self._lock)
        self._became_idle = threading.Condition(self._lock)
        self._run_queue = RunQueue()
        self._turns: dict[int, RunningTurn] = {}
        self._attached: dict[PooledMailbox, None] = {}  # in order
        self._is_closed = False
        self.waiting = 0
        self.handled = 0
        self.refused = 0
        self._threads = [self._thread(f"dispatcher-{n}") for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def deliver(self, letters: Iterable[tuple[PooledMailbox, Envelope]]) -> None:
        """Put envelopes into mailboxes, in order, with one lock and one wake-up for all of them."""
        with self._lock:
            now_s = self._clock()
            for mailbox, envelope in letters:
                envelope.since_s = now_s
                mailbox.mail.append(envelope)
                self.waiting += 1
                if mailbox.is_closed:
                    self._refuse_mail(mailbox)
                else:
                    self._queue(mailbox, now_s)
            self._work_added.notify(len(self._threads))

    def tell_first(self, mailbox: PooledMailbox, message: object) -> None:
        """Add a message that the actor handles first in its next turn, before its other mail."""
        with self._lock:
            now_s = self._clock()
            envelope = Envelope(message)
            envelope.since_s = now_s
            mailbox.priority = (*mailbox.priority, envelope)
            self.waiting += 1
            if mailbox.is_closed:
                self._refuse_mail(mailbox)
            else:
                self._queue(mailbox, now_s)
                self._work_added.notify()

    def attach(
        self,
        mailbox: PooledMailbox,
        run: Callable[[], None],
        report_hung: Callable[[float], None] | None = None,
    ) -> None:
        """Connect a mailbox to its actor, which gets a turn even without mail."""
        with self._lock:
            self._attached[mailbox] = None
            mailbox.run = run
            mailbox.report_hung = report_hung
            mailbox.is_new = True
            self._queue(mailbox, self._clock())
            self._work_added.notify()

    def detach(self, mailbox: PooledMailbox) -> bool:
        """Disconnect the actor, in its turn, from its mailbox; return False if it was abandoned."""
        with self._lock:
            if threading.get_ident() not in self._turns:
                return False
            mailbox.run = None
            return True

    def forget(self, mailbox: PooledMailbox) -> None:
        """Remove a mailbox that will never have an actor again."""
        with self._lock:
            self._attached.pop(mailbox, None)

    def mailboxes(self) -> list[PooledMailbox]:
        """List the mailboxes whose actor runs or will be restarted, the oldest first."""
        with self._lock:
            return [*self._attached]

    def close_mailbox(self, mailbox: PooledMailbox) -> int:
        """Refuse and count mail from now on, and what is waiting; return how much was waiting."""
        with self._lock:
            mailbox.is_closed = True
            return self._refuse_mail(mailbox)

    def open_mailbox(self, mailbox: PooledMailbox) -> int:
        """Accept mail again; return how much was refused."""
        with self._lock:
            mailbox.is_closed = False
            refused, mailbox.refused = mailbox.refused, 0
            return refused

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every actor has handled its mail; return False after the timeout."""
        with self._lock:
            return self._became_idle.wait_for(
                lambda: not self._run_queue.waiting and not self._turns, timeout_s
            )

    def oldest_s(self) -> float:
        """Return how long the actor that waits longest has been waiting for its turn."""
        with self._lock:
            return self._run_queue.oldest_s(self._clock())

    def slow_turns(self, longer_than_s: float) -> list[SlowTurn]:
        """List the turns that have been running for longer than `longer_than_s`."""
        with self._lock:
            now_s = self._clock()
            return [
                SlowTurn(turn.mailbox.name, now_s - turn.began_s, thread_id)
                for thread_id, turn in self._turns.items()
                if now_s - turn.began_s > longer_than_s
            ]

    def abandon_hung(self) -> None:
        """Replace the threads of hung handlers, however often this is called.

        A handler is hung once it has run for 5 s during which the process was not suspended: its
        thread is replaced and its mail is refused. Its old thread ends if it ever returns.
        """
        with self._lock:
            hung = [
                self._replace(thread_id)
                for thread_id, turn in [*self._turns.items()]
                if self._awake_s(turn) >= HUNG_AFTER_S and turn.mailbox.run is not None
            ]
        for running_s, mailbox in hung:
            if mailbox.report_hung is not None:
                mailbox.report_hung(running_s)
            self.close_mailbox(mailbox)  # only after the failure was reported
        if hung:
            with self._lock:
                if not self._run_queue.waiting and not self._turns:
                    self._became_idle.notify_all()

    def close(self, timeout_s: float = 1.0) -> None:
        """End the threads after their current turns."""
        with self._lock:
            self._is_closed = True
            self._work_added.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _awake_s(self, turn: RunningTurn) -> float:
        """Return how long a turn has run while the process was running."""
        awake_s = self._awake_clock.now_s - turn.began_awake_s  # may begin half a second early
        return min(awake_s, self._clock() - turn.began_s)

    def _queue(self, mailbox: PooledMailbox, now_s: float) -> None:
        has_work = mailbox.mail or mailbox.is_new or mailbox.priority
        if has_work and mailbox.run is not None and not mailbox.is_queued:
            mailbox.is_queued = True
            self._run_queue.push(mailbox, now_s)

    def _refuse_mail(self, mailbox: PooledMailbox) -> int:
        refused = [*mailbox.priority, *mailbox.mail]
        mailbox.mail, mailbox.priority = [], ()
        for envelope in refused:
            resolve_dead_ask(envelope)
            if mailbox.on_refusal is not None:
                mailbox.on_refusal(mailbox, envelope.message)
        mailbox.refused += len(refused)
        self.refused += len(refused)
        self.waiting -= len(refused)
        return len(refused)

    def _replace(self, thread_id: int) -> tuple[float, PooledMailbox]:
        """Replace a hung thread; return how long its turn has run, and its mailbox."""
        began_s, _, mailbox = self._turns.pop(thread_id)
        mailbox.is_closed, mailbox.run = True, None
        mailbox.busy_s += self._clock() - began_s
        self._put_back(mailbox)
        mailbox.is_queued = False
        hung = next(thread for thread in self._threads if thread.ident == thread_id)
        replacement = self._thread(hung.name)
        self._threads[self._threads.index(hung)] = replacement
        replacement.start()
        return self._clock() - began_s, mailbox

    def _thread(self, name: str) -> threading.Thread:
        return threading.Thread(target=self._work, name=name, daemon=True)

    def _work(self) -> None:
        thread_id = threading.get_ident()
        while (mailbox := self._begin_turn(thread_id)) is not None:
            if mailbox.run is not None:
                mailbox.run()
            if not self._end_turn(thread_id, mailbox):
                return

    def _begin_turn(self, thread_id: int) -> PooledMailbox | None:
        with self._lock:
            while not self._run_queue.waiting:
                if self._is_closed:
                    return None
                self._work_added.wait()
            if self._is_closed:
                return None
            mailbox = self._run_queue.pop()
            mail, mailbox.mail = mailbox.mail[:MAX_TURN_MESSAGES], mailbox.mail[MAX_TURN_MESSAGES:]
            if mailbox.priority:
                mail, mailbox.priority = [*mailbox.priority, *mail], ()
            self.waiting -= len(mail)
            self.handled += len(mail)
            mailbox.handled += len(mail)
            mailbox.is_new = False
            mailbox.turn = Turn(mail, self._clock, MAX_TURN_S)
            self._turns[thread_id] = RunningTurn(self._clock(), self._awake_clock.now_s, mailbox)
            return mailbox

    def _end_turn(self, thread_id: int, mailbox: PooledMailbox) -> bool:
        """End a turn; return False if this thread was replaced meanwhile."""
        with self._lock:
            turn = self._turns.pop(thread_id, None)
            if turn is None:
                return False
            now_s = self._clock()
            mailbox.busy_s += now_s - turn.began_s
            self._put_back(mailbox)
            if mailbox.is_closed:  # during the turn, because its actor was quarantined
                self._refuse_mail(mailbox)
            mailbox.is_queued = False
            self._queue(mailbox, now_s)
            if not self._run_queue.waiting and not self._turns:
                self._became_idle.notify_all()
            return True

    def _put_back(self, mailbox: PooledMailbox) -> None:
        """Put what is left of the turn back to the front of the mailbox."""
        rest = mailbox.turn.rest if mailbox.turn else []
        mailbox.turn = None
        if rest:
            rest.reverse()
            mailbox.mail = rest + mailbox.mail
            self.waiting += len(rest)
            self.handled -= len(rest)
            mailbox.handled -= len(rest)

"""Run many actors on few threads: a mailbox per actor, one run queue, turns of bounded length.

In a turn an actor handles at most `MAX_TURN_MESSAGES` in at most `MAX_TURN_S`; then it goes to the
back of the queue, so no actor starves another. Tenants take turns, too, so no tenant starves
another. Handlers must not block: a pool of two threads stalls when two of them do. `slow_turns`
lists handlers that take long, and `abandon_hung` replaces the threads of those that never return.

A thread takes up to `MAX_TURNS` under one lock; one that has none takes some from another thread.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.mailbox import (
    NO_MAIL,
    Envelope,
    PooledMailbox,
    TurnTaker,
    resolve_dead_ask,
)
from conductor_actors.actors.runtime.run_queue import RunQueue
from conductor_actors.actors.runtime.turn_runner import RunningTurn, TurnRunner
from conductor_actors.threads import InheritingThread

MAX_TURNS: Final = 64
MAX_TURN_MESSAGES: Final = 64
HUNG_AFTER_S: Final = 5.0


class SlowTurn(NamedTuple):
    """A turn that takes long: its mailbox's name, its duration so far, and its thread."""

    name: str
    running_s: float
    thread_id: int


class HungTurn(NamedTuple):
    """A turn whose handler does not return."""

    mailbox: PooledMailbox
    actor: TurnTaker
    running_s: float


class Dispatcher:
    """A pool of threads that runs actors turn by turn. Every method is thread-safe."""

    def __init__(
        self,
        threads: int = 2,
        clock: Callable[[], float] = time.monotonic,
        awake_clock: AwakeClock | None = None,
    ) -> None:
        """Start the threads. While nobody advances `awake_clock`, no handler is hung."""
        self.clock = clock
        self._awake_clock = awake_clock or AwakeClock(clock)
        self._lock = threading.Lock()
        self._work_added = threading.Condition(self._lock)
        self._became_idle = threading.Condition(self._lock)
        self._run_queue = RunQueue()
        self._busy: dict[int, TurnRunner] = {}  # the threads that have turns, by their ids
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
            now_s = self.clock()
            for mailbox, envelope in letters:
                envelope.since_s = now_s
                if mailbox.mail:
                    mailbox.mail.append(envelope)
                else:
                    mailbox.mail = [envelope]
                self.waiting += 1
                if mailbox.is_closed:
                    self._refuse_mail(mailbox)
                elif mailbox.actor is not None and not mailbox.is_queued:
                    mailbox.is_queued = True
                    self._run_queue.push(mailbox, now_s)
            self._work_added.notify(len(self._threads))

    def tell_first(self, mailbox: PooledMailbox, message: object) -> None:
        """Add a message that the actor handles first in its next turn, before its other mail."""
        with self._lock:
            now_s = self.clock()
            envelope = Envelope(message)
            envelope.since_s = now_s
            mailbox.priority = (*mailbox.priority, envelope)
            self.waiting += 1
            if mailbox.is_closed:
                self._refuse_mail(mailbox)
            else:
                self._queue(mailbox, now_s)
                self._work_added.notify()

    def attach(self, mailbox: PooledMailbox, actor: TurnTaker) -> None:
        """Connect a mailbox to its actor, which gets a turn even without mail."""
        with self._lock:
            self._attached[mailbox] = None
            mailbox.actor = actor
            mailbox.is_new = True
            self._queue(mailbox, self.clock())
            self._work_added.notify()

    def detach(self, mailbox: PooledMailbox) -> bool:
        """Disconnect the actor, in its turn, from its mailbox; return False if it was abandoned."""
        with self._lock:
            if threading.get_ident() not in self._busy:
                return False
            mailbox.actor = None
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
            return self._became_idle.wait_for(self._is_idle, timeout_s)

    def oldest_s(self) -> float:
        """Return how long the actor that waits longest has been waiting for its turn."""
        with self._lock:
            return self._run_queue.oldest_s(self.clock())

    def slow_turns(self, longer_than_s: float) -> list[SlowTurn]:
        """List the turns that have been running for longer than `longer_than_s`."""
        with self._lock:
            now_s = self.clock()
            running = [(thread_id, runner.running()) for thread_id, runner in self._busy.items()]
        return [
            SlowTurn(turn.mailbox.name, now_s - turn.began_s, thread_id)
            for thread_id, turn in running
            if turn is not None and now_s - turn.began_s > longer_than_s
        ]

    def abandon_hung(self) -> None:
        """Replace the threads of hung handlers, however often this is called.

        A handler is hung once it has run for 5 s during which the process was not suspended: its
        thread is replaced, the turns that this had not begun go to others, and its mail is refused.
        Its old thread ends if it ever returns.
        """
        with self._lock:
            hung = [
                turn
                for runner in [*self._busy.values()]
                if (turn := self._hung_turn(runner)) is not None
            ]
        for mailbox, actor, running_s in hung:
            actor.report_hung(running_s)
            self.close_mailbox(mailbox)  # only after the failure was reported
        if hung:
            with self._lock:
                self._report_idle()

    def close(self, timeout_s: float = 1.0) -> None:
        """End the threads after their current turns, and release the actors, but hung ones."""
        with self._lock:
            self._is_closed = True
            self._work_added.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)
        with self._lock:
            if not self._busy:
                self._release_actors()

    def _release_actors(self) -> None:
        """Release the actors, and their states, although the garbage of a process is kept long."""
        for mailbox in self._attached:
            actor, mailbox.actor = mailbox.actor, None
            if actor is not None:
                actor.release()
        self._attached.clear()

    def _hung_turn(self, runner: TurnRunner) -> HungTurn | None:
        """Return a runner's turn, and replace its thread, if the turn is hung."""
        turn = runner.running()
        if turn is None or self._awake_s(turn) < HUNG_AFTER_S:
            return None
        mailbox, actor = turn.mailbox, turn.mailbox.actor
        if actor is None:
            return None
        self._put_turns_back(runner.take())  # from now on, the runner can begin no other turn
        if runner.running() != turn:
            return None
        self._replace(runner, turn)
        return HungTurn(mailbox, actor, self.clock() - turn.began_s)

    def _awake_s(self, turn: RunningTurn) -> float:
        """Return how long a turn has run while the process was running."""
        awake_s = self._awake_clock.now_s - turn.began_awake_s  # may begin half a second early
        return min(awake_s, self.clock() - turn.began_s)

    def _queue(self, mailbox: PooledMailbox, now_s: float) -> None:
        has_work = mailbox.mail or mailbox.is_new or mailbox.priority
        if has_work and mailbox.actor is not None and not mailbox.is_queued:
            mailbox.is_queued = True
            self._run_queue.push(mailbox, now_s)

    def _refuse_mail(self, mailbox: PooledMailbox) -> int:
        refused = [*mailbox.priority, *mailbox.mail]
        mailbox.mail, mailbox.priority = NO_MAIL, ()
        for envelope in refused:
            resolve_dead_ask(envelope)
            if mailbox.on_refusal is not None:
                mailbox.on_refusal(mailbox, envelope.message)
        mailbox.refused += len(refused)
        self.refused += len(refused)
        self.waiting -= len(refused)
        return len(refused)

    def _replace(self, runner: TurnRunner, turn: RunningTurn) -> None:
        """Replace the thread of a hung turn."""
        hung = next(each for each in self._busy.items() if each[1] is runner)[0]
        del self._busy[hung]
        now_s = self.clock()
        mailbox = turn.mailbox
        mailbox.is_closed, mailbox.actor = True, None
        mailbox.busy_s += now_s - turn.began_s
        self._put_mail_back(mailbox)
        mailbox.is_queued = False
        runner.is_abandoned = True
        self._end_turns(runner, now_s)
        index = next(n for n, thread in enumerate(self._threads) if thread.ident == hung)
        self._threads[index] = self._thread(self._threads[index].name)
        self._threads[index].start()

    def _thread(self, name: str) -> threading.Thread:
        return InheritingThread(self._work, name)

    def _work(self) -> None:
        runner = TurnRunner(self.clock)
        with self._lock:
            has_turns = self._begin_turns(runner)
        while has_turns:
            runner.run(self._awake_clock)
            with self._lock:
                if self._busy.pop(threading.get_ident(), None) is not runner:
                    return  # this thread was replaced meanwhile
                self._end_turns(runner, self.clock())
                self._report_idle()
                has_turns = self._begin_turns(runner)

    def _begin_turns(self, runner: TurnRunner) -> bool:
        """Wait for turns; return False if the dispatcher is closed."""
        while not self._is_closed:
            turns = self._pop_turns() or self._steal_turns()
            if turns:
                runner.begin(turns)
                self._busy[threading.get_ident()] = runner
                return True
            self._work_added.wait()
        return False

    def _pop_turns(self) -> list[PooledMailbox]:
        """Remove turns from the run queue, with 64 messages or few more; the next one is last."""
        waiting, messages = self._run_queue.waiting, 0
        turns: list[PooledMailbox] = []
        while waiting and len(turns) < MAX_TURNS and messages < MAX_TURN_MESSAGES:
            mailbox = self._run_queue.pop()
            mail, mailbox.mail = mailbox.mail, NO_MAIL
            if len(mail) > MAX_TURN_MESSAGES:
                mailbox.mail = mail[MAX_TURN_MESSAGES:]
                del mail[MAX_TURN_MESSAGES:]
            if mailbox.priority:
                mail, mailbox.priority = [*mailbox.priority, *mail], ()
            mail.reverse()
            mailbox.turn, mailbox.turn_ends_s, mailbox.is_new = mail, 0.0, False
            mailbox.handled += len(mail)
            messages += len(mail)
            turns.append(mailbox)
        self.waiting -= messages
        self.handled += messages
        turns.reverse()
        return turns

    def _steal_turns(self) -> list[PooledMailbox]:
        """Remove and return half of the turns that another thread has not begun."""
        for other in self._busy.values():
            if turns := other.take((other.count_rest() + 1) // 2):
                return turns
        return []

    def _end_turns(self, runner: TurnRunner, now_s: float) -> None:
        self._put_turns_back(runner.take())
        finished, runner.finished = runner.finished, []
        for mailbox in finished:
            self._end_turn(mailbox, now_s)

    def _end_turn(self, mailbox: PooledMailbox, now_s: float) -> None:
        if mailbox.turn:
            self._put_mail_back(mailbox)
        else:
            mailbox.turn = NO_MAIL
        if mailbox.is_closed:  # during the turn, because its actor was quarantined
            self._refuse_mail(mailbox)
        mailbox.is_queued = False
        if mailbox.mail or mailbox.is_new or mailbox.priority:
            self._queue(mailbox, now_s)

    def _put_turns_back(self, mailboxes: list[PooledMailbox]) -> None:
        """Put turns that have not begun to the front of the run queue; the next one is last."""
        for mailbox in mailboxes:
            self._put_mail_back(mailbox)
            self._run_queue.put_back(mailbox)
        if mailboxes:
            self._work_added.notify(len(self._threads))

    def _put_mail_back(self, mailbox: PooledMailbox) -> None:
        """Put what is left of a turn back to the front of the mailbox."""
        rest, mailbox.turn = mailbox.turn, NO_MAIL
        rest.reverse()
        mailbox.mail = rest + mailbox.mail
        self.waiting += len(rest)
        self.handled -= len(rest)
        mailbox.handled -= len(rest)

    def _is_idle(self) -> bool:
        return not self._run_queue.waiting and not self._busy

    def _report_idle(self) -> None:
        if self._is_idle():
            self._became_idle.notify_all()

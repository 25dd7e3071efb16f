"""The actor that starts, watches, restarts and drains every other actor."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import pykka

from conductor_actors.actors.messages import (
    Drain,
    FinishSessions,
    IntervalElapsed,
    Introspect,
    RefusedEvents,
    SnapshotQuarantined,
    StartSession,
    SupervisorMessage,
)
from conductor_actors.actors.runtime.base import (
    ActorContext,
    ChildFailed,
    ChildStopped,
    SystemActor,
)
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.session_supervisor import SessionSupervisor
from conductor_actors.actors.stats import Stats
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.errors import OwnershipLost
from conductor_actors.log_events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    OwnershipTaken,
    RestartsExhausted,
    emit,
)

ROUTER: Final = "router"  # the sessions finish right after it has stopped
SESSIONS: Final = "sessions"  # their place in the order of the drain
SESSIONS_FINISH_S: Final = 15.0
EXIT_OK: Final = 0
EXIT_FAILED: Final = 70  # EX_SOFTWARE: for the platform to restart


@dataclass(slots=True)
class Child:
    """A system actor: its name, its mailbox, the function that starts it, and its budget."""

    name: str
    mailbox: ThreadMailbox
    start: Callable[[ActorContext[ThreadMailbox]], pykka.ActorRef[SystemActor]]
    budget: RestartBudget


class Outcome:
    """How the collector ends: by a failure, a drain, or both. The main thread waits for it."""

    def __init__(self) -> None:
        self._has_failed = threading.Event()
        self._is_drained = threading.Event()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the process, as far as it is known."""
        return EXIT_FAILED if self._has_failed.is_set() else EXIT_OK

    def mark_failed(self) -> None:
        """Record that an actor failed and will not be restarted."""
        self._has_failed.set()

    def mark_drained(self) -> None:
        """Record that the drain is over."""
        self._is_drained.set()

    def wait_failed(self, timeout_s: float) -> bool:
        """Wait for a failure; return False after the timeout."""
        return self._has_failed.wait(timeout_s)

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait for the end of the drain; return False after the timeout."""
        return self._is_drained.wait(timeout_s)


class SupervisorActor(SystemActor):
    """A switch over `SupervisorMessage`.

    It restarts an actor that fails. Over its budget a session is quarantined, and a system actor
    ends the process. Children start in the given order, each consumer before its producer, and
    drain in reverse. During a drain no system actor is restarted.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        children: Sequence[Child],
        sessions: SessionSupervisor,
        stats: Stats,
        outcome: Outcome,
    ) -> None:
        super().__init__(context)
        self._children = {child.name: child for child in children}
        self._sessions = sessions
        self._stats = stats
        self._outcome = outcome
        self._refs: dict[str, pykka.ActorRef[SystemActor]] = {}  # of children that have not ended
        self._draining: list[str] | None = None  # the children still to be stopped, in order

    def on_start(self) -> None:
        for child in self._children.values():
            self._start(child)

    def on_receive(self, message: SupervisorMessage) -> None:
        match message:
            case StartSession():
                self._sessions.start(message)
            case SnapshotQuarantined():
                self._sessions.send_snapshot(message)
            case Introspect():
                self._sessions.introspect(message)
            case ChildFailed():
                self._handle_child_failure(message)
            case ChildStopped():
                self._handle_child_stop(message)
            case RefusedEvents():
                self._stats.count_refused(message)
            case IntervalElapsed():
                self._sessions.abandon_hung()
                self._sessions.release_quarantined()
                self._sessions.end_traces()
                self._stats.report()
            case Drain():
                self._drain()
            case FinishSessions(failures):
                self._finish_sessions(failures)
            case _:
                assert_never(message)

    def _start(self, child: Child) -> None:
        context = ActorContext(child.name, child.mailbox, self._context.mailbox)
        self._refs[child.name] = child.start(context)
        emit(ActorStarted(actor=child.name))

    def _handle_child_failure(self, failure: ChildFailed) -> None:
        if self._sessions.handle_failure(failure):
            return
        emit(ActorFailed(actor=failure.name, error=repr(failure.error)), failure.error)
        child = self._children[failure.name]
        self._stats.count_failure(child.name)
        del self._refs[child.name]
        if self._draining is not None:
            self._continue_drain(child.name)
        elif isinstance(failure.error, OwnershipLost):
            emit(OwnershipTaken(reason=str(failure.error)))
            self._outcome.mark_failed()
        elif child.budget.spend(self._context.mailbox.clock()):
            emit(ActorRestarted(actor=child.name))
            self._start(child)
        else:
            emit(RestartsExhausted(actor=child.name, restarts=child.budget.limit))
            self._outcome.mark_failed()

    def _handle_child_stop(self, stopped: ChildStopped) -> None:
        if self._sessions.handle_stop(stopped.mailbox):
            return
        emit(ActorStopped(actor=stopped.name))
        del self._refs[stopped.name]
        self._continue_drain(stopped.name)

    def _drain(self) -> None:
        """Stop the children one by one, each after the mail that it has, producers first."""
        if self._draining is None:
            self._draining = list(reversed(self._children))
            if ROUTER in self._draining:
                self._draining.insert(self._draining.index(ROUTER) + 1, SESSIONS)
            self._stop_next()

    def _continue_drain(self, name: str) -> None:
        """Stop the next child if `name` is the one that the drain is waiting for."""
        if self._draining is not None and name not in self._draining:
            self._stop_next()

    def _stop_next(self) -> None:
        while self._draining:
            name = self._draining.pop(0)
            if name == SESSIONS:
                self._context.mailbox.tell(FinishSessions(failures=-1))
                return
            if name in self._refs:
                self._refs[name].stop(block=False)
                return
        self._outcome.mark_drained()

    def _finish_sessions(self, failures: int) -> None:
        """Wait until the sessions have no mail. Wait again if one failed: its successor has mail.

        A failure is reported before the dispatcher is idle, so it is handled before the next check.
        """
        is_idle = self._sessions.wait_finished(SESSIONS_FINISH_S)
        if not is_idle or self._sessions.failures == failures:
            self._stop_next()
        else:
            self._context.mailbox.tell(FinishSessions(self._sessions.failures))

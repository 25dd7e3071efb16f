"""The part of the Supervisor that starts, restarts, quarantines and describes sessions."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from conductor_actors.actors.introspection import describe_session
from conductor_actors.actors.messages import (
    Describe,
    Introspect,
    SendAnswer,
    SnapshotQuarantined,
    StartSession,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, Hung, Poisoned
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox
from conductor_actors.actors.session import SessionActor, SessionParts, send_snapshot
from conductor_actors.actors.session_trace import SessionTraces
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    PastFailure,
    Supervision,
    state_figures,
)
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.log_events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    SessionQuarantined,
    SessionReleased,
    SessionsUnfinished,
    emit,
)
from conductor_actors.ports import SESSION_SOURCE, DeadLetter

HANDLER_FAILED: Final = "handler_failed"  # the reason of a dead letter
MAX_FAILURES_KEPT: Final = 10  # of each session
MAX_ERROR_CHARS: Final = 500


class SessionLimits(NamedTuple):
    """How many restarts a session gets, and how long its quarantine lasts after them."""

    restarts: int = 3
    within_s: float = 60.0
    quarantine_s: float = 300.0


@dataclass(slots=True)
class FailureRecord:
    """The restarts of a session, and its last failures, each with its time; the newest last."""

    budget: RestartBudget
    restarts: int = 0
    failures: deque[tuple[float, str]] = field(
        default_factory=lambda: deque(maxlen=MAX_FAILURES_KEPT)
    )


class Quarantine(NamedTuple):
    """When a quarantine ends, and the state that the session will continue with."""

    state: SessionState
    until_s: float


@dataclass(slots=True)
class SessionEntry:
    """A session under supervision. It has a record from its first failure on."""

    key: SessionKey
    mailbox: PooledMailbox
    record: FailureRecord | None = None
    quarantine: Quarantine | None = None


class SessionSupervisor:
    """Supervises the actors of all sessions. Only the Supervisor's thread uses it."""

    def __init__(
        self, parts: SessionParts, rules: SessionRules, limits: SessionLimits, supervisor: Mailbox
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._limits = limits
        self._supervisor = supervisor
        # By mailbox, because a session can start again before its predecessor's stop is reported.
        self._entries: dict[object, SessionEntry] = {}
        self._quarantined: list[SessionEntry] = []
        self._traces = SessionTraces(parts.scoring, parts.clock)
        self.failures = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def quarantined(self) -> int:
        """The number of sessions in quarantine."""
        return len(self._quarantined)

    def start(self, start: StartSession) -> None:
        """Start the first actor of a session. The start of a recovered session is not logged."""
        entry = self._entries[start.mailbox] = SessionEntry(start.key, start.mailbox)
        self._traces.attach(start.key, start.mailbox)
        if start.state is not None:
            self._start_actor(entry, start.state)
            return
        self._start_actor(entry, SessionState(start.key.session_id, self._rules))
        emit(ActorStarted().of_session(*entry.key))

    def send_snapshot(self, request: SnapshotQuarantined) -> None:
        """Send the state of a session in quarantine.

        Nothing is sent for a session that was released meanwhile, because its state has later
        events by now. The checkpoint then stays incomplete and is given up.
        """
        entry = self._entries.get(request.mailbox)
        if entry is not None and entry.quarantine is not None:
            snapshot, state = request.snapshot, entry.quarantine.state
            send_snapshot(snapshot, entry.key, state, is_due=snapshot.has_changed)

    def handle_stop(self, mailbox: object) -> bool:
        """Remove a session that has stopped; return False if the mailbox is no session's."""
        entry = self._entries.pop(mailbox, None)
        if entry is not None:
            emit(ActorStopped().of_session(*entry.key))
        return entry is not None

    def handle_failure(self, failure: ChildFailed) -> bool:
        """Restart a session after the message that it failed on; over budget, quarantine it.

        Return False if the mailbox is no session's.
        """
        entry = self._entries.get(failure.mailbox)
        if entry is None or not isinstance(failure.handover, SessionState):
            return False
        self.failures += 1
        emit(ActorFailed(error=repr(failure.error)).of_session(*entry.key), failure.error)
        self._send_dead_letters(entry, failure)
        record = self._record_failure(entry, failure.error)
        if isinstance(failure.error, Hung):
            self._quarantine(entry, failure.handover)
        elif record.budget.spend(self._parts.clock()):
            record.restarts += 1
            self._start_actor(entry, failure.handover)
            emit(ActorRestarted().of_session(*entry.key))
        else:
            self._quarantine(entry, failure.handover)
        return True

    def abandon_hung(self) -> None:
        """Quarantine the sessions whose handlers are hung."""
        self._parts.dispatcher.abandon_hung()

    def release_quarantined(self) -> None:
        """Restart the sessions whose quarantine is over, with their state and a new budget."""
        now_s = self._parts.clock()
        for entry in [*self._quarantined]:
            quarantine = entry.quarantine
            if quarantine is None or quarantine.until_s > now_s:
                continue
            self._quarantined.remove(entry)
            entry.quarantine = None
            refused = self._parts.dispatcher.open_mailbox(entry.mailbox)
            if entry.record is not None:
                entry.record.budget = self._budget()
            self._start_actor(entry, quarantine.state)
            emit(SessionReleased(lost_messages=refused).of_session(*entry.key))

    def introspect(self, introspect: Introspect) -> None:
        """Describe or trace a session. The request is answered in any case."""
        request = introspect.request
        entries = reversed(self._entries.values())  # the newest of that name
        entry = next((entry for entry in entries if entry.key == request.key), None)
        answer = IntrospectionAnswer(id=request.id)
        if entry is None:
            introspect.reply_to.tell(SendAnswer(answer))
        elif request.trace_s is not None:
            left_s = self._traces.begin(entry.key, entry.mailbox, request.trace_s)
            answer = IntrospectionAnswer(id=request.id, is_known=True, traced_s=left_s)
            introspect.reply_to.tell(SendAnswer(answer))
        elif not entry.mailbox.is_closed:
            describe = Describe(introspect, self._supervision(entry))
            self._parts.dispatcher.tell_first(entry.mailbox, describe)
        elif entry.quarantine is not None:
            self._describe_quarantined(entry, entry.quarantine, introspect)
        else:  # it has just stopped
            introspect.reply_to.tell(SendAnswer(answer))

    def end_traces(self) -> None:
        """End the traces whose time is over."""
        self._traces.end_due()

    def wait_finished(self, timeout_s: float) -> bool:
        """Wait until every running session has handled its mail; return False after the timeout."""
        is_idle = self._parts.dispatcher.wait_idle(timeout_s)
        if not is_idle:
            emit(SessionsUnfinished(messages=self._parts.dispatcher.waiting))
        return is_idle

    def _start_actor(self, entry: SessionEntry, state: SessionState) -> None:
        context = ActorContext(entry.mailbox.name, entry.mailbox, self._supervisor)
        SessionActor.start(context, entry.key, state, self._parts)

    def _describe_quarantined(
        self, entry: SessionEntry, quarantine: Quarantine, introspect: Introspect
    ) -> None:
        parts, now_s = self._parts, self._parts.clock()
        figures = state_figures(entry.key.tenant_id, quarantine.state, parts.scoring, None)
        supervision = self._supervision(entry, quarantine.until_s - now_s)
        introspect.reply_to.tell(
            describe_session(introspect, figures, entry.mailbox, now_s, supervision)
        )

    def _supervision(
        self, entry: SessionEntry, quarantine_left_s: float | None = None
    ) -> Supervision:
        if entry.record is None:
            return Supervision()
        now_s = self._parts.clock()
        failures = [
            PastFailure(round(now_s - at_s, 1), error) for at_s, error in entry.record.failures
        ]
        return Supervision(entry.record.restarts, failures, quarantine_left_s)

    def _record_failure(self, entry: SessionEntry, error: BaseException) -> FailureRecord:
        if entry.record is None:
            entry.record = FailureRecord(self._budget())
        entry.record.failures.append((self._parts.clock(), repr(error)[:MAX_ERROR_CHARS]))
        return entry.record

    def _budget(self) -> RestartBudget:
        return RestartBudget(self._limits.restarts, self._limits.within_s)

    def _quarantine(self, entry: SessionEntry, state: SessionState) -> None:
        self._parts.dispatcher.close_mailbox(entry.mailbox)
        entry.quarantine = Quarantine(state, self._parts.clock() + self._limits.quarantine_s)
        self._quarantined.append(entry)
        emit(SessionQuarantined(for_s=self._limits.quarantine_s).of_session(*entry.key))

    def _send_dead_letters(self, entry: SessionEntry, failure: ChildFailed) -> None:
        if isinstance(failure.error, Poisoned):
            messages = [item for item, _ in failure.error.items]
        else:
            messages = [failure.message]
        source = f"{SESSION_SOURCE}{entry.key}"
        letters = [
            DeadLetter(source, f"{getattr(each, 'at_ms', 0)}-0", HANDLER_FAILED, letter_body(each))
            for each in messages
        ]
        self._parts.publisher.tell(Undeliverable(letters))


def letter_body(message: object) -> bytes:
    """Return the body of a dead letter: the message on which a handler failed, as JSON."""
    content = {
        field: getattr(message, field) for field in getattr(message, "__struct_fields__", ())
    }
    return msgspec.json.encode({"type": type(message).__name__, **content})

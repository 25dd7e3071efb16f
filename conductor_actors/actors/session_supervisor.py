"""The Supervisor's part that cares for sessions: start, restart, quarantine, farewell."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from conductor_actors.actors.introspection import SessionTraces, described
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
from conductor_actors.actors.session import SessionActor, SessionParts, answer
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    PastFailure,
    Supervision,
    state_figures,
)
from conductor_actors.domain.session_state import SessionRules, SessionState
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
from conductor_actors.ports import DeadLetter

REASON: Final = "handler_failed"
MOST_FAILURES: Final = 10  # of a session, to be told to who asks
LONGEST_ERROR: Final = 500


class SessionLimits(NamedTuple):
    """How often a session may fail, and how long it is left alone when it fails more often."""

    restarts: int = 3
    within_s: float = 60.0
    quarantine_s: float = 300.0


@dataclass(slots=True)
class _Record:
    """How often a session has failed and of what; a quarantine gives it a new budget."""

    budget: RestartBudget
    restarts: int = 0
    failures: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MOST_FAILURES))


@dataclass(slots=True)
class _SessionEntry:
    """One session as the Supervisor sees it. The record is made at the first failure."""

    key: SessionKey
    mailbox: PooledMailbox
    record: _Record | None = None


class _Quarantine(NamedTuple):
    entry: _SessionEntry
    state: SessionState
    until_s: float


class Sessions:
    """Every session's actor. Used by the Supervisor's thread alone."""

    def __init__(
        self, parts: SessionParts, rules: SessionRules, limits: SessionLimits, supervisor: Mailbox
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._limits = limits
        self._supervisor = supervisor
        self._entries: dict[
            int, _SessionEntry
        ] = {}  # by the identity of the mailbox: names come again
        self._quarantined: list[_Quarantine] = []
        self._traces = SessionTraces(parts.scoring, parts.clock)
        self.failures = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def quarantined(self) -> int:
        """Count the sessions that are left alone at the moment."""
        return len(self._quarantined)

    def start(self, start: StartSession) -> None:
        """Give a session its first actor; thousands that go on at a start are not news."""
        entry = self._entries[id(start.mailbox)] = _SessionEntry(start.key, start.mailbox)
        self._traces.attach(start.key, start.mailbox)
        if start.state is not None:
            self._start_actor(entry, start.state)
            return
        self._start_actor(entry, SessionState.unbegun(start.key.session_id, self._rules))
        emit(ActorStarted().of_session(*entry.key))

    def snapshot(self, request: SnapshotQuarantined) -> None:
        """Tell the state of a session in quarantine.

        One that was just released knows of later events: this checkpoint is given up.
        """
        for each in self._quarantined:
            if each.entry.mailbox is request.mailbox:
                answer(request.snapshot, each.entry.key, each.state)

    def stopped(self, mailbox: object) -> bool:
        """Say farewell to a session that was passivated; False if it is none of ours."""
        entry = self._entries.pop(id(mailbox), None)
        if entry is not None:
            emit(ActorStopped().of_session(*entry.key))
        return entry is not None

    def failed(self, failure: ChildFailed) -> bool:
        """Restart a session without what it failed on; False if it is none of ours."""
        entry = self._entries.get(id(failure.mailbox))
        if entry is None or not isinstance(failure.handover, SessionState):
            return False
        self.failures += 1
        emit(ActorFailed(error=repr(failure.error)).of_session(*entry.key), failure.error)
        self._put_aside(entry, failure)
        record = self._noted(entry, failure)
        if isinstance(failure.error, Hung):  # its thread may still hold what it has
            self._quarantine(entry, failure.handover.copy())
        elif record.budget.spend(self._parts.clock()):
            record.restarts += 1
            self._start_actor(entry, failure.handover)
            emit(ActorRestarted().of_session(*entry.key))
        else:
            self._quarantine(entry, failure.handover)
        return True

    def abandon_hung(self) -> None:
        """Quarantine those whose handler does not return; to be called every second."""
        self._parts.dispatcher.abandon_hung()

    def release_quarantined(self) -> None:
        """Let those go on whose time is over, with the state they had."""
        now_s = self._parts.clock()
        due = [each for each in self._quarantined if each.until_s <= now_s]
        for each in due:
            self._quarantined.remove(each)
            refused = self._parts.dispatcher.open_mailbox(each.entry.mailbox)
            if each.entry.record is not None:
                each.entry.record.budget = self._budget()
            self._start_actor(each.entry, each.state)
            emit(SessionReleased(lost_messages=refused).of_session(*each.entry.key))

    def introspect(self, introspect: Introspect) -> None:
        """Describe or trace a session, and see that the request is answered."""
        request, reply_to = introspect.request, introspect.reply_to
        entries = reversed(self._entries.values())  # one that left may be there still
        entry = next((entry for entry in entries if entry.key == request.key), None)
        if entry is None:
            reply_to.tell(SendAnswer(IntrospectionAnswer(id=request.id)))
        elif request.trace_s is not None:
            left_s = self._traces.begin(entry.key, entry.mailbox, request.trace_s)
            answer = IntrospectionAnswer(id=request.id, is_known=True, traced_s=left_s)
            reply_to.tell(SendAnswer(answer))
        else:
            self._describe(entry, introspect)

    def end_traces(self) -> None:
        """End the traces whose time is over."""
        self._traces.end_due()

    def finish(self, timeout_s: float) -> bool:
        """Wait until every session that lives has handled its mail; False if that took too long."""
        is_idle = self._parts.dispatcher.wait_idle(timeout_s)
        if not is_idle:
            emit(SessionsUnfinished(messages=self._parts.dispatcher.waiting))
        return is_idle

    def _start_actor(self, entry: _SessionEntry, state: SessionState) -> None:
        context = ActorContext(entry.mailbox.name, entry.mailbox, self._supervisor)
        SessionActor.start(context, entry.key, state, self._parts)

    def _describe(self, entry: _SessionEntry, introspect: Introspect) -> None:
        """Pass the request on, or answer for a session in quarantine or one that has stopped."""
        if not entry.mailbox.is_closed:
            describe = Describe(introspect, self._supervision(entry))
            self._parts.dispatcher.tell_first(entry.mailbox, describe)
            return
        parts, now_s = self._parts, self._parts.clock()
        for each in self._quarantined:
            if each.entry is entry:
                figures = state_figures(entry.key.tenant_id, each.state, parts.scoring, None)
                supervision = self._supervision(entry, each.until_s - now_s)
                introspect.reply_to.tell(
                    described(introspect, figures, entry.mailbox, now_s, supervision)
                )
                return
        introspect.reply_to.tell(SendAnswer(IntrospectionAnswer(id=introspect.request.id)))

    def _supervision(
        self, entry: _SessionEntry, quarantine_left_s: float | None = None
    ) -> Supervision:
        if entry.record is None:
            return Supervision()
        now_s = self._parts.clock()
        failures = [
            PastFailure(round(now_s - at_s, 1), text) for at_s, text in entry.record.failures
        ]
        return Supervision(entry.record.restarts, failures, quarantine_left_s)

    def _noted(self, entry: _SessionEntry, failure: ChildFailed) -> _Record:
        """Note a failure, and give the record of all of them."""
        if entry.record is None:
            entry.record = _Record(self._budget())
        error = repr(failure.error)[:LONGEST_ERROR]
        entry.record.failures.append((self._parts.clock(), error))
        return entry.record

    def _budget(self) -> RestartBudget:
        return RestartBudget(self._limits.restarts, self._limits.within_s)

    def _quarantine(self, entry: _SessionEntry, state: SessionState) -> None:
        self._parts.dispatcher.close_mailbox(entry.mailbox)
        until_s = self._parts.clock() + self._limits.quarantine_s
        self._quarantined.append(_Quarantine(entry, state, until_s))
        emit(SessionQuarantined(for_s=self._limits.quarantine_s).of_session(*entry.key))

    def _put_aside(self, entry: _SessionEntry, failure: ChildFailed) -> None:
        if isinstance(failure.error, Poisoned):
            messages = [item for item, _ in failure.error.items]
        else:
            messages = [failure.message]
        source = f"session:{entry.key}"
        letters = [
            DeadLetter(source, f"{getattr(each, 'at_ms', 0)}-0", REASON, letter_body(each))
            for each in messages
        ]
        self._parts.publisher.tell(Undeliverable(letters))


def letter_body(message: object) -> bytes:
    """Write down what a handler raised on."""
    content = {
        field: getattr(message, field) for field in getattr(message, "__struct_fields__", ())
    }
    return msgspec.json.encode({"type": type(message).__name__, **content})

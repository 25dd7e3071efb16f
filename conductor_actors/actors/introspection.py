"""Introspection of single sessions: the actor that serves requests, descriptions, and traces.

Neither a full mailbox nor a Router that waits delays an answer: the Supervisor knows every
session, and a session handles a `Describe` before all its mail.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import random
from typing import Final, NamedTuple, assert_never

import msgspec

from conductor_actors.actors.messages import (
    EventBatch,
    Introspect,
    IntrospectionMessage,
    ReadNext,
    SendAnswer,
    SessionMessage,
    Tick,
)
from conductor_actors.actors.runtime.base import ActorContext, PooledActor, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox, ThreadMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    MailboxFigures,
    SessionDescription,
    StateFigures,
    Supervision,
    TraceOutput,
)
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import MessageTraced, TraceBegan, TraceEnded, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import Clock, IntrospectionChannel

ANSWER_WAIT_S: Final = 0.25  # an answer that comes within it does not wait for the next read
OUTAGE_PAUSE_S: Final = 2.0
TRACE_LINES_PER_S: Final = 20.0
TRACE_BURST: Final = 20.0


class ServiceFacts(NamedTuple):
    """The part of an answer that is the same for every session."""

    next_tick_ms: Callable[[], int | None]
    trace_output: TraceOutput


class IntrospectionActor(SystemActor):
    """A switch over `IntrospectionMessage`. Requests made during an outage are lost."""

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        channel: IntrospectionChannel,
        supervisor: Mailbox,
        facts: ServiceFacts,
    ) -> None:
        super().__init__(context)
        self._channel = channel
        self._supervisor = supervisor
        self._facts = facts
        self._outage = Outage("redis requests", context.mailbox.clock)

    def on_start(self) -> None:
        self._next = ReadNext()
        self._context.mailbox.tell(self._next)

    def on_receive(self, message: IntrospectionMessage) -> None:
        match message:
            case ReadNext():
                if message is self._next:  # not a failed predecessor's, which is still in the mail
                    self._read()
                    self._context.mailbox.tell(message)
            case SendAnswer(answer):
                self._send(answer)
            case _:
                assert_never(message)

    def _read(self) -> None:
        mailbox = self._context.mailbox
        try:
            requests = self._channel.read()
        except (Unavailable, ConfigError) as error:
            self._report(error)
            mailbox.wait(random() * OUTAGE_PAUSE_S)  # noqa: S311 - jitter
            return
        self._outage.worked()
        for request in requests:
            self._supervisor.tell(Introspect(request, mailbox))
        if requests:
            mailbox.wait(ANSWER_WAIT_S)

    def _send(self, answer: IntrospectionAnswer) -> None:
        next_tick_ms, trace_output = self._facts
        complete = msgspec.structs.replace(
            answer, next_tick_ms=next_tick_ms(), trace_output=trace_output
        )
        try:
            self._channel.send(complete)
        except (Unavailable, ConfigError) as error:
            self._report(error)

    def _report(self, error: Unavailable | ConfigError) -> None:
        """Report a permission that an operator must grant; other actors report an outage."""
        if isinstance(error, ConfigError):
            self._outage.failed(error)


def described(
    introspect: Introspect,
    figures: StateFigures,
    mailbox: PooledMailbox,
    now_s: float,
    supervision: Supervision,
) -> SendAnswer:
    """Return the answer that describes a session.

    Call it where no other thread can give the mailbox a turn.
    """
    request = introspect.request
    description = SessionDescription(
        request.tenant,
        request.session,
        "running" if supervision.quarantine_left_s is None else "quarantined",
        figures,
        mailbox_figures(mailbox, now_s),
        supervision,
    )
    return SendAnswer(IntrospectionAnswer(id=request.id, is_known=True, description=description))


def mailbox_figures(mailbox: PooledMailbox, now_s: float) -> MailboxFigures:
    """Return the figures of a mailbox; the unhandled messages of a turn in progress wait, too."""
    rest = mailbox.turn.rest if mailbox.turn else []
    oldest_s = now_s - rest[-1].since_s if rest else mailbox.oldest_s(now_s)
    return MailboxFigures(
        depth=len(rest) + mailbox.depth(),
        oldest_s=round(oldest_s, 3),
        handled=mailbox.handled - len(rest),
        refused=mailbox.refused,
        busy_s=round(mailbox.busy_s, 6),
    )


class SessionTrace:
    """The trace of one session: it observes the mailboxes of the session's actors.

    It lasts through restarts, a quarantine and a passivation. The session's actor counts messages;
    the Supervisor alone extends and ends the trace.
    """

    def __init__(self, key: SessionKey, scoring: Scoring, clock: Clock) -> None:
        self._key = key
        self._scoring = scoring
        self._clock = clock
        self._mailboxes: list[PooledMailbox] = []
        self._tokens = TRACE_BURST
        self._refilled_s = clock()
        self._messages = self._suppressed = self._unreported = 0
        self.until_s = float("-inf")

    def attach(self, mailbox: PooledMailbox) -> None:
        """Observe the messages that the actor of this mailbox handles."""
        if mailbox.observer is None:
            self._mailboxes.append(mailbox)
            mailbox.observer = self._observe

    def extend(self, for_s: float) -> float:
        """Extend the trace so that it lasts at least `for_s` more; return how long it lasts."""
        now_s = self._clock()
        self.until_s = max(self.until_s, now_s + for_s)
        left_s = self.until_s - now_s
        emit(TraceBegan(for_s=left_s).of_session(*self._key))
        return left_s

    def end(self) -> None:
        """Stop observing."""
        for mailbox in self._mailboxes:
            mailbox.observer = None
        messages, suppressed = self._messages, self._suppressed
        emit(TraceEnded(messages=messages, suppressed=suppressed).of_session(*self._key))

    @contextmanager
    def _observe(self, actor: PooledActor, message: object) -> Iterator[None]:
        """Report the message that is handled in this block, unless the rate limit forbids it."""
        if not isinstance(message, SessionMessage):  # Pykka's own, which stops the actor
            yield
            return
        began_s, has_failed = self._clock(), True
        try:
            yield
            has_failed = False
        finally:
            self._messages += 1
            if self._allow():
                self._report(actor, message, began_s, has_failed=has_failed)
            else:
                self._unreported += 1
                self._suppressed += 1

    def _allow(self) -> bool:
        """Return whether the rate limit allows a line, and count the line if so."""
        now_s = self._clock()
        refill = (now_s - self._refilled_s) * TRACE_LINES_PER_S
        self._tokens = min(TRACE_BURST, self._tokens + refill)
        self._refilled_s = now_s
        is_allowed = self._tokens >= 1
        self._tokens -= is_allowed
        return is_allowed

    def _report(
        self, actor: PooledActor, message: SessionMessage, began_s: float, *, has_failed: bool
    ) -> None:
        events = message.events if isinstance(message, EventBatch) else ()
        suppressed, self._unreported = self._unreported, 0
        emit(
            MessageTraced(
                kind=type(message).__name__,
                events=len(events),
                kinds=Counter(type(event).__name__ for event in events),
                tick_at_ms=message.at_ms if isinstance(message, Tick) else None,
                score=None if has_failed else self._score(actor.handover(), message),
                duration_s=round(self._clock() - began_s, 6),
                mailbox_depth=mailbox_figures(actor.mailbox, began_s).depth,
                has_failed=has_failed,
                suppressed=suppressed,
            ).of_session(*self._key)
        )

    def _score(self, state: object, message: SessionMessage) -> float | None:
        """Return the score at a tick that was handled, computed once more."""
        if not isinstance(message, Tick) or not isinstance(state, SessionState):
            return None
        if not state.has_row_at(message.at_ms):
            return None
        return row_at(message.at_ms, self._key.tenant_id, state, self._scoring).score


class SessionTraces:
    """The traces in progress. Used by the Supervisor's thread alone."""

    def __init__(self, scoring: Scoring, clock: Clock) -> None:
        self._scoring = scoring
        self._clock = clock
        self._traces: dict[SessionKey, SessionTrace] = {}

    def begin(self, key: SessionKey, mailbox: PooledMailbox, for_s: float) -> float:
        """Trace a session for at least `for_s`; return how long its trace lasts."""
        if key not in self._traces:
            self._traces[key] = SessionTrace(key, self._scoring, self._clock)
        self._traces[key].attach(mailbox)
        return self._traces[key].extend(for_s)

    def attach(self, key: SessionKey, mailbox: PooledMailbox) -> None:
        """Continue the trace of a session, if there is one, with a new mailbox."""
        if key in self._traces:
            self._traces[key].attach(mailbox)

    def end_due(self) -> None:
        """End the traces whose time is over."""
        if not self._traces:
            return
        now_s = self._clock()
        for key in [key for key, trace in self._traces.items() if trace.until_s <= now_s]:
            self._traces.pop(key).end()

"""Hears what is asked about sessions, has it answered, and leaves the answers.

A full mailbox or a Router that waits holds up no answer: the Supervisor knows every session, and
a session is asked before all its mail.
"""

from collections import Counter
from collections.abc import Callable
from random import random
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

import msgspec

from conductor_actors.actors.messages import (
    Answered,
    EventBatch,
    Inquiry,
    IntrospectionMessage,
    ReadNext,
    SessionMessage,
    Tick,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox, ThreadMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    Answer,
    Description,
    MailboxFigures,
    StateFigures,
    Upkeep,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import MessageTraced, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import IntrospectionRequests

ANSWER_WAIT_S: Final = 0.25  # so that answers don't wait for the next read
OUTAGE_PAUSE_S: Final = 2.0

Lines: TypeAlias = Literal["stream", "stdout", "none"]


class ServiceFacts(NamedTuple):
    """What no session knows: the next tick, and where the lines of a trace can be read."""

    next_tick_ms: Callable[[], int | None]
    lines: Lines


class IntrospectionActor(SystemActor):
    """A switch over `IntrospectionMessage`. Requests made during an outage are lost."""

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        desk: IntrospectionRequests,
        supervisor: Mailbox,
        facts: ServiceFacts,
    ) -> None:
        super().__init__(context)
        self._desk = desk
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
            case Answered(answer):
                self._answer(answer)
            case _:
                assert_never(message)

    def _read(self) -> None:
        mailbox = self._context.mailbox
        try:
            requests = self._desk.take()
        except (Unavailable, ConfigError) as error:
            self._note(error)
            mailbox.wait(random() * OUTAGE_PAUSE_S)  # noqa: S311 - jitter
            return
        self._outage.worked()
        for request in requests:
            self._supervisor.tell(Inquiry(request, mailbox))
        if requests:
            mailbox.wait(ANSWER_WAIT_S)

    def _answer(self, answer: Answer) -> None:
        next_tick_ms, lines = self._facts
        whole = msgspec.structs.replace(answer, next_tick_ms=next_tick_ms(), lines=lines)
        try:
            self._desk.answer(whole)
        except (Unavailable, ConfigError) as error:
            self._note(error)

    def _note(self, error: Unavailable | ConfigError) -> None:
        """Speak of what an operator must grant; of a Redis that is away others tell."""
        if isinstance(error, ConfigError):
            self._outage.failed(error)


def described(
    inquiry: Inquiry, known: StateFigures, mailbox: PooledMailbox, now_s: float, upkeep: Upkeep
) -> Answered:
    """Make the answer. To be called where nobody else gives the mailbox a turn."""
    request = inquiry.request
    description = Description(
        request.tenant,
        request.session,
        "running" if upkeep.quarantine_left_s is None else "quarantined",
        known,
        mailbox_figures(mailbox, now_s),
        upkeep,
    )
    return Answered(Answer(id=request.id, is_known=True, description=description))


def mailbox_figures(mailbox: PooledMailbox, now_s: float) -> MailboxFigures:
    """Count what waits, also what the turn that goes on has taken out and not handled yet."""
    rest = mailbox.turn.rest if mailbox.turn else []
    oldest_s = now_s - rest[-1].since_s if rest else mailbox.oldest_s(now_s)
    return MailboxFigures(
        depth=len(rest) + mailbox.depth(),
        oldest_s=round(oldest_s, 3),
        handled=mailbox.handled - len(rest),
        refused=mailbox.refused,
        busy_s=round(mailbox.busy_s, 6),
    )


class Handling(NamedTuple):
    """How a message was handled: how long it took, and how many lines were left out before."""

    duration_s: float
    mailbox_depth: int
    score: float | None
    has_failed: bool
    suppressed: int


def tell(key: SessionKey, message: SessionMessage, handling: Handling) -> None:
    """Write one line."""
    events = message.events if isinstance(message, EventBatch) else ()
    emit(
        MessageTraced(
            actor="session",
            tenant=key.tenant_id,
            session=key.session_id,
            kind=type(message).__name__,
            events=len(events),
            kinds=Counter(type(event).__name__ for event in events),
            tick_at_ms=message.at_ms if isinstance(message, Tick) else None,
            score=handling.score,
            duration_s=round(handling.duration_s, 6),
            mailbox_depth=handling.mailbox_depth,
            has_failed=handling.has_failed,
            suppressed=handling.suppressed,
        )
    )

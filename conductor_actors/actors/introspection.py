"""The actor that answers requests to describe or trace a session.

Neither a full mailbox nor a Router that waits delays an answer: the Supervisor knows every
session, and a session handles `Describe` before its other mail.
"""

from collections.abc import Callable
from random import random
from typing import Final, NamedTuple, assert_never

import msgspec

from conductor_actors.actors.messages import (
    Introspect,
    IntrospectionMessage,
    ReadNext,
    SendAnswer,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox, ThreadMailbox
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    MailboxFigures,
    SessionDescription,
    StateFigures,
    Supervision,
    TraceOutput,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import IntrospectionChannel

ANSWER_WAIT_S: Final = 0.25  # answers that arrive within it are sent before the next read
OUTAGE_PAUSE_S: Final = 2.0


class ServiceFacts(NamedTuple):
    """The part of an answer that is the same for every session."""

    next_tick_ms: Callable[[], int | None]
    trace_output: TraceOutput


class IntrospectionActor(SystemActor):
    """A switch over `IntrospectionMessage`. Requests made during an outage of Redis are lost."""

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
                if message is self._next:  # otherwise a failed predecessor sent it
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
        self._outage.record_success()
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
        """Report a missing permission. An outage is reported by other actors."""
        if isinstance(error, ConfigError):
            self._outage.record_failure(error)


def describe_session(
    introspect: Introspect,
    figures: StateFigures,
    mailbox: PooledMailbox,
    now_s: float,
    supervision: Supervision,
) -> SendAnswer:
    """Return the answer that describes a session.

    Call it only while no other thread can run the session's actor.
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
    """Return the figures of a mailbox; messages left in the current turn count as waiting."""
    return MailboxFigures(
        depth=mailbox.depth(),
        oldest_s=round(mailbox.oldest_s(now_s), 3),
        handled=mailbox.handled - len(mailbox.turn),
        refused=mailbox.refused,
        busy_s=round(mailbox.busy_s, 6),
    )

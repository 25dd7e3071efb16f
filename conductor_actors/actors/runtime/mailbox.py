"""Mailboxes, which outlive their actors: they accept mail before the start and across a restart.

They implement the interface of Pykka's inbox (`put`, `get`, `empty`), so `ActorRef.tell` and `ask`
work. Our senders hold the mailbox itself, because `ActorRef.tell` to a dead actor raises.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from sys import intern
from typing import Any, Final, Protocol, TypeAlias

import pykka
from pykka.messages import _ActorStop

from conductor_actors.domain.identity import SessionKey

MAX_TURN_S: Final = 0.005
BACK_PRESSURE_POLL_S: Final = 0.005  # how often a full mailbox downstream is checked


class Envelope:
    """A message and, for `ask`, the future of its reply."""

    __slots__ = ("message", "reply_to", "since_s")

    since_s: float  # when it was delivered

    def __init__(self, message: object, reply_to: pykka.Future[Any] | None = None) -> None:
        self.message = message
        self.reply_to = reply_to


class AnyEnvelope(Protocol):
    """Our envelope or that of Pykka's `ask`."""

    message: Any
    reply_to: Any


def resolve_dead_ask(envelope: AnyEnvelope) -> None:
    """Resolve the future of an `ask` to a dead actor; if it asks for a stop, that has succeeded."""
    if envelope.reply_to is None:
        return
    if isinstance(envelope.message, _ActorStop):
        envelope.reply_to.set(None)
    else:
        envelope.reply_to.set_exception((pykka.ActorDeadError, None, None))


class Mailbox(Protocol):
    """Accepts messages for an actor, whether it is running or not."""

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""

    def depth(self) -> int:
        """Count the messages waiting."""


class ThreadMailbox:
    """The mailbox of an actor with its own thread, which sleeps until there is mail."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._mail: deque[tuple[float, AnyEnvelope]] = deque()
        self._mail_came = threading.Condition()
        self._reminders: set[type] = set()  # the kinds of those that are waiting
        self.clock = clock
        self.handled = 0
        self.observer: MessageObserver | None = None

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""
        self.put(Envelope(message))

    def remind(self, message: object) -> None:
        """Add a message unless one of its kind is waiting; never blocks, never raises.

        So an actor that was busy is reminded once, however many intervals have elapsed.
        """
        with self._mail_came:
            if type(message) not in self._reminders:
                self._reminders.add(type(message))
                self._mail.append((self.clock(), Envelope(message)))
                self._mail_came.notify()

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Add an envelope made by Pykka."""
        with self._mail_came:
            self._mail.append((self.clock(), envelope))
            self._mail_came.notify()

    def get(self) -> AnyEnvelope:
        """Return the next envelope, waiting for one."""
        with self._mail_came:
            while not self._mail:
                self._mail_came.wait()
            self.handled += 1
            _, envelope = self._mail.popleft()
            self._reminders.discard(type(envelope.message))
            return envelope

    def empty(self) -> bool:
        """Check whether no mail is waiting."""
        return not self._mail

    def depth(self) -> int:
        """Count the messages waiting."""
        return len(self._mail)

    def count(self, kind: type) -> int:
        """Count the messages of one type."""
        with self._mail_came:
            return sum(isinstance(envelope.message, kind) for _, envelope in self._mail)

    def oldest_s(self) -> float:
        """Return how long the oldest message has been waiting; 0 when there is none."""
        with self._mail_came:
            return self.clock() - self._mail[0][0] if self._mail else 0.0

    def retire(self) -> None:
        """Resolve every waiting `ask`, as to a dead actor; other mail stays and can be counted."""
        with self._mail_came:
            mail, self._mail = self._mail, deque()
            for since_s, envelope in mail:
                if envelope.reply_to is None:
                    self._mail.append((since_s, envelope))
                else:
                    resolve_dead_ask(envelope)

    def wait(self, timeout_s: float) -> None:
        """Return when there is mail, or after the timeout."""
        with self._mail_came:
            self._mail_came.wait_for(lambda: bool(self._mail), timeout_s)


NO_MAIL: Final[list[Envelope]] = []  # is replaced, and never added to: most mailboxes are empty

# Called with an actor and a message, which is handled within the context that it returns.
MessageObserver: TypeAlias = Callable[[Any, object], AbstractContextManager[None]]


class TurnTaker(Protocol):
    """The part of an actor that its dispatcher uses."""

    def take_turn(self) -> None:
        """Handle the mail of a turn."""

    def report_hung(self, running_s: float) -> None:
        """Report, from another thread, a handler that does not return."""

    def release(self) -> None:
        """Prepare for being freed: no other turn comes."""


class Delivery(Protocol):
    """The part of a dispatcher that its mailboxes use."""

    @property
    def clock(self) -> Callable[[], float]:
        """The clock by which turns are measured."""

    def deliver(self, letters: "Iterable[tuple[PooledMailbox, Envelope]]") -> None:
        """Put envelopes into mailboxes, in order."""

    def close_mailbox(self, mailbox: "PooledMailbox") -> int:
        """Refuse and count mail from now on, and what is waiting; return how much was waiting."""

    def forget(self, mailbox: "PooledMailbox") -> None:
        """Remove a mailbox that will never have an actor again."""


class PooledMailbox:
    """The mailbox of a pooled actor.

    `turn` has the mail of the actor's turn, the next envelope last; it belongs to the thread that
    runs the turn. All other attributes but `observer` belong to the dispatcher, and change only
    under its lock. Counters may be read without it.
    """

    __slots__ = (
        "_dispatcher",
        "actor",
        "busy_s",
        "handled",
        "is_closed",
        "is_new",
        "is_queued",
        "mail",
        "name",
        "observer",
        "on_refusal",
        "priority",
        "queued_s",
        "refused",
        "reported_busy_s",
        "reported_handled",
        "tenant",
        "turn",
        "turn_ends_s",
    )

    def __init__(self, name: str, dispatcher: Delivery) -> None:
        self.name = name  # tenant/session
        self.tenant = intern(SessionKey.parse(name).tenant_id)
        self._dispatcher = dispatcher
        self.mail = NO_MAIL  # grows until it is replaced
        self.priority: tuple[Envelope, ...] = ()  # handled before `mail`
        self.actor: TurnTaker | None = None
        self.is_new = False  # its actor has not had a turn
        self.is_queued = False
        self.queued_s = 0.0  # when it was queued
        self.is_closed = False
        self.on_refusal: Callable[[PooledMailbox, object], None] | None = None
        self.refused = 0
        self.reported_handled = 0  # of `handled`, by the last statistics, which set it
        self.reported_busy_s = 0.0
        self.handled = 0
        self.busy_s = 0.0  # the duration of its turns
        self.turn = NO_MAIL
        self.turn_ends_s = 0.0  # 0.0: has not begun, or has one message alone
        self.observer: MessageObserver | None = None

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""
        self._dispatcher.deliver(((self, Envelope(message)),))

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Add an envelope made by Pykka."""
        ours = Envelope(envelope.message, envelope.reply_to)
        self._dispatcher.deliver(((self, ours),))

    def next_in_turn(self) -> Envelope | None:
        """Return the next envelope of the turn: one at least; None when the turn is over."""
        turn = self.turn
        if not turn:
            return None
        if self.turn_ends_s:
            if self._dispatcher.clock() > self.turn_ends_s:
                return None
        elif len(turn) > 1:
            self.turn_ends_s = self._dispatcher.clock() + MAX_TURN_S
        return turn.pop()

    def empty(self) -> bool:
        """Check whether no mail is waiting."""
        return not (self.mail or self.turn)

    def depth(self) -> int:
        """Count the messages waiting, those of the turn too."""
        return len(self.mail) + len(self.turn)

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest message has been waiting; 0 when there is none."""
        if not (self.mail or self.turn):
            return 0.0
        try:
            return now_s - (self.turn[-1] if self.turn else self.mail[0]).since_s
        except IndexError:  # a thread has just handled it
            return 0.0

    def retire(self) -> None:
        """Refuse and count all mail, because no actor will handle it."""
        self._dispatcher.close_mailbox(self)
        self._dispatcher.forget(self)

"""Mailboxes outlive their actors: mail may come before the start and stays across a restart.

Both kinds implement Pykka's interface of an inbox (`put`, `get`, `empty`), so `ActorRef.tell` and
`ask` work; our senders hold the mailbox itself, because `tell` to a dead actor raises.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import pykka
from pykka.messages import _ActorStop

from conductor_actors.domain.identity import SessionKey

BACK_PRESSURE_POLL_S: Final = 0.005  # while a mailbox downstream is full


class Envelope:
    """A message and, for `ask`, the future of the answer."""

    __slots__ = ("message", "reply_to", "since_s")

    since_s: float  # when a dispatcher took it

    def __init__(self, message: object, reply_to: pykka.Future[Any] | None = None) -> None:
        self.message = message
        self.reply_to = reply_to


class AnyEnvelope(Protocol):
    """Our envelope or Pykka's own, which `ask` makes."""

    message: Any
    reply_to: Any


def answer_for_dead(envelope: AnyEnvelope) -> None:
    """Resolve the future of an `ask` to a dead actor; a stop that was asked for has succeeded."""
    if envelope.reply_to is None:
        return
    if isinstance(envelope.message, _ActorStop):
        envelope.reply_to.set(None)
    else:
        envelope.reply_to.set_exception((pykka.ActorDeadError, None, None))


class Mailbox(Protocol):
    """Where an actor receives its messages, whether it is running or not."""

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""

    def depth(self) -> int:
        """Count the messages waiting."""


class ThreadMailbox:
    """The mailbox of an actor with its own thread, which sleeps until mail comes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._mail: deque[tuple[float, AnyEnvelope]] = deque()
        self._came = threading.Condition()
        self.clock = clock
        self.handled = 0
        self.observer: MessageObserver | None = None

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""
        self.put(Envelope(message))

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Add an envelope made by Pykka."""
        with self._came:
            self._mail.append((self.clock(), envelope))
            self._came.notify()

    def get(self) -> AnyEnvelope:
        """Return the next envelope, waiting for one."""
        with self._came:
            while not self._mail:
                self._came.wait()
            self.handled += 1
            return self._mail.popleft()[1]

    def empty(self) -> bool:
        """Check whether no mail is waiting."""
        return not self._mail

    def depth(self) -> int:
        """Count the messages waiting."""
        return len(self._mail)

    def count(self, kind: type) -> int:
        """Count the messages of one type."""
        with self._came:
            return sum(isinstance(envelope.message, kind) for _, envelope in self._mail)

    def oldest_s(self) -> float:
        """Return how long the oldest message has been waiting; 0 when there is none."""
        with self._came:
            return self.clock() - self._mail[0][0] if self._mail else 0.0

    def retire(self) -> None:
        """Resolve every `ask`, because nobody will answer it; other mail stays and is counted."""
        with self._came:
            mail, self._mail = self._mail, deque()
            for since_s, envelope in mail:
                if envelope.reply_to is None:
                    self._mail.append((since_s, envelope))
                else:
                    answer_for_dead(envelope)

    def wait(self, timeout_s: float) -> None:
        """Return when there is mail, or after the timeout."""
        with self._came:
            self._came.wait_for(lambda: bool(self._mail), timeout_s)


# Called with an actor and a message; the message is handled within the returned block.
MessageObserver: TypeAlias = Callable[[Any, object], AbstractContextManager[None]]


class Delivery(Protocol):
    """The part of a dispatcher that its mailboxes use."""

    def deliver(self, letters: "Iterable[tuple[PooledMailbox, Envelope]]") -> None:
        """Put envelopes into mailboxes, in order."""

    def close_mailbox(self, mailbox: "PooledMailbox") -> int:
        """Refuse and count all mail, including what is waiting; return how much was waiting."""

    def forget(self, mailbox: "PooledMailbox") -> None:
        """Forget a mailbox that will never have an actor again."""


class TurnEnded(Exception):  # noqa: N818 - not an error: how Pykka's loop is left and re-entered
    """A pooled actor has had its turn."""


class PooledMailbox:
    """The mailbox of a pooled actor.

    Everything but `turn` and `observer` belongs to the dispatcher and is changed under its lock
    only. Counters may be read without the lock.
    """

    __slots__ = (
        "_dispatcher",
        "busy_s",
        "discard",
        "handled",
        "is_closed",
        "is_new",
        "is_queued",
        "mail",
        "name",
        "observer",
        "on_refusal",
        "priority",
        "refused",
        "run",
        "tenant",
        "turn",
    )

    def __init__(self, name: str, dispatcher: Delivery) -> None:
        self.name = name  # tenant/session
        self.tenant = SessionKey.parse(name).tenant_id
        self._dispatcher = dispatcher
        self.mail: list[Envelope] = []  # only grows, until it is replaced
        self.priority: tuple[Envelope, ...] = ()  # goes before all mail, in the next turn
        self.run: Callable[[], None] | None = None  # runs a turn of the actor, if there is one
        self.discard: Callable[[float], None] | None = None  # reports that its handler is hung
        self.is_new = False  # its actor has not had a turn yet
        self.is_queued = False
        self.is_closed = False
        self.on_refusal: Callable[[PooledMailbox, object], None] | None = None
        self.refused = 0
        self.handled = 0
        self.busy_s = 0.0  # how long its turns have taken
        self.turn: Turn | None = None
        self.observer: MessageObserver | None = None

    def tell(self, message: object) -> None:
        """Add a message; never blocks, never raises."""
        self._dispatcher.deliver(((self, Envelope(message)),))

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Add an envelope made by Pykka."""
        ours = Envelope(envelope.message, envelope.reply_to)
        self._dispatcher.deliver(((self, ours),))

    def get(self) -> AnyEnvelope:
        """Return the next envelope of the turn."""
        if self.turn is None:
            raise TurnEnded
        return self.turn.next()

    def empty(self) -> bool:
        """Check whether no mail is waiting."""
        return not self.mail

    def depth(self) -> int:
        """Count the messages waiting."""
        return len(self.mail)

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest message has been waiting; 0 when there is none."""
        mail = self.mail  # once, for it may be replaced meanwhile
        return now_s - mail[0].since_s if mail else 0.0

    def retire(self) -> None:
        """Refuse and count all mail: nobody will handle it."""
        self._dispatcher.close_mailbox(self)
        self._dispatcher.forget(self)


class Turn:
    """What an actor may handle before it goes to the back of the queue: at least one envelope."""

    __slots__ = ("_clock", "_max_s", "_until_s", "rest")

    def __init__(self, mail: list[Envelope], clock: Callable[[], float], max_s: float) -> None:
        mail.reverse()  # so that the next one is popped from the end
        self.rest = mail
        self._clock = clock
        self._max_s = max_s
        self._until_s: float | None = None

    def next(self) -> Envelope:
        """Return the next envelope; raise `TurnEnded` when there is none or the time is up."""
        if not self.rest:
            raise TurnEnded
        if self._until_s is None:  # now, not when the turn began: a busy machine may have slept
            self._until_s = self._clock() + self._max_s
        elif self._clock() > self._until_s:
            raise TurnEnded
        return self.rest.pop()


T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

WAKE_EVERY: Final = 1000


class ItemMailbox(Mailbox, Protocol[T_contra]):
    """A mailbox that also takes items."""

    def add(self, item: T_contra) -> None:
        """Add an item: the actor receives it before any message that is added later."""


class CoalescingMailbox(ThreadMailbox, Generic[T]):
    """Hands all items that are there to the actor as one message.

    For what thousands tell one actor at about the same time, as sessions do at a tick. An item
    does not wake the actor; every thousandth does, and so does the next message, which comes
    behind the items. A lock, a message and a thread switch for each would cost more than a score.
    """

    def __init__(
        self,
        coalesce: Callable[[list[T]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._coalesce = coalesce
        self._items: deque[T] = deque()
        self._number = count(1)
        self._has_many = False

    def add(self, item: T) -> None:
        """Add an item; never blocks for long, never raises."""
        self._items.append(item)  # one step of the interpreter, and so is `next`
        if not next(self._number) % WAKE_EVERY:
            with self._came:
                self._has_many = True
                self._came.notify()

    def get(self) -> AnyEnvelope:
        """Return all items as one envelope, else the next envelope, waiting for either."""
        with self._came:
            while not (self._mail or (self._has_many and self._items)):
                self._has_many = False  # they came with the message before
                self._came.wait()
            self._has_many = False
            if not self._items:
                return super().get()
            items = [self._items.popleft() for _ in range(len(self._items))]
            self.handled += len(items)
            return Envelope(self._coalesce(items))

    def empty(self) -> bool:
        """Check whether nothing is waiting that would wake the actor."""
        return not (self._mail or (self._has_many and self._items))

    def depth(self) -> int:
        """Count the messages and items waiting."""
        return len(self._mail) + len(self._items)

    def items(self) -> int:
        """Count the items waiting."""
        return len(self._items)

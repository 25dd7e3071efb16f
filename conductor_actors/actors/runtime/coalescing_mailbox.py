"""A mailbox that delivers the items of many senders to its actor as one message."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from conductor_actors.actors.runtime.mailbox import AnyEnvelope, Envelope, Mailbox, ThreadMailbox

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

ITEMS_PER_WAKE: Final = 1000


class ItemMailbox(Mailbox, Protocol[T_contra]):
    """A mailbox that also accepts items, which are cheaper than messages."""

    def add(self, item: T_contra) -> None:
        """Add an item: the actor receives it before every message that is added later."""


class CoalescingMailbox(ThreadMailbox, Generic[T]):
    """Delivers all waiting items to the actor as one message.

    Thousands of sessions send a row to the same actor at a tick. A lock, a message and a thread
    switch for each would cost more than the score itself, so only a thousand items wake the actor.
    So does the next message, which is delivered after the items.
    """

    def __init__(
        self,
        coalesce: Callable[[list[T]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._coalesce = coalesce
        self._items: deque[T] = deque()
        self._has_many = False

    def add(self, item: T) -> None:
        """Add an item; never blocks for long, never raises."""
        items = self._items
        items.append(item)  # one step of the interpreter: no lock is needed
        if len(items) >= ITEMS_PER_WAKE and not self._has_many:
            with self._mail_came:
                self._has_many = True
                self._mail_came.notify()

    def get(self) -> AnyEnvelope:
        """Return all items as one envelope, else the next envelope, waiting for either."""
        with self._mail_came:
            while not (self._mail or (self._has_many and self._items)):
                self._has_many = False  # they were delivered with an earlier message
                self._mail_came.wait()
            self._has_many = False
            if not self._items:
                return super().get()
            pop = self._items.popleft
            items = [pop() for _ in range(len(self._items))]
            self.handled += len(items)
            return Envelope(self._coalesce(items))

    def empty(self) -> bool:
        """Check whether there is nothing that wakes the actor."""
        return not (self._mail or (self._has_many and self._items))

    def depth(self) -> int:
        """Count the messages and items waiting."""
        return len(self._mail) + len(self._items)

    def items(self) -> int:
        """Count the items waiting."""
        return len(self._items)

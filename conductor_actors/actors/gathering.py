"""A mailbox for what thousands tell one actor at about the same time, as sessions do at a tick."""

import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

from conductor_actors.actors.mailbox import AnyEnvelope, Envelope, Mailbox, ThreadMailbox

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

WAKE_EVERY: Final = 1000


class Gathering(Mailbox, Protocol[T_contra]):
    """A mailbox in which items can be left, too."""

    def leave(self, item: T_contra) -> None:
        """Leave an item: the actor gets it before any message that is told from now on."""


class GatheringMailbox(ThreadMailbox, Generic[T]):
    """Also takes items, of which the actor gets all that are there as one message.

    An item wakes nobody: every thousandth does, or the next message, which comes behind them.
    A lock, a message and a change of threads for each would cost more than scoring it.
    """

    def __init__(
        self,
        gathered: Callable[[list[T]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._gathered = gathered
        self._items: deque[T] = deque()
        self._number = count(1)
        self._has_many = False

    def leave(self, item: T) -> None:
        """Leave an item; never blocks for long, never raises."""
        self._items.append(item)  # one step of the interpreter, and so is `next`
        if not next(self._number) % WAKE_EVERY:
            with self._came:
                self._has_many = True
                self._came.notify()

    def get(self) -> AnyEnvelope:
        """Give the actor what was left, else its next envelope, waiting for either."""
        with self._came:
            while not (self._mail or (self._has_many and self._items)):
                self._has_many = False  # they came with the message before
                self._came.wait()
            self._has_many = False
            if not self._items:
                return super().get()
            items = [self._items.popleft() for _ in range(len(self._items))]
            self.handled += len(items)
            return Envelope(self._gathered(items))

    def empty(self) -> bool:
        """Tell whether nothing is waiting that the actor would be woken for."""
        return not (self._mail or (self._has_many and self._items))

    def depth(self) -> int:
        """Count the messages and items waiting."""
        return len(self._mail) + len(self._items)

    def items(self) -> int:
        """Count the items waiting."""
        return len(self._items)

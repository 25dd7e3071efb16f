"""Rows on their way to the database: the oldest may be set aside, the others wait in memory.

What is set aside is always older than what is in memory, so order is kept.
"""

from collections.abc import Iterable
from enum import Enum, auto
from math import inf
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

SLOW_S: Final = 2.0  # after a write that took longer, and after one that failed, …
MAIL_FIRST_S: Final = 1.0  # … mail goes first, for as long as it takes or this long
DRAIN_ROWS: Final = 10_000
MOST_HALVINGS: Final = 5


class Batch(Generic[T]):
    """Collect items until there are `max_items` or the first has waited `max_age_s`."""

    def __init__(self, max_items: int, max_age_s: float) -> None:
        self.max_items = max_items
        self._max_age_s = max_age_s
        self._items: list[T] = []
        self._since_s = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Iterable[T], now_s: float) -> None:
        """Put items behind the others."""
        if not self._items:
            self._since_s = now_s
        self._items.extend(items)

    def flush_now(self) -> None:
        """Make the items that are there due at once."""
        self._since_s = -inf

    def is_due(self, now_s: float) -> bool:
        """Check whether the batch is due."""
        if not self._items:
            return False
        return len(self._items) >= self.max_items or now_s - self._since_s >= self._max_age_s

    def next(self) -> list[T]:
        """Show the first `max_items`, oldest first; they stay until they are `done`."""
        return self.oldest(self.max_items)

    def oldest(self, count: int) -> list[T]:
        """Show the first `count` items."""
        return self._items[:count]

    def done(self, count: int) -> None:
        """Drop the first `count` items: they have been written."""
        del self._items[:count]


class Step(Enum):
    """What to do next."""

    LOOK = auto()  # whether a predecessor has set anything aside
    SPILL = auto()  # the oldest in memory
    DRAIN = auto()  # write the oldest set aside
    WRITE = auto()  # the oldest in memory
    REST = auto()


class Can(NamedTuple):
    """What may be tried now: a service that has just failed may not."""

    write: bool
    spill: bool
    drain: bool
    mail_waits: bool


class Backlog(Generic[T]):
    """Decide what is written, what is set aside, and how much of it at once.

    Memory holds at most `most` rows and a batch, unless they can be neither written nor set aside.
    """

    def __init__(self, batch: Batch[T], most: int) -> None:
        self._batch = batch
        self._most = most
        self._left = 0  # how many have left memory since the start
        self._promised = 0  # how many must, before anything else is done
        self._outbox_has_rows: bool | None = None  # not known at the start
        self._is_quick = True  # the last write worked, and soon
        self._tried_s = -inf
        self._owes_drain = False
        self._halvings = 0

    def __len__(self) -> int:
        """Count what is in memory."""
        return len(self._batch)

    def overflow(self) -> int:
        """Count what is in memory and should not be."""
        return max(0, len(self._batch) - self._most)

    def add(self, items: Iterable[T], now_s: float) -> None:
        """Put items behind all others."""
        self._batch.add(items, now_s)

    def flush_now(self) -> None:
        """Make what is in memory due at once: no more comes soon."""
        self._batch.flush_now()

    def has_batch(self) -> bool:
        """Check whether a full batch is in memory."""
        return len(self._batch) >= self._batch.max_items

    def promise(self) -> int:
        """Make everything in memory leave first; return the promise to pass to `is_kept`."""
        self._promised = self._left + len(self._batch)
        return self._promised

    def is_kept(self, promise: int) -> bool:
        """Check whether everything that came before a promise has left memory."""
        return self._left >= promise

    def next_step(self, now_s: float, can: Can) -> Step:
        """Return what to do next; what fails is not tried again at once, so it ends with `REST`."""
        if self._outbox_has_rows is None and can.drain:
            return Step.LOOK
        must_leave = self._left < self._promised or self.overflow() > 0
        if must_leave and can.spill and (self._outbox_has_rows or not self._is_quick):
            return Step.SPILL
        if not can.write:
            return Step.REST
        may_take_long = must_leave or not can.mail_waits or now_s - self._tried_s >= MAIL_FIRST_S
        if self._outbox_has_rows:
            return Step.DRAIN if can.drain and (may_take_long or self._owes_drain) else Step.REST
        is_due = must_leave or self._batch.is_due(now_s)
        return Step.WRITE if is_due and (may_take_long or self._is_quick) else Step.REST

    def next_batch(self) -> list[T]:
        """Show what to write of memory; it stays until it has `left`."""
        return self._batch.oldest(self._portion(self._batch.max_items))

    def next_spill(self) -> list[T]:
        """Show what to set aside; it stays until it has `left`."""
        return self._batch.oldest(self._batch.max_items)

    def drain_size(self) -> int:
        """Return how many spilled rows to write at once."""
        return self._portion(DRAIN_ROWS)

    def left(self, count: int) -> None:
        """Drop the oldest from memory: they are written or set aside."""
        self._batch.done(count)
        self._left += count

    def mark_outbox(self, *, holds: bool) -> None:
        """Record whether the outbox has rows.

        To a quick database more is drained than is set aside, though mail may never end.
        """
        self._outbox_has_rows = holds
        self._owes_drain = self._is_quick

    def worked(self, duration_s: float, now_s: float) -> None:
        """Record a successful write: the next may be twice as large, up to a full batch."""
        self._tried(now_s, is_quick=duration_s <= SLOW_S)
        self._halvings = max(0, self._halvings - 1)

    def failed(self, now_s: float) -> None:
        """Record a failed write: half of it may succeed before the deadline."""
        self._tried(now_s, is_quick=False)
        self._halvings = min(MOST_HALVINGS, self._halvings + 1)

    def _tried(self, now_s: float, *, is_quick: bool) -> None:
        self._tried_s = now_s
        self._is_quick = is_quick
        self._owes_drain = False

    def _portion(self, size: int) -> int:
        return max(1, size >> self._halvings)

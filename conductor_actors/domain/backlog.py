"""Rows on their way to the database: the oldest may be spilled to the outbox, the others wait.

Spilled rows are always older than those in memory, so their order is kept.
"""

from collections.abc import Iterable
from enum import Enum, auto
from math import ceil, inf
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

SLOW_WRITE_S: Final = 2.0  # after a write that took longer, and after one that failed, …
MAIL_FIRST_S: Final = 1.0  # … mail goes first, for as long as it takes or this long
MAX_DRAIN_ROWS: Final = 10_000
MAX_HALVINGS: Final = 5


class Batch(Generic[T]):
    """Items that are due once there are `max_items` or the first has waited `max_age_s`."""

    def __init__(self, max_items: int, max_age_s: float) -> None:
        self.max_items = max_items
        self._max_age_s = max_age_s
        self._items: list[T] = []
        self._since_s = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Iterable[T], now_s: float) -> None:
        """Add items behind the others."""
        if not self._items:
            self._since_s = now_s
        self._items.extend(items)

    def flush_now(self) -> None:
        """Make the present items due at once."""
        self._since_s = -inf

    def is_due(self, now_s: float) -> bool:
        """Check whether the batch is due."""
        if not self._items:
            return False
        return len(self._items) >= self.max_items or now_s - self._since_s >= self._max_age_s

    def first(self, count: int) -> list[T]:
        """Return the first `count` items, which stay until they are removed."""
        return self._items[:count]

    def sample(self, count: int) -> list[T]:
        """Return at most `count` items, spread evenly over all, which stay."""
        return self._items[:: max(1, ceil(len(self._items) / count))]

    def remove(self, count: int) -> None:
        """Remove the first `count` items."""
        del self._items[:count]


class BacklogStep(Enum):
    """What to do next."""

    CHECK_OUTBOX = auto()  # for rows that a predecessor has spilled
    SPILL = auto()  # the oldest rows in memory
    DRAIN = auto()  # write the oldest spilled rows
    WRITE = auto()  # the oldest rows in memory
    WAIT = auto()


class Conditions(NamedTuple):
    """What can be tried now (not what has just failed), and whether messages wait."""

    can_write: bool
    can_spill: bool
    can_drain: bool
    has_mail: bool


class Backlog(Generic[T]):
    """Decides which rows to write or to spill next, and how many at once.

    Memory has at most `max_rows` and a batch, unless they can be neither written nor spilled.
    """

    def __init__(self, batch: Batch[T], max_rows: int) -> None:
        self._batch = batch
        self._max_rows = max_rows
        self._removed = 0  # rows that have left memory since the start
        self._flush_until = 0  # so many must have, before anything else is done
        self._outbox_has_rows: bool | None = None  # not known at the start
        self._unanswered_s: float | None = None  # when the first write without success began
        self._is_fast = True  # the last write succeeded within SLOW_WRITE_S
        self._attempt_s = -inf
        self._must_drain = False
        self._halvings = 0

    def __len__(self) -> int:
        """Return the number of rows in memory."""
        return len(self._batch)

    def is_empty(self) -> bool:
        """Check whether no row waits, in memory or in the outbox. Other threads may call it."""
        return len(self._batch) == 0 and self._outbox_has_rows is False

    def overflow(self) -> int:
        """Return how many rows in memory are over the limit."""
        return max(0, len(self._batch) - self._max_rows)

    def add(self, rows: Iterable[T], now_s: float) -> None:
        """Add rows behind all others."""
        self._batch.add(rows, now_s)

    def flush_now(self) -> None:
        """Make the rows in memory due at once: no more come soon."""
        self._batch.flush_now()

    def has_full_batch(self) -> bool:
        """Check whether a full batch is in memory."""
        return len(self._batch) >= self._batch.max_items

    def request_flush(self) -> int:
        """Make the rows in memory leave before anything else; return the mark for `is_flushed`."""
        self._flush_until = self._removed + len(self._batch)
        return self._flush_until

    def is_flushed(self, mark: int) -> bool:
        """Check whether every row that was in memory at `request_flush` has left it."""
        return self._removed >= mark

    def next_step(self, now_s: float, now: Conditions) -> BacklogStep:
        """Return what to do next. What fails is not tried again at once, so it ends with `WAIT`."""
        if self._outbox_has_rows is None and now.can_drain:
            return BacklogStep.CHECK_OUTBOX
        must_leave = self._removed < self._flush_until or self.overflow() > 0
        if must_leave and now.can_spill and (self._outbox_has_rows or not self._is_fast):
            return BacklogStep.SPILL
        if not now.can_write:
            return BacklogStep.WAIT
        may_be_slow = must_leave or not now.has_mail or now_s - self._attempt_s >= MAIL_FIRST_S
        if self._outbox_has_rows:
            can_drain = now.can_drain and (may_be_slow or self._must_drain)
            return BacklogStep.DRAIN if can_drain else BacklogStep.WAIT
        is_due = must_leave or self._batch.is_due(now_s)
        can_write = is_due and (may_be_slow or self._is_fast)
        return BacklogStep.WRITE if can_write else BacklogStep.WAIT

    def next_batch(self) -> list[T]:
        """Return the rows in memory to write next; they stay until they are removed."""
        return self._batch.first(self._reduced(self._batch.max_items))

    def sample(self, count: int) -> list[T]:
        """Return at most `count` rows in memory, spread evenly over all, which stay."""
        return self._batch.sample(count)

    def next_spill(self) -> list[T]:
        """Return the rows in memory to spill next; they stay until they are removed."""
        return self._batch.first(self._batch.max_items)

    def drain_size(self) -> int:
        """Return how many spilled rows to write at once."""
        return self._reduced(MAX_DRAIN_ROWS)

    def remove(self, count: int) -> None:
        """Remove the oldest rows from memory: they are written or spilled."""
        self._batch.remove(count)
        self._removed += count

    def set_outbox(self, *, has_rows: bool) -> None:
        """Record whether the outbox has rows.

        While the database is fast each spill is followed by a drain, which writes more rows, even
        if mail never ends.
        """
        self._outbox_has_rows = has_rows
        self._must_drain = self._is_fast

    def begin_write(self, now_s: float) -> None:
        """Record that a write begins."""
        if self._unanswered_s is None:
            self._unanswered_s = now_s

    def is_away(self, now_s: float, for_s: float) -> bool:
        """Check whether no write has succeeded for longer than this, although some were tried.

        Other threads may call it.
        """
        since_s = self._unanswered_s
        return since_s is not None and now_s - since_s > for_s

    def write_succeeded(self, duration_s: float, now_s: float) -> None:
        """Record a successful write: the next may be twice as large, up to a full batch."""
        self._unanswered_s = None
        self._record_attempt(now_s, is_fast=duration_s <= SLOW_WRITE_S)
        self._halvings = max(0, self._halvings - 1)

    def write_failed(self, now_s: float) -> None:
        """Record a failed write: half of it may succeed before the deadline."""
        self._record_attempt(now_s, is_fast=False)
        self._halvings = min(MAX_HALVINGS, self._halvings + 1)

    def _record_attempt(self, now_s: float, *, is_fast: bool) -> None:
        self._attempt_s = now_s
        self._is_fast = is_fast
        self._must_drain = False

    def _reduced(self, size: int) -> int:
        return max(1, size >> self._halvings)

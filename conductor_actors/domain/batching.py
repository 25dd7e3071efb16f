"""When to write: as soon as a batch is full or its oldest item is old enough."""

from collections.abc import Iterable
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")


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

    def hurry(self) -> None:
        """Let the items that are there wait no longer."""
        self._since_s = -inf

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is time to write."""
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

"""Merge several streams, each in order, into one that is in the order of their ids."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

from conductor_actors.domain.entries import Entry, id_of

# (milliseconds, sequence): every entry with a smaller id has been read.
Frontier: TypeAlias = tuple[int, int]


class Merge:
    """A buffer of entries that leave once no earlier one can still be read."""

    def __init__(self) -> None:
        self._pending: dict[str, list[Entry]] = {}

    def add(self, name: str, entries: Sequence[Entry]) -> None:
        """Add the next entries of a stream, in order."""
        self._pending.setdefault(name, []).extend(entries)

    def release(self, frontier: Frontier) -> list[Entry]:
        """Remove and return what comes before the frontier, ordered by id, then by name."""
        released: list[Entry] = []
        streams = 0
        for pending in self._pending.values():
            end = bisect_left(pending, frontier)
            if end:
                released += pending[:end]
                del pending[:end]
                streams += 1
        if streams > 1:
            released.sort()
        return released

    def first_ids(self) -> dict[str, Frontier]:
        """Return the id of the first pending entry of each stream that has one."""
        return {name: id_of(pending[0]) for name, pending in self._pending.items() if pending}

    def last_time(self, name: str) -> Frontier:
        """Return the time of the last pending entry of a stream; (0, 0) without one."""
        pending = self._pending.get(name)
        return pending[-1][:2] if pending else (0, 0)

    def size(self, name: str) -> int:
        """Return how many entries of a stream are pending."""
        return len(self._pending.get(name, ()))

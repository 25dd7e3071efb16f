"""Several streams, each in order, made one: entries leave in the order of their ids."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

from conductor_actors.domain.intake import Entry

# (milliseconds, sequence): every entry with a smaller id has been read.
Frontier: TypeAlias = tuple[int, int]


class Merge:
    """Hold entries until nothing that comes before them can still be read."""

    def __init__(self) -> None:
        self._held: dict[str, list[Entry]] = {}

    def add(self, name: str, entries: Sequence[Entry]) -> None:
        """Add the next entries of a stream, in order."""
        self._held.setdefault(name, []).extend(entries)

    def release(self, frontier: Frontier) -> list[Entry]:
        """Remove and return what comes before the frontier, ordered by id, then by name."""
        released: list[Entry] = []
        for held in self._held.values():
            cut = bisect_left(held, frontier)
            released += held[:cut]
            del held[:cut]
        released.sort()
        return released

    def oldest(self) -> dict[str, Frontier]:
        """Return the id of the first held entry of each stream."""
        return {name: held[0][:2] for name, held in self._held.items() if held}

    def held(self, name: str) -> int:
        """Count what is held of a stream."""
        return len(self._held.get(name, ()))

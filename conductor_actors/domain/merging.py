"""Several streams, each in order, made one: entries leave in the order of their ids."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from conductor_actors.domain.intake import Entry

# (milliseconds, sequence): every entry with a smaller id has been read.
Frontier: TypeAlias = tuple[int, int]


class Merge:
    """Hold entries until nothing that comes before them can still be read."""

    def __init__(self) -> None:
        self._held: list[Entry] = []

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries of any stream, in any order."""
        self._held.extend(entries)

    def release(self, frontier: Frontier) -> list[Entry]:
        """Give up what comes before the frontier: by id, equal ids by name."""
        self._held.sort()
        cut = bisect_left(self._held, frontier)
        released, self._held = self._held[:cut], self._held[cut:]
        return released

    def oldest(self) -> dict[str, Frontier]:
        """Tell the id of the first entry that is held of each stream."""
        return {name: (ms, sequence) for ms, sequence, name, _ in sorted(self._held, reverse=True)}

    def held(self) -> Counter[str]:
        """Count what is held of each stream."""
        return Counter(name for _, _, name, _ in self._held)

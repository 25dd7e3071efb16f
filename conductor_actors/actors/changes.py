"""Which sessions differ from the last checkpoint that is known to be durable."""

from collections.abc import Iterable
from typing import NamedTuple

from conductor_actors.domain.intake import SessionKey


class Difference(NamedTuple):
    """What a checkpoint must hold."""

    number: int
    changed: frozenset[SessionKey]
    ended: frozenset[SessionKey]
    is_whole: bool


class Changes:
    """Keeps what a checkpoint was to hold until that is durable: the next one holds it, too."""

    def __init__(self, last_number: int = 0, ended: Iterable[SessionKey] = ()) -> None:
        """Go on behind a checkpoint; without one, the first is whole."""
        self._number = last_number
        self._changed: set[SessionKey] = set()
        self._ended: set[SessionKey] = set(ended)
        self._is_whole = last_number == 0
        self._cut: Difference | None = None

    def note_change(self, keys: Iterable[SessionKey]) -> None:
        """Note sessions that were told something."""
        self._changed.update(keys)

    def note_end(self, key: SessionKey) -> None:
        """Note a session that is told nothing more."""
        self._changed.discard(key)
        self._ended.add(key)

    def note_loss(self) -> None:
        """Note that there is nothing to add to any more."""
        self._is_whole = True

    def cut(self, alive: Iterable[SessionKey]) -> Difference:
        """Say what the next checkpoint holds; everything noted later is for the one behind it."""
        living = frozenset(alive)
        if self._cut is not None:  # nobody said that it is durable
            self._changed |= self._cut.changed
            self._ended |= self._cut.ended
            self._is_whole |= self._cut.is_whole
        changed = living if self._is_whole else living & self._changed
        self._number += 1
        self._cut = Difference(
            self._number, changed, frozenset(self._ended - living), self._is_whole
        )
        self._changed, self._ended, self._is_whole = set(), set(), False
        return self._cut

    def committed(self, number: int) -> None:
        """Note that a checkpoint is durable."""
        if self._cut is not None and self._cut.number == number:
            self._cut = None

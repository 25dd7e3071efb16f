"""Compare what a replay finds in sessions with what is stored, by id.

There is little of it: all is in memory until the replay has ended.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from conductor_actors.domain.comparisons.row_comparison import Coverage
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow


class ChangeColumns(Protocol):
    """The columns by which records are found and ordered; `timestamp` is a tick."""

    @property
    def timestamp(self) -> int:
        """The tick at which it began."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def key(self) -> SessionKey:
        """The session that has it."""


C = TypeVar("C", bound=ChangeColumns)

# Returns the stored records that began in a range of ticks, both ends included.
StoredChanges: TypeAlias = Callable[[int, int], Iterable[C]]


class ChangeDifference(NamedTuple, Generic[C]):
    """A record that differs between the two sides, or that one side lacks."""

    stored: C | None
    replayed: C | None


class ChangeComparison(ABC, Generic[C]):
    """Compares records by id, of the ticks that the recording covers, and counts the differences.

    Not compared are sessions with a row before the coverage: what is known of them may depend on
    events before the recording. A change after the coverage counts as none.
    """

    def __init__(self, stored: StoredChanges[C], coverage: Coverage) -> None:
        self._stored = stored
        self._coverage = coverage
        self._older_sessions: dict[SessionKey, int] = {}  # and the tick of the last row
        self._replayed: dict[str, C] = {}
        self._replayed_sessions: set[SessionKey] = set()
        self.compared = self.missing = self.different = self.unexpected = 0
        self.first: ChangeDifference[C] | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both sides have the same."""
        return self.first is None

    def add_tick(self, rows: Sequence[ScoreRow]) -> None:
        """Add the replayed rows of one tick."""
        if rows and rows[0].at_ms < self._coverage.from_ms:
            self._older_sessions |= dict.fromkeys((row.key for row in rows), rows[0].at_ms)
        elif rows and rows[0].at_ms <= self._coverage.until_ms:
            self._replayed_sessions.update(row.key for row in rows)
            for row in rows if self._older_sessions else ():
                self._age(row)
            for row in rows:
                if row.key not in self._older_sessions:
                    self._add(row)

    def finish(self, last_tick_ms: int) -> None:
        """Compare with what is stored, up to the last tick of the replay."""
        until_ms = min(last_tick_ms, self._coverage.until_ms)
        missing = dict(self._replayed)
        for stored in self._stored(self._coverage.from_ms, until_ms):
            if stored.key in self._replayed_sessions and stored.key not in self._older_sessions:
                self._compare(self._covered(stored), missing.pop(stored.id, None))
        for replayed in missing.values():
            self._compare(None, replayed)

    def _age(self, row: ScoreRow) -> None:
        """Record the row of an older session, unless the session was forgotten and began anew."""
        last_ms = self._older_sessions.get(row.key)
        if last_ms is None:
            return
        if 0 < self._coverage.forgotten_after_ms < row.at_ms - last_ms:
            del self._older_sessions[row.key]
        else:
            self._older_sessions[row.key] = row.at_ms

    @abstractmethod
    def _add(self, row: ScoreRow) -> None:
        """Add what a row changes."""

    @abstractmethod
    def _covered(self, stored: C) -> C:
        """Return a stored record without what changed after the coverage."""

    def _compare(self, stored: C | None, replayed: C | None) -> None:
        if stored is None:
            self.missing += 1
        elif replayed is None:
            self.unexpected += 1
        else:
            self.compared += 1
            if stored == replayed:
                return
            self.different += 1
        difference = ChangeDifference(stored, replayed)
        if self.first is None or _order(difference) < _order(self.first):
            self.first = difference


def _order(difference: ChangeDifference[C]) -> tuple[int, SessionKey, str]:
    record = difference.stored or difference.replayed
    assert record is not None  # noqa: S101 - one side has it
    return record.timestamp, record.key, record.id

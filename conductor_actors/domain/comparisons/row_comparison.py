"""Compare replayed rows with stored rows, tick by tick.

Both sides come in the order of their ticks, so only the rows of one tick are in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import ScoreRecord, record_of
from conductor_actors.domain.scoring import ScoreRow

Record: TypeAlias = ScoreRecord[int]  # its time in milliseconds
# Returns the stored rows from a tick on, in the order of their ticks.
StoredRows: TypeAlias = Callable[[int], Iterable[Record]]

_encode: Final = msgspec.msgpack.Encoder().encode


class Coverage(NamedTuple):
    """The ticks that a recording fully covers, both ends included.

    A session that was active before `from_ms` may have begun before the recording. Unless
    `has_older_sessions`, it is not compared until it has had no row for `forgotten_after_ms`.
    """

    from_ms: int
    until_ms: int
    has_older_sessions: bool = True
    forgotten_after_ms: int = 0


class Difference(NamedTuple):
    """A row that differs between the two sides, or that one side lacks."""

    stored: Record | None
    replayed: Record | None

    @property
    def row(self) -> tuple[int, SessionKey]:
        """The tick and the session of the row."""
        record = self.stored or self.replayed
        assert record is not None  # noqa: S101 - one side has it
        return record.time, record.key


@dataclass(slots=True)
class UncoveredRows:
    """Counts of the replayed rows that are not compared, by reason."""

    before_coverage: int = 0
    after_coverage: int = 0
    older_sessions: int = 0

    def total(self) -> int:
        """Return the sum."""
        return self.before_coverage + self.after_coverage + self.older_sessions


class Comparison:
    """Compares the rows of each tick, in order, and counts the differences.

    Stored rows of sessions that are not in the recording are no difference: `other_sessions`.
    """

    def __init__(self, stored_rows: StoredRows, coverage: Coverage) -> None:
        self._stored_rows = stored_rows
        self._coverage = coverage
        self._stored: Iterator[Record] | None = None
        self._next: Record | None = None
        self._replayed_sessions: set[SessionKey] = set()
        self._older_sessions: dict[SessionKey, int] = {}  # and the tick of the last row
        self._unknown_sessions: dict[SessionKey, _UnknownSession] = {}
        self.compared = self.missing = self.different = self.unexpected = self.other_sessions = 0
        self.uncovered = UncoveredRows()
        self.first: Difference | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both sides have the same rows."""
        return self.first is None

    def add_tick(self, rows: Sequence[ScoreRow]) -> None:
        """Compare the replayed rows of one tick."""
        if not rows:
            return
        at_ms = rows[0].at_ms
        replayed = {row.key: record_of(row, at_ms) for row in rows}
        self._replayed_sessions.update(replayed)
        if at_ms > self._coverage.until_ms:
            self.uncovered.after_coverage += len(rows)
        elif at_ms < self._coverage.from_ms:
            self.uncovered.before_coverage += len(rows)
            if not self._coverage.has_older_sessions:
                self._older_sessions |= dict.fromkeys(replayed, at_ms)
        else:
            self._exclude_older_sessions(at_ms, replayed)
            self._match(at_ms, replayed)

    def finish(self, last_tick_ms: int) -> None:
        """Compare the stored rows that are left, up to the last tick of the replay."""
        if self._stored is not None:
            for record in self._stored_until(min(last_tick_ms, self._coverage.until_ms)):
                self._count_surplus(record)
        for key, session in self._unknown_sessions.items():
            if key in self._replayed_sessions:
                self.unexpected += session.rows
                self._add(Difference(session.first, None))
            else:
                self.other_sessions += session.rows
        self._unknown_sessions.clear()

    def _exclude_older_sessions(self, at_ms: int, replayed: dict[SessionKey, Record]) -> None:
        for key, last_ms in [*self._older_sessions.items()]:
            if at_ms - last_ms > self._coverage.forgotten_after_ms:
                del self._older_sessions[key]  # it was forgotten, and may begin anew
            elif replayed.pop(key, None) is not None:
                self._older_sessions[key] = at_ms
                self.uncovered.older_sessions += 1

    def _match(self, at_ms: int, replayed: dict[SessionKey, Record]) -> None:
        stored: dict[SessionKey, Record] = {}
        for record in self._stored_until(at_ms):
            if record.time < at_ms or record.key in stored:
                self._count_surplus(record)
            else:
                stored[record.key] = record
        for key, record in replayed.items():
            self._compare(stored.pop(key, None), record)
        for record in stored.values():
            self._count_surplus(record)

    def _stored_until(self, at_ms: int) -> Iterator[Record]:
        if self._stored is None:
            self._stored = iter(self._stored_rows(at_ms))
            self._next = next(self._stored, None)
        while self._next is not None and self._next.time <= at_ms:
            yield self._next
            self._next = next(self._stored, None)

    def _compare(self, stored: Record | None, replayed: Record) -> None:
        if stored is None:
            self.missing += 1
        else:
            self.compared += 1
            if stored == replayed and _encode(stored) == _encode(replayed):  # 0.0 is not -0.0
                return
            self.different += 1
        self._add(Difference(stored, replayed))

    def _count_surplus(self, record: Record) -> None:
        key = record.key
        if key in self._older_sessions:
            return
        if key in self._replayed_sessions:
            self.unexpected += 1
            self._add(Difference(record, None))
        else:  # a later tick may replay the session: then this row is from before it began
            self._unknown_sessions.setdefault(key, _UnknownSession(record)).rows += 1

    def _add(self, found: Difference) -> None:
        if self.first is None or found.row < self.first.row:
            self.first = found


@dataclass(slots=True)
class _UnknownSession:
    """A session without a replayed row so far: its first stored row, and how many it has."""

    first: Record
    rows: int = 0

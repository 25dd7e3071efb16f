"""Compare rows that were scored again with rows that were kept, tick by tick.

Both sides come in the order of their ticks, so a tick's rows are all that is held at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import ScoreRecord, record_of
from conductor_actors.domain.scoring import ScoreRow

Record: TypeAlias = ScoreRecord[int]  # its time in milliseconds
# Gives the kept rows from a tick on, in the order of their ticks.
Kept: TypeAlias = Callable[[int], Iterable[Record]]

_encode: Final = msgspec.msgpack.Encoder().encode


class Known(NamedTuple):
    """Which ticks a replay knows: all that comes before them has been read, and what began them.

    A session that lives before `from_ms` may have a past that was not read; unless
    `with_sessions_before`, it is not compared until it is over.
    """

    from_ms: int
    until_ms: int
    with_sessions_before: bool = True


class Difference(NamedTuple):
    """A row that is not the same on both sides, or that one side lacks."""

    kept: Record | None
    replayed: Record | None

    @property
    def row(self) -> tuple[int, SessionKey]:
        """Which row it is: its tick and session."""
        record = self.kept or self.replayed
        assert record is not None  # noqa: S101 - one side has it
        return record.time, record.key


class Unknown:
    """Replayed rows that are not compared: how many, and why."""

    def __init__(self) -> None:
        self.too_early = self.too_late = self.older_sessions = 0

    def total(self) -> int:
        """Add them up."""
        return self.too_early + self.too_late + self.older_sessions


class Comparison:
    """Compares the rows of each tick, in order, and counts the differences.

    Kept rows of sessions that the replay never hears of are no difference: `elsewhere`.
    """

    def __init__(self, kept: Kept, known: Known) -> None:
        self._open = kept
        self._known = known
        self._kept: Iterator[Record] | None = None
        self._next: Record | None = None
        self._heard: set[SessionKey] = set()
        self._older: set[SessionKey] = set()
        self._unheard: dict[SessionKey, _Unheard] = {}
        self.compared = self.missing = self.different = self.unexpected = self.elsewhere = 0
        self.unknown = Unknown()
        self.first: Difference | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both sides have the same rows."""
        return self.first is None

    def take(self, rows: Sequence[ScoreRow]) -> None:
        """Compare the replayed rows of one tick."""
        if not rows:
            return
        at_ms = rows[0].at_ms
        replayed = {row.key: record_of(row, at_ms) for row in rows}
        self._heard.update(replayed)
        if at_ms > self._known.until_ms:
            self.unknown.too_late += len(rows)
        elif at_ms < self._known.from_ms:
            self.unknown.too_early += len(rows)
            if not self._known.with_sessions_before:
                self._older = set(replayed)
        else:
            self._leave_out_older(replayed)
            self._match(at_ms, replayed)

    def finish(self, last_tick_ms: int) -> None:
        """Compare the stored rows after the last replayed ones, up to the replay's last tick."""
        if self._kept is not None:
            for record in self._kept_until(min(last_tick_ms, self._known.until_ms)):
                self._find_surplus(record)
        for key, unheard in self._unheard.items():
            if key in self._heard:
                self.unexpected += unheard.rows
                self._note(Difference(unheard.first, None))
            else:
                self.elsewhere += unheard.rows
        self._unheard.clear()

    def _leave_out_older(self, replayed: dict[SessionKey, Record]) -> None:
        self._older &= replayed.keys()  # without a row it is over, and may begin anew
        for key in self._older:
            del replayed[key]
        self.unknown.older_sessions += len(self._older)

    def _match(self, at_ms: int, replayed: dict[SessionKey, Record]) -> None:
        kept: dict[SessionKey, Record] = {}
        for record in self._kept_until(at_ms):
            if record.time < at_ms or record.key in kept:
                self._find_surplus(record)
            else:
                kept[record.key] = record
        for key, record in replayed.items():
            self._compare(kept.pop(key, None), record)
        for record in kept.values():
            self._find_surplus(record)

    def _kept_until(self, at_ms: int) -> Iterator[Record]:
        if self._kept is None:
            self._kept = iter(self._open(at_ms))
            self._next = next(self._kept, None)
        while self._next is not None and self._next.time <= at_ms:
            yield self._next
            self._next = next(self._kept, None)

    def _compare(self, kept: Record | None, replayed: Record) -> None:
        if kept is None:
            self.missing += 1
        else:
            self.compared += 1
            if kept == replayed and _encode(kept) == _encode(replayed):  # 0.0 is not -0.0
                return
            self.different += 1
        self._note(Difference(kept, replayed))

    def _find_surplus(self, record: Record) -> None:
        key = record.key
        if key in self._older:
            return
        if key in self._heard:
            self.unexpected += 1
            self._note(Difference(record, None))
        else:  # it may be heard of later, and this be a row from before it began
            self._unheard.setdefault(key, _Unheard(record)).rows += 1

    def _note(self, found: Difference) -> None:
        if self.first is None or found.row < self.first.row:
            self.first = found


@dataclass(slots=True)
class _Unheard:
    """A session that no replayed row is of so far: its first kept row, and how many it has."""

    first: Record
    rows: int = 0

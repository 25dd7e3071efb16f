"""Split what is read, of all sessions, into blocks by partition.

Each block begins where the partition's last one ended, so a reader sees when one is missing.
Another splitter can then resume from an earlier state and make the same blocks again: readers drop
what they have.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.entries import Entry, RestampedEntry, id_of
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST, Block, Interval
from conductor_actors.domain.partitions.limit_filter import LimitFilter, has_limits
from conductor_actors.domain.partitions.session_routing import SessionRouting

MAX_INTERVAL_MS: Final = 1000  # so long may a partition without entries have no block
NO_BLOCKS: Final[Frontier] = (1 << 62, 0)  # where the blocks of partitions begin that get none

NumberedBlock: TypeAlias = tuple[int, Block]  # with the number of its partition


class SplitRules(NamedTuple):
    """How many partitions there are, and how their entries become batches and ticks."""

    partitions: int
    intake: IntakeRules


class FirstRead(msgspec.Struct, frozen=True, array_like=True):
    """What the first read of all found: it must hold for all partitions, whoever reads again."""

    first_tick_ms: int | None
    directives: dict[str, Directives]


class SplitterState(msgspec.Struct, frozen=True, array_like=True):
    """What a splitter resumes from. Everything before `frontier` was split.

    `held` are entries that were read, but are not before it. `ends` are those of partitions whose
    last block ended elsewhere. `first_read` is set until the first read was split.
    """

    frontier: Frontier = FIRST
    held: Block | None = None
    ends: dict[int, Frontier] = {}
    intake: IntakeState | None = None
    first_read: FirstRead | None = None


class Splitter:
    """Splits reads in order. `frontier` is where the last of them ended."""

    def __init__(
        self,
        rules: SplitRules,
        state: SplitterState | None = None,
        begins: Mapping[int, Frontier] | None = None,
    ) -> None:
        """Begin, or resume from a state.

        With `begins`, make blocks again, of these partitions alone and from these moments on. What
        is before the state is lost: a gap says so.
        """
        state = state or SplitterState()
        numbers = range(rules.partitions)
        self._tick_ms = rules.intake.tick_s * 1000
        self._routing = SessionRouting(rules.partitions, rules.intake.max_event_bytes)
        self._gaps: dict[int, list[Gap]] = {}  # of partitions, until their next block
        self.frontier = state.frontier
        self._held = state.held.entries() if state.held else []
        self._first_read = state.first_read
        self._limits: LimitFilter | None = None
        if has_limits(rules.intake.limits):
            self._limits = LimitFilter(rules.intake, state.intake)
        if begins is None:
            self._ends = [state.ends.get(number, state.frontier) for number in numbers]
        else:
            self._ends = [NO_BLOCKS for _ in numbers]
            for number, begin in begins.items():
                self.add(number, begin)

    def state(self) -> SplitterState:
        """Return the state after the reads so far."""
        held = Block.of(Interval(self.frontier, self.frontier, 0), self._held)
        ends = {number: end for number, end in enumerate(self._ends) if end != self.frontier}
        intake = self._limits.state() if self._limits else None
        return SplitterState(self.frontier, held, ends, intake, self._first_read)

    def add(self, number: int, begin: Frontier) -> None:
        """Make blocks of one more partition, from a moment on."""
        self._ends[number] = begin
        if begin < self.frontier:
            lost = Gap(EVERY_TENANT, "trimmed", None, begin[0], self.frontier[0])
            self._gaps.setdefault(number, []).append(lost)

    def remove(self, number: int) -> None:
        """Make no more blocks of a partition."""
        self._ends[number] = NO_BLOCKS

    def end_of(self, number: int) -> Frontier:
        """Return where the next block of a partition begins."""
        return self._ends[number]

    def pop_refused(self) -> Mapping[tuple[str, str], int]:
        """Return how many events were refused, by tenant and limit, and reset the counts."""
        return self._limits.pop_refused() if self._limits else {}

    def split(self, entries: Sequence[Entry], read: Interval) -> list[NumberedBlock]:
        """Return the blocks of a read, all entries of which are before the end or at it.

        Its begin is ignored. A partition without entries gets a block when a tick has passed, or
        when its last one is a second old.
        """
        released, end = self.frontier, max(self.frontier, read.end)
        if self._first_read is not None:
            read = msgspec.structs.replace(
                read,
                first_tick_ms=self._first_read.first_tick_ms,
                directives=self._first_read.directives,
            )
            self._first_read = None
        if self._limits is not None:
            if read.first_tick_ms is not None:
                self._limits.start_ticks_at(read.first_tick_ms)
            entries = self._limits.admit(entries, read.end[0])
        if end == released:  # entries that turn up late wait for a block that can have them
            self._held = sorted([*self._held, *entries])
            self._add_gaps(range(len(self._ends)), read)
            return []
        self._routing.add(self._ready(entries, end))
        self.frontier = end
        blocks = list(self._blocks(read, released, end))
        for number, _ in blocks:
            self._ends[number] = end
        return blocks

    def _ready(self, entries: Sequence[Entry], end: Frontier) -> Sequence[Entry]:
        """Return the entries before the end, in order; hold the others."""
        if self._held:
            entries = sorted([*self._held, *entries])
        if not entries or entries[-1] < end:
            self._held = []
            return entries
        index = bisect_left(entries, end)
        self._held = [*entries[index:]]
        return entries[:index]

    def _blocks(self, read: Interval, released: Frontier, end: Frontier) -> Iterator[NumberedBlock]:
        """Return the blocks of the groups, and clear the groups."""
        end_ms, has_news = end[0], bool(read.gaps or read.clock_gaps)
        due_ms = max(end_ms - end_ms % self._tick_ms, end_ms - MAX_INTERVAL_MS + 1)
        intervals: dict[Frontier, Interval] = {}
        for number, group in enumerate(self._routing.groups):
            begin = self._ends[number]
            entries: Sequence[Entry] = group
            if group and group[0] < begin:
                entries = _from_begin(group, begin, is_late=begin <= released)
            if end <= begin:
                self._add_gaps((number,), read)
            elif entries or has_news or begin[0] < due_ms or number in self._gaps:
                interval = intervals.get(begin)
                if interval is None:
                    interval = msgspec.structs.replace(read, begin=begin, end=end)
                    intervals[begin] = interval
                if number in self._gaps:
                    gaps = (*self._gaps.pop(number), *read.gaps)
                    interval = msgspec.structs.replace(interval, gaps=gaps)
                yield number, Block.of(interval, entries)
            group.clear()

    def _add_gaps(self, numbers: Iterable[int], read: Interval) -> None:
        """Add the gaps of a read to the next block of partitions that get none now."""
        if read.gaps or read.clock_gaps:
            for number in numbers:
                if self._ends[number] != NO_BLOCKS:
                    self._gaps.setdefault(number, []).extend((*read.gaps, *read.clock_gaps))


def _from_begin(entries: list[Entry], begin: Frontier, *, is_late: bool) -> list[Entry]:
    """Return the entries with those before the begin at it if they are late.

    Otherwise the reader of the blocks has those.
    """
    index = bisect_left(entries, begin)
    if not is_late:
        return entries[index:]
    ms, sequence = begin
    late = [_restamped(entry, ms, sequence + n) for n, entry in enumerate(entries[:index])]
    return sorted([*late, *entries[index:]])


def _restamped(entry: Entry, ms: int, sequence: int) -> Entry:
    restamped = RestampedEntry(entry, ms, sequence)
    restamped.id = id_of(entry)
    return restamped

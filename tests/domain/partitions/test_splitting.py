"""Partitions have the rows of one replay, however their blocks came about."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.entries import Entry, RestampedEntry, id_of
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST, Block, Interval
from conductor_actors.domain.partitions.partition import partition_of
from conductor_actors.domain.partitions.splitting import (
    FirstRead,
    NumberedBlock,
    SplitRules,
    Splitter,
    SplitterState,
)
from conductor_actors.domain.quotas import NO_LIMITS, Limits
from conductor_actors.domain.scoring import ScoreRow
from tests.domain.partitions.split_reads import (
    INTAKE,
    LIMITS,
    SIZES,
    START_MS,
    BlockReader,
    MissingBlockError,
    Read,
    Replayed,
    Source,
    entry_lists,
    reads_of,
    rows_of,
    rules,
    split_all,
    stored,
    whole,
)
from tests.support.event_samples import REACTION

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4, 64])


def read_blocks(blocks: Sequence[NumberedBlock], partitions: int) -> list[BlockReader]:
    readers = [BlockReader() for _ in range(partitions)]
    for number, block in blocks:
        readers[number].read(block)
    return readers


def rows_of_all(readers: Sequence[BlockReader]) -> list[ScoreRow]:
    rows = [row for reader in readers for row in rows_of(rules(), reader.reads)]
    return sorted(rows, key=lambda row: (row.at_ms, row.tenant_id, row.session_id))


@PARTITIONS
@given(entry_lists(), SIZES, LIMITS | st.just(NO_LIMITS))
def test_rows_and_refusals_are_those_of_one_replay(
    partitions: int, entries: list[Entry], sizes: list[tuple[int, bool]], limits: Limits
) -> None:
    expected = Replayed(rules(limits), [whole(entries)])
    splitter = Splitter(SplitRules(partitions, rules(limits).intake))
    readers = read_blocks(split_all(splitter, reads_of(entries, sizes)), partitions)
    assert rows_of_all(readers) == expected.rows
    assert splitter.pop_refused() == expected.refused


@PARTITIONS
@given(entry_lists(), SIZES, LIMITS)
def test_a_splitter_that_resumes_after_each_read_refuses_the_same(
    partitions: int, entries: list[Entry], sizes: list[tuple[int, bool]], limits: Limits
) -> None:
    expected = Replayed(rules(limits), [whole(entries)])
    split_rules = SplitRules(partitions, rules(limits).intake)
    state, blocks, refused = SplitterState(), list[NumberedBlock](), Counter[tuple[str, str]]()
    for read in reads_of(entries, sizes):
        splitter = Splitter(split_rules, state)
        blocks += splitter.split(read.entries, read.interval())
        refused += Counter(splitter.pop_refused())
        state = stored(splitter.state())
    assert rows_of_all(read_blocks(blocks, partitions)) == expected.rows
    assert refused == expected.refused


class Deployment:
    """Two splitters that write to the same streams, and their checkpoints."""

    def __init__(self, entries: Sequence[Entry], rules: SplitRules) -> None:
        self.streams: list[list[Block]] = [[] for _ in range(rules.partitions)]
        self._entries = entries
        self._rules = rules
        self._checkpoints = [(0, SplitterState())]
        self._splitters = [Splitter(rules), Splitter(rules)]
        self._sources = [Source(entries), Source(entries)]

    def read(self, which: int, count: int, *, is_full: bool, is_lost: bool = False) -> None:
        read = self._sources[which].read(count, is_full=is_full)
        self._write(self._splitters[which], read, is_lost=is_lost)

    def commit(self, which: int) -> None:
        state = stored(self._splitters[which].state())
        self._checkpoints.append((self._sources[which].index, state))

    def restart(self, which: int) -> None:
        index, state = self._checkpoints[-1]
        self._sources[which] = Source(self._entries, index)
        self._splitters[which] = Splitter(self._rules, state)

    def rewind(self, which: int, number: int, begin: Frontier) -> None:
        """Write the blocks of a partition again, up to where the splitter has come."""
        index, state = next(
            each for each in reversed(self._checkpoints) if each[1].frontier <= begin
        )
        again = Splitter(self._rules, state, {number: begin})
        source = Source(self._entries, index)
        while again.end_of(number) < self._splitters[which].end_of(number):
            self._write(again, source.read(3, is_full=True))

    def finish(self, which: int) -> None:
        while not self._sources[which].is_at_end:
            self.read(which, 7, is_full=True)
        self.read(which, 0, is_full=False)

    def readers(self) -> list[BlockReader]:
        """Read all blocks, and write some again wherever one is missing."""
        readers = [BlockReader() for _ in self.streams]
        for number, (reader, stream) in enumerate(zip(readers, self.streams, strict=True)):
            missing: Frontier | None = None
            for block in stream:  # which grows
                try:
                    reader.read(block)
                except MissingBlockError:
                    if missing != reader.frontier:
                        missing = reader.frontier
                        self.rewind(0, number, missing)
        return readers

    def _write(self, splitter: Splitter, read: Read, *, is_lost: bool = False) -> None:
        for number, block in splitter.split(read.entries, read.interval()):
            if not is_lost:
                self.streams[number].append(block)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "read", "read", "commit", "restart", "lose", "rewind"]),
        st.integers(0, 1),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=40,
)


@PARTITIONS
@given(entry_lists(), STEPS, LIMITS | st.just(NO_LIMITS))
def test_two_splitters_that_restart_rewind_and_lose_blocks_make_the_same_rows(
    partitions: int,
    entries: list[Entry],
    steps: list[tuple[str, int, int, bool]],
    limits: Limits,
) -> None:
    deployment = Deployment(entries, SplitRules(partitions, rules(limits).intake))
    for action, which, count, flag in steps:
        match action:
            case "commit":
                deployment.commit(which)
            case "restart":
                deployment.restart(which)
            case "rewind":
                begin = (entries[min(count, len(entries) - 1)][0], 0)
                deployment.rewind(which, count % partitions, begin)
            case _:
                deployment.read(which, count, is_full=flag, is_lost=action == "lose")
    deployment.finish(1)
    deployment.finish(0)
    expected = rows_of(rules(limits), [whole(entries)])
    assert rows_of_all(deployment.readers()) == expected


@PARTITIONS
@given(entry_lists(max_kind=2), SIZES, LIMITS | st.just(NO_LIMITS), st.data())
def test_entries_that_turn_up_late_are_in_one_block_and_refused_as_by_one_collector(
    partitions: int,
    entries: list[Entry],
    sizes: list[tuple[int, bool]],
    limits: Limits,
    data: st.DataObject,
) -> None:
    reads = reads_of(entries, sizes)
    late: list[Entry] = []
    changed = list[Read]()
    for read in reads:
        held = [entry for entry in read.entries if data.draw(st.integers(0, 5)) == 0]
        in_time = [entry for entry in read.entries if entry not in held]
        changed.append(Read(sorted([*in_time, *late]), read.watermark_ms))
        late = held
        if data.draw(st.booleans()):  # the next read comes no further
            changed.append(Read(late, read.watermark_ms))
            late = []
    changed.append(Read(late, reads[-1].watermark_ms + 10_000))
    expected = Replayed(rules(limits), changed)
    splitter = Splitter(SplitRules(partitions, rules(limits).intake))
    readers = read_blocks(split_all(splitter, changed), partitions)
    found = [entry for reader in readers for read in reader.reads for entry in read.entries]
    refused = splitter.pop_refused()
    assert refused == expected.refused
    assert len(found) == len(entries) - sum(refused.values())
    ids = Counter((*id_of(entry), *entry[2:]) for entry in found)
    assert not ids - Counter(entries)


def reaction(after_ms: int, session: str = "s") -> Entry:
    return START_MS + after_ms, 0, REACTION, b'{"sessionId":"%b"}' % session.encode()


def split(splitter: Splitter, until_ms: int, *entries: Entry, **of: object) -> dict[int, Block]:
    """Split a read that ends at a moment; the keys `of` its interval are given."""
    interval = Interval(FIRST, (START_MS + until_ms, 0), START_MS + until_ms)
    return dict(splitter.split(entries, msgspec.structs.replace(interval, **of)))


def begun(partitions: int = 4) -> Splitter:
    splitter = Splitter(SplitRules(partitions, INTAKE))
    assert len(split(splitter, 0)) == partitions
    return splitter


def test_the_first_block_of_each_partition_begins_before_everything() -> None:
    blocks = split(Splitter(SplitRules(4, INTAKE)), 0, first_tick_ms=START_MS)
    assert [block.interval.begin for block in blocks.values()] == [FIRST] * 4
    assert [block.interval.first_tick_ms for block in blocks.values()] == [START_MS] * 4


def test_what_the_first_read_found_outlives_the_splitter_that_read_it() -> None:
    state = stored(SplitterState(first_read=FirstRead(START_MS, {})))
    blocks = split(Splitter(SplitRules(4, INTAKE), state), 3000)
    assert [block.interval.first_tick_ms for block in blocks.values()] == [START_MS] * 4


@pytest.mark.parametrize(("first_tick_ms", "refused"), [(None, 0), (START_MS + 60_000, 1)])
def test_limits_begin_with_the_ticks_that_the_first_read_sets(
    first_tick_ms: int | None, refused: int
) -> None:
    one_session = rules(Limits(tenant_sessions=1)).intake
    splitter = Splitter(SplitRules(4, one_session))
    entries = reaction(0), reaction(30_000, "after the timeout of the other")
    split(splitter, 61_000, *entries, first_tick_ms=first_tick_ms)
    assert sum(splitter.pop_refused().values()) == refused


def test_events_of_a_session_since_the_last_tick_count_also_after_a_restart() -> None:
    split_rules = SplitRules(4, rules(Limits(session_events_per_s=0.4)).intake)  # two a tick
    splitter = Splitter(split_rules)
    split(splitter, 3000, reaction(1000), reaction(2000))
    resumed = Splitter(split_rules, stored(splitter.state()))
    split(resumed, 6000, reaction(4000), reaction(5000))
    assert sum(resumed.pop_refused().values()) == 1


def test_a_partition_without_entries_has_a_block_at_each_tick_and_each_second() -> None:
    splitter = begun()
    busy = partition_of("default", "s", 4)
    assert [*split(splitter, 300, reaction(200))] == [busy]
    assert not split(splitter, 999)
    blocks = split(splitter, 1000)
    assert {*blocks} == {0, 1, 2, 3} - {busy}
    assert {block.interval.begin for block in blocks.values()} == {(START_MS, 0)}
    assert {*split(splitter, 1300)} == {busy}
    assert not split(splitter, 1900)
    split(splitter, 4999)
    assert len(split(splitter, 5000)) == 4


def test_an_entry_of_the_millisecond_that_reading_has_come_to_waits_for_the_next_block() -> None:
    splitter = begun()
    assert not split(splitter, 300, reaction(300))
    [block] = split(splitter, 301).values()
    assert block.entries() == [reaction(300)]


def test_a_late_entry_counts_at_the_begin_of_its_block() -> None:
    splitter = begun()
    split(splitter, 5000)
    [block] = split(splitter, 5300, reaction(10)).values()
    [entry] = block.entries()
    assert (entry[:2], id_of(entry)) == ((START_MS + 5000, 0), (START_MS + 10, 0))


def test_a_late_entry_that_has_another_time_already_keeps_its_id() -> None:
    splitter = begun()
    split(splitter, 5000)
    ahead = RestampedEntry(reaction(99_000), START_MS + 10, 0)
    [block] = split(splitter, 5300, ahead).values()
    assert [id_of(entry) for entry in block.entries()] == [(START_MS + 99_000, 0)]


def test_every_partition_is_told_of_a_gap_at_once() -> None:
    splitter = begun()
    gap = Gap("acme", "trimmed", 3, START_MS, START_MS)
    blocks = split(splitter, 100, gaps=(gap,))
    assert [block.interval.gaps for block in blocks.values()] == [(gap,)] * 4


def test_blocks_that_are_made_again_are_of_the_partitions_that_miss_them() -> None:
    state = begun().state()
    again = Splitter(SplitRules(4, INTAKE), state, {1: (START_MS + 2000, 0)})
    assert split(again, 1000, *(reaction(500, f"s{n}") for n in range(9))) == {}
    again.add(2, (START_MS + 4000, 0))
    blocks = split(again, 8000, reaction(1000), reaction(3000, "s"), reaction(5000, "s1"))
    assert [*blocks] == [1, 2]
    assert [block.interval.begin[0] - START_MS for block in blocks.values()] == [2000, 4000]
    numbers = {session: partition_of("default", session, 4) for session in ("s", "s1")}
    assert numbers == {"s": 2, "s1": 1}
    assert blocks[1].entries() == [reaction(5000, "s1")]
    assert blocks[2].entries() == []
    assert again.end_of(1) == again.frontier
    again.remove(1)
    assert [*split(again, 12_000, reaction(11_000, "s1"))] == [2]


def test_blocks_that_are_made_again_have_a_gap_where_no_state_is_early_enough() -> None:
    splitter = begun()
    split(splitter, 5000)
    again = Splitter(SplitRules(4, INTAKE), splitter.state(), {2: (START_MS, 0)})
    gap = Gap(EVERY_TENANT, "restarted", None, START_MS, START_MS)
    blocks = split(again, 8000, gaps=(gap,))
    lost = Gap(EVERY_TENANT, "trimmed", None, START_MS, START_MS + 5000)
    assert {number: block.interval.gaps for number, block in blocks.items()} == {2: (lost, gap)}
    assert blocks[2].interval.begin == (START_MS, 0)

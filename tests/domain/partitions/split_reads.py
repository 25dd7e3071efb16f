"""Reads of a source, drawn at random, and readers of the blocks that a splitter makes of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from conductor_actors.domain.commands import encode_event_mode, encode_session_mode
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import (
    FIRST,
    Block,
    Interval,
    decode_block,
    encode_block,
)
from conductor_actors.domain.partitions.splitting import NumberedBlock, Splitter, SplitterState
from conductor_actors.domain.quotas import NO_LIMITS, Limits
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from tests.support.event_samples import CHAT, COMMANDS, REACTION, SYNC

START_MS = 1_767_528_000_000
INTAKE = IntakeRules(timeout_s=20)
END_MS = 70_000  # after the last entry, when all sessions are over


class Read(NamedTuple):
    entries: Sequence[Entry]
    watermark_ms: int

    def interval(self) -> Interval:
        return Interval(FIRST, (self.watermark_ms, 0), self.watermark_ms)


def split_all(splitter: Splitter, reads: Iterable[Read]) -> list[NumberedBlock]:
    return [each for read in reads for each in splitter.split(read.entries, read.interval())]


def stored(state: SplitterState) -> SplitterState:
    """Return a state as it is read from a checkpoint."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=SplitterState)


class MissingBlockError(Exception):
    """A block begins after what was read; the rest of the blocks is of no use."""


class BlockReader:
    """Reads the blocks of one partition: what is before its frontier it has."""

    def __init__(self) -> None:
        self.frontier: Frontier = FIRST
        self.reads: list[Read] = []

    def read(self, block: Block) -> None:
        block = decode_block(encode_block(block))
        begin, end = block.interval.begin, block.interval.end
        if begin > self.frontier:
            raise MissingBlockError
        if end > self.frontier:
            entries = [entry for entry in block.entries() if entry >= self.frontier]
            assert entries == sorted(entries)
            assert not entries or entries[-1] < end
            self.reads.append(Read(entries, end[0]))
            self.frontier = end


def rows_of(rules: Rules, reads: Iterable[Read]) -> list[ScoreRow]:
    """Return the rows that a collector has of reads."""
    return Replayed(rules, reads).rows


class Replayed:
    """A replay of reads: its rows in order, and what it refused."""

    def __init__(self, rules: Rules, reads: Iterable[Read]) -> None:
        self.rows: list[ScoreRow] = []
        replayer = Replayer(rules, self.rows.extend)
        for read in reads:
            replayer._process(read.entries, read.watermark_ms)
        self.refused = replayer._intake.quotas.pop_refused()
        self.rows.sort(key=lambda row: (row.at_ms, row.tenant_id, row.session_id))


def rules(limits: Limits = NO_LIMITS) -> Rules:
    return Rules(
        msgspec.structs.replace(INTAKE, limits=limits),
        SessionRules(timeout_s=INTAKE.timeout_s),
        Scoring(),
    )


def body_of(kind: int, session: str, user: str, size: int) -> tuple[str, bytes]:
    pad = " " * size
    bodies = {
        0: (REACTION, f'{{"sessionId":"{session}","userId":"{user}"}}'),
        1: (CHAT, f'{{"sessionId":"{session}","message":{{"id":"{user}","authorId":"{user}"}}}}'),
        2: (
            SYNC,
            f'{{"resource":"attendees","action":"join","sessionId":"{session}","userId":"{user}"}}',
        ),
        3: (COMMANDS, encode_session_mode(session, "OFF").decode()),
        4: (COMMANDS, encode_event_mode("e", "AUTO").decode()),
        5: (CHAT, '{"no": "event"}'),
        6: (REACTION, '{"sessionId":"' + session),
    }
    name, body = bodies[kind]
    return name, (body + pad).encode()


@st.composite
def entry_lists(draw: st.DrawFn, max_kind: int = 6) -> list[Entry]:
    """Draw entries in the order of their ids, often several of one millisecond."""
    steps = st.tuples(
        st.sampled_from([0, 0, 0, 1, 7, 300, 999, 1000, 4999, 5000, 26_000]),
        st.integers(0, max_kind),
        st.sampled_from(["s0", "s0", "s0", "s1", "s2", "s3"]),
        st.sampled_from(["u", "v", "w"]),
        st.sampled_from(["", "acme:"]),
        st.sampled_from([0, 0, 0, 1500]),
    )
    at_ms, entries = START_MS, list[Entry]()
    for number, (step_ms, kind, session, user, prefix, size) in enumerate(
        draw(st.lists(steps, min_size=1, max_size=40))
    ):
        at_ms += step_ms
        name, body = body_of(kind, session, user, size)
        entries.append((at_ms, number, prefix + name, body))
    return entries


LIMITS = st.builds(
    Limits,
    st.sampled_from([0.0, 1.0, 3.0]),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0.0, 0.2, 0.4]),
)


class Source:
    """Reads entries from an index on; a read ends at its last entry, or where the next begins."""

    def __init__(self, entries: Sequence[Entry], index: int = 0) -> None:
        self._entries = entries
        self.index = index

    def read(self, count: int, *, is_full: bool) -> Read:
        begin, self.index = self.index, min(len(self._entries), self.index + count)
        entries = self._entries[begin : self.index]
        if self.index == len(self._entries):  # the last read of all shows what was lost before
            watermark_ms = self._entries[-1][0] + (60_000 if entries else END_MS)
        elif is_full and entries:
            watermark_ms = entries[-1][0]
        else:
            watermark_ms = self._entries[self.index][0]
        return Read(entries, watermark_ms)

    @property
    def is_at_end(self) -> bool:
        return self.index == len(self._entries)


SIZES = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30)


def reads_of(entries: Sequence[Entry], sizes: list[tuple[int, bool]]) -> list[Read]:
    source = Source(entries)
    reads = [source.read(count, is_full=is_full) for count, is_full in sizes]
    return [*reads, *(source.read(len(entries), is_full=False) for _ in range(2))]


def whole(entries: Sequence[Entry]) -> Read:
    return Read(entries, entries[-1][0] + END_MS)

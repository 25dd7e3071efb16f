"""Reads as a source returns them, and readers of the blocks that a splitter makes of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from conductor_actors.domain.blocks import FIRST, Block, Interval, decode_block, encode_block
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.splitting import NumberedBlock, Splitter, SplitterState


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

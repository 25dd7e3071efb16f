"""Write blocks again that readers miss, beside the current ones.

A reader misses blocks that its Redis has lost, or has trimmed while the partition had no owner. A
second source reads the streams again for it, from an earlier checkpoint up to the current blocks,
so that no other partition waits.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from conductor_actors.app.splitting_ports import SplitterPorts, interval_of
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import Block, Interval
from conductor_actors.domain.partitions.splitting import NumberedBlock, SplitRules, Splitter
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import BlocksRewritten, GapDetected, emit
from conductor_actors.ports import Clock, EventSource

REWIND_POLL_S: Final = 0.5
MAX_REWRITE_S: Final = 0.1  # at once; then current blocks are written


class BlockRewriter:
    """Serves the requests of readers, several at once. Call `run` between reads."""

    def __init__(
        self, ports: SplitterPorts, rules: SplitRules, current: Splitter, clock: Clock
    ) -> None:
        self._ports = ports
        self._rules = rules
        self._current = current
        self._clock = clock
        self._next_poll_s = clock()
        self._waiting: dict[int, Frontier] = {}
        self._rewrite: _Rewrite | None = None

    def run(self) -> None:
        """Accept requests, and write some of the blocks again that are asked for."""
        if self._clock() >= self._next_poll_s:
            self._next_poll_s = self._clock() + REWIND_POLL_S
            self._accept(self._ports.rewinds.pop())
        with suppress(Unavailable, ConfigError):  # as the current reads report
            if self._rewrite is None and self._waiting:
                self._begin()
            if self._rewrite is not None:
                self._continue(self._rewrite)

    def close(self) -> None:
        """Close the second source, if there is one."""
        if self._rewrite is not None:
            self._rewrite.source.close()

    def _accept(self, requests: Mapping[int, Frontier]) -> None:
        for number, begin in requests.items():
            if begin >= self._current.end_of(number):
                continue  # the next block begins there, or earlier
            if self._rewrite is None or not self._rewrite.accept(number, begin):
                self._waiting[number] = min(begin, self._waiting.get(number, begin))

    def _begin(self) -> None:
        begins, checkpoint = self._waiting, None
        if self._ports.open_streams is not None:
            checkpoint = self._ports.checkpoints.newest_before(min(begins.values()))
        if self._ports.open_streams is None or checkpoint is None:
            self._write_gaps(begins)
        else:
            source = self._ports.open_streams()
            source.resume(checkpoint.position)
            self._rewrite = _Rewrite(
                source, Splitter(self._rules, checkpoint.state, begins), begins
            )
            if self._ports.has_messages:  # which were published once, and are in no stream
                until_ms = self._current.frontier[0]
                self._rewrite.gaps = (_lost(min(begins.values()), until_ms, "restarted"),)
        self._waiting = {}
        from_ms = min(begins.values())[0]
        read_from_ms = checkpoint.state.frontier[0] if checkpoint else self._current.frontier[0]
        lost_s = max(0, read_from_ms - from_ms) / 1000
        emit(BlocksRewritten(partitions=len(begins), from_ms=from_ms, lost_s=lost_s))
        if lost_s:
            emit(GapDetected(tenant=EVERY_TENANT, reason="trimmed", lost_events=None))

    def _write_gaps(self, begins: Mapping[int, Frontier]) -> None:
        """Write blocks without entries up to the current ones: nothing can be read again."""
        blocks = []
        for number, begin in begins.items():
            end = self._current.end_of(number)
            gaps = (_lost(begin, end[0], "trimmed"),)
            blocks.append((number, Block.of(Interval(begin, end, end[0], gaps), ())))
        self._ports.writer.write(blocks)

    def _continue(self, rewrite: "_Rewrite") -> None:
        until_s = self._clock() + MAX_REWRITE_S
        while rewrite.begins and self._clock() < until_s:
            self._ports.writer.write(rewrite.read())  # a reader asks again for what is not written
            rewrite.end_those_at(self._current)
        if not rewrite.begins:
            rewrite.source.close()
            self._rewrite = None


class _Rewrite:
    """A source and a splitter that are behind the current ones, and for which partitions."""

    def __init__(
        self, source: EventSource, splitter: Splitter, begins: dict[int, Frontier]
    ) -> None:
        self.source = source
        self.begins = begins
        self.gaps: tuple[Gap, ...] = ()
        self._splitter = splitter

    def accept(self, number: int, begin: Frontier) -> bool:
        """Write the blocks of one more partition, too; return False if they were earlier."""
        if number not in self.begins:
            if begin < self._splitter.frontier:
                return False
            self.begins[number] = begin
            self._splitter.add(number, begin)
        return begin >= self.begins[number]

    def read(self) -> Sequence[NumberedBlock]:
        """Return the blocks of the next read."""
        read = self.source.read()
        gaps, self.gaps = self.gaps, ()
        return self._splitter.split(
            read.entries, interval_of(read._replace(gaps=(*gaps, *read.gaps)))
        )

    def end_those_at(self, current: Splitter) -> None:
        """Write no more of the partitions whose next block the current splitter writes."""
        for number in [*self.begins]:
            if self._splitter.end_of(number) >= current.end_of(number):
                del self.begins[number]
                self._splitter.remove(number)


def _lost(begin: Frontier, until_ms: int, reason: str) -> Gap:
    return Gap(EVERY_TENANT, reason, None, begin[0], until_ms)

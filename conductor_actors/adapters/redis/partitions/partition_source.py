"""Read the events of a partition from the blocks that the splitter writes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline, server_time_ms
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.entry_ids import parse_id
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    PARTITION_KEY,
    REWIND_KEY,
    key_of,
)
from conductor_actors.adapters.redis.ownership.checkpoint_errors import unreadable
from conductor_actors.adapters.redis.partitions.partition_position import (
    PartitionPosition,
    decode_position,
    encode_position,
)
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST, Block, Interval, decode_block
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import BlocksRepeated, RewindRequested, emit
from conductor_actors.ports import Clock, ReadResult

BLOCKS_PER_READ: Final = 64
WAIT_MS: Final = 200
REPEATED_REPORT_INTERVAL_S: Final = 1.0
REWIND_INTERVAL_S: Final = 5.0  # a splitter that goes back needs some time to come here again
SILENCE_S: Final = 5.0  # longer than the splitter leaves out a partition


class PartitionSource:
    """An `EventSource`.

    A splitter may write a block again, or two may write at once: what is before the frontier is
    dropped. A block that begins after it is not read, because entries are missing: the splitter is
    asked to go back.
    """

    def __init__(self, url: str, partition: Partition, clock: Clock = time.monotonic) -> None:
        self._client = open_client(url, partition=partition)
        self._key = key_of(partition, PARTITION_KEY)
        self._rewind_key = key_of(partition, REWIND_KEY)
        self._checkpoint_key = key_of(partition, CHECKPOINT_KEY)
        self._clock = clock
        self._frontier: Frontier = FIRST
        self._after = PartitionPosition().after
        self._next_request_s = clock()
        self._next_check_s = clock() + SILENCE_S
        self._offset_ms = 0  # by which the clock of the events is ahead of that of this server
        self._repeated = 0  # blocks, since the last report
        self._next_report_s = clock()
        self._options: tuple[object, ...] = "COUNT", BLOCKS_PER_READ  # the first read does not wait

    def subscribe(self) -> None:
        """Do nothing: blocks wait until they are read."""

    def resume(self, position: bytes) -> None:
        """Read on from the position of another source; call this before the first read."""
        try:
            resumed = decode_position(position)
        except msgspec.MsgspecError:
            raise unreadable(f"the position in {self._checkpoint_key}") from None
        self._frontier, self._after = resumed.frontier, resumed.after

    def position(self) -> bytes:
        """Return the position after the entries of all reads so far."""
        return encode_position(PartitionPosition(self._frontier, self._after))

    def read(self) -> ReadResult:
        """Return the entries of the next blocks; wait a fraction of a second if there are none.

        The first read returns at once, so that a partition starts without a pause.
        """
        with mapped_errors():
            now, streams = pipeline(
                self._client,
                [("TIME",), ("XREAD", *self._options, "STREAMS", self._key, self._after)],
            )
        self._options = "COUNT", BLOCKS_PER_READ, "BLOCK", WAIT_MS
        [[_, raw_blocks]] = streams or [[self._key, []]]
        if raw_blocks:
            self._next_check_s = self._clock() + SILENCE_S
        else:
            self._begin_anew_if_ids_went_back()
        return self._read_result(self._next_blocks(raw_blocks), server_time_ms(now))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _begin_anew_if_ids_went_back(self) -> None:
        """Read the stream from its beginning if its ids are before those that were read.

        The server has lost blocks then, and its clock is behind that of the former one.
        """
        if self._clock() < self._next_check_s:
            return
        self._next_check_s = self._clock() + SILENCE_S
        with mapped_errors():
            [newest] = pipeline(self._client, [("XREVRANGE", self._key, "+", "-", "COUNT", 1)])
        if newest and parse_id(newest[0][0]) < parse_id(self._after):
            self._after = PartitionPosition().after

    def _next_blocks(self, raw_blocks: Sequence[Any]) -> Iterator[tuple[Interval, list[Entry]]]:
        """Return those that begin at the frontier or before it, each without what was read."""
        for block_id, fields in raw_blocks:
            self._after = block_id
            block = _decoded(fields)
            if block is None or block.interval.begin > self._frontier:
                self._request_rewind("hole" if block else "unreadable")
            elif block.interval.end > self._frontier:
                frontier, self._frontier = self._frontier, block.interval.end
                self._offset_ms = block.interval.now_ms - parse_id(block_id)[0]
                entries = block.entries()
                if block.interval.begin < frontier:
                    entries = [entry for entry in entries if entry[:2] >= frontier]
                yield block.interval, entries
            else:
                self._repeated += 1
        self._report_repeated()

    def _report_repeated(self) -> None:
        now_s = self._clock()
        if self._repeated and now_s >= self._next_report_s:
            self._next_report_s = now_s + REPEATED_REPORT_INTERVAL_S
            emit(BlocksRepeated(blocks=self._repeated))
            self._repeated = 0

    def _read_result(
        self, blocks: Iterator[tuple[Interval, list[Entry]]], server_ms: int
    ) -> ReadResult:
        """Return what blocks have, and the time by the clock of the events, not of this server."""
        entries, gaps, clock_gaps = list[Entry](), list[Gap](), list[Gap]()
        first: Interval | None = None
        is_new, read_ms = self._frontier == FIRST, 0
        for interval, new_entries in blocks:
            if is_new and first is None:
                first = interval
            entries += new_entries
            gaps += interval.gaps
            clock_gaps += interval.clock_gaps
            read_ms = interval.now_ms
        return ReadResult(
            entries,
            self._frontier[0],
            max(server_ms + self._offset_ms, read_ms),
            gaps,
            first.first_tick_ms if first else None,
            clock_gaps,
            first.directives if first else {},
        )

    def _request_rewind(self, reason: str) -> None:
        """Ask the splitter to write the blocks from the frontier on again.

        Without an answer, the next block asks again: what was read before this one is not lost.
        """
        if self._clock() < self._next_request_s:
            return
        ms, sequence = self._frontier
        with suppress(Unavailable), mapped_errors():
            pipeline(self._client, [("SET", self._rewind_key, f"{ms}-{sequence}")])
            self._next_request_s = self._clock() + REWIND_INTERVAL_S
            emit(RewindRequested(from_ms=ms, reason=reason))


def _decoded(fields: Sequence[bytes]) -> Block | None:
    try:
        return decode_block(fields[1])
    except (msgspec.DecodeError, LookupError):
        return None

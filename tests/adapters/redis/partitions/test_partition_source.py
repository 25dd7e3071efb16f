"""Blocks of a partition, as its reader reads them from a real server."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from structlog.testing import capture_logs

from conductor_actors.adapters.redis.connections.pipelines import server_time_ms
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.partition_checkpoints import PartitionCheckpoints
from conductor_actors.adapters.redis.partitions.partition_source import SILENCE_S, PartitionSource
from conductor_actors.domain.checkpoints.encoding import Header, encode_header
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.entries import Entry, RestampedEntry
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.partitions.blocks import Block, Interval, encode_block
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError
from conductor_actors.ports import Checkpoint, ReadResult
from tests.support.fakes.fake_clock import FakeClock

PARTITION = Partition(7, 64)
KEY, REWIND = "conductor:part:{7}", "conductor:rewind:{7}"
NOW_MS = 1_000
CLOCK_TOLERANCE_MS = 2_000


def entry(ms: int) -> Entry:
    return (ms, 0, "sync-events", b"%d" % ms)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(valkey_url: str, clock: FakeClock) -> Iterator[PartitionSource]:
    with closing(PartitionSource(valkey_url, PARTITION, clock)) as source:
        yield source


def write(
    client: redis.Redis, begin_ms: int, end_ms: int, *entries: Entry, **known: object
) -> bytes:
    """Write the block of an interval as the splitter does; return its id."""
    interval = Interval((begin_ms, 0), (end_ms, 0), NOW_MS, **known)  # type: ignore[arg-type]
    return bytes(client.xadd(KEY, {"b": encode_block(Block.of(interval, entries))}))  # type: ignore[arg-type]


def read(source: PartitionSource) -> tuple[list[int], int]:
    """Return the times of the entries of a read, and its watermark."""
    result = source.read()
    return [each[0] for each in result.entries], result.watermark_ms


def test_the_entries_of_blocks_are_read_in_order_up_to_the_end_of_the_last(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    write(redis_client, 0, 10, entry(3), entry(9))
    write(redis_client, 10, 20, entry(12))
    write(redis_client, 20, 30)
    assert read(source) == ([3, 9, 12], 30)
    assert read(source) == ([], 30)


def test_what_was_read_before_is_dropped_whoever_wrote_it_again(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    write(redis_client, 0, 10, entry(3), entry(9))
    write(redis_client, 0, 7, entry(3))
    write(redis_client, 7, 15, entry(9), entry(12))
    write(redis_client, 10, 20, entry(12), entry(15))
    assert read(source) == ([3, 9, 12, 15], 20)


def test_repeated_blocks_are_reported_once_a_second(
    source: PartitionSource, redis_client: redis.Redis, clock: FakeClock
) -> None:
    write(redis_client, 0, 10, entry(3))
    with capture_logs() as lines:
        for _ in range(3):
            write(redis_client, 0, 10, entry(3))
            read(source)
        clock.advance(1.0)
        read(source)
    found = [(line["event"], line["blocks"]) for line in lines]
    assert found == [("blocks_repeated", 1), ("blocks_repeated", 2)]


def test_after_a_hole_nothing_is_read_until_the_splitter_has_gone_back(
    source: PartitionSource, redis_client: redis.Redis, clock: FakeClock
) -> None:
    write(redis_client, 0, 10, entry(3))
    write(redis_client, 20, 30, entry(25))
    with capture_logs() as lines:
        assert read(source) == ([3], 10)
    assert [line["reason"] for line in lines if line["event"] == "rewind_requested"] == ["hole"]
    assert redis_client.getdel(REWIND) == b"10-0"
    write(redis_client, 30, 40, entry(35))
    assert read(source) == ([], 10)
    assert redis_client.get(REWIND) is None  # it was asked a moment ago
    clock.now_s += 5.0
    write(redis_client, 40, 50)
    read(source)
    assert redis_client.get(REWIND) == b"10-0"
    write(redis_client, 5, 50, entry(7), entry(15), entry(25), entry(35))
    assert read(source) == ([15, 25, 35], 50)


def test_an_outage_when_the_splitter_is_asked_loses_no_entry(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    write(redis_client, 0, 10, entry(3))
    write(redis_client, 20, 30, entry(25))
    redis_client.config_set("maxmemory", 1)
    try:
        assert read(source) == ([3], 10)
    finally:
        redis_client.config_set("maxmemory", 0)


def test_blocks_of_a_server_that_lost_some_and_whose_clock_is_behind_are_read_after_a_silence(
    source: PartitionSource, redis_client: redis.Redis, clock: FakeClock
) -> None:
    write(redis_client, 0, 10, entry(3))
    assert read(source) == ([3], 10)
    redis_client.delete(KEY)
    block = Block.of(Interval((10, 0), (20, 0), NOW_MS), [entry(12)])
    redis_client.xadd(KEY, {"b": encode_block(block)}, id="1-1")
    assert read(source) == ([], 10)
    clock.now_s += SILENCE_S
    assert read(source) == ([], 10)
    assert read(source) == ([12], 20)
    position = source.position()
    clock.now_s += SILENCE_S
    assert read(source) == ([], 20)
    assert source.position() == position


@pytest.mark.parametrize("ahead_ms", [-100_000, 0, 100_000])
def test_the_time_is_that_of_the_clock_of_the_events_whatever_this_server_takes_it_to_be(
    source: PartitionSource, redis_client: redis.Redis, ahead_ms: int
) -> None:
    def now_ms() -> int:
        return server_time_ms(redis_client.time()) + ahead_ms

    def write_at(begin_ms: int, read_ms: int) -> None:
        interval = Interval((begin_ms, 0), (begin_ms + 10, 0), read_ms)
        redis_client.xadd(KEY, {"b": encode_block(Block.of(interval, []))})

    write_at(0, now_ms())
    for begin_ms in (10, 20):
        assert abs(source.read().now_ms - now_ms()) < CLOCK_TOLERANCE_MS
        assert abs(source.read().now_ms - now_ms()) < CLOCK_TOLERANCE_MS  # without a block
        write_at(begin_ms, now_ms())


def test_a_block_that_was_read_before_does_not_change_the_time(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    """As one of a splitter that was frozen between its read and the write."""
    now_ms = server_time_ms(redis_client.time())
    for read_ms in (now_ms, now_ms - 60_000):
        late = Interval((0, 0), (10, 0), read_ms)
        redis_client.xadd(KEY, {"b": encode_block(Block.of(late, []))})
    assert abs(source.read().now_ms - now_ms) < CLOCK_TOLERANCE_MS


def test_a_damaged_block_is_asked_for_again(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    write(redis_client, 0, 10, entry(3))
    redis_client.xadd(KEY, {"b": b"no block"})
    with capture_logs() as lines:
        assert read(source) == ([3], 10)
    assert [line["reason"] for line in lines] == ["unreadable"]
    assert redis_client.get(REWIND) == b"10-0"


def test_the_first_block_says_where_ticks_begin_and_every_block_what_is_missing(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    gap, clock_gap = Gap("acme", "trimmed", 3, 1, 2), Gap("acme", "clock", 0, 1, 2)
    directives = {"acme": Directives()}
    write(redis_client, 0, 10, first_tick_ms=5, directives=directives)
    write(redis_client, 10, 20, gaps=(gap,), clock_gaps=(clock_gap,))
    write(redis_client, 10, 20, gaps=(gap,))  # by another splitter
    found = source.read()._replace(now_ms=NOW_MS)
    assert found == ReadResult([], 20, NOW_MS, [gap], 5, [clock_gap], directives)


def test_ticks_begin_once_also_if_the_first_block_was_written_twice(
    source: PartitionSource, redis_client: redis.Redis
) -> None:
    write(redis_client, 0, 10, first_tick_ms=5)
    write(redis_client, 0, 20, first_tick_ms=15)
    assert source.read().first_tick_ms == 5
    write(redis_client, 0, 30, first_tick_ms=25)
    assert source.read().first_tick_ms is None


def test_a_restamped_entry_keeps_its_id(source: PartitionSource, redis_client: redis.Redis) -> None:
    write(redis_client, 0, 10, RestampedEntry(entry(99), 4, 1))
    [found] = source.read().entries
    assert isinstance(found, RestampedEntry)
    assert (found[:2], found.id) == ((4, 1), (99, 0))


def test_another_reader_continues_from_the_position(
    source: PartitionSource, redis_client: redis.Redis, valkey_url: str
) -> None:
    write(redis_client, 0, 10, entry(3))
    read(source)
    write(redis_client, 5, 20, entry(7), entry(12))
    with closing(PartitionSource(valkey_url, PARTITION)) as successor:
        successor.resume(source.position())
        assert read(successor) == ([12], 20)


def test_a_damaged_position_says_what_to_delete(source: PartitionSource) -> None:
    with pytest.raises(ConfigError, match=r"conductor:checkpoint:\{7\}"):
        source.resume(b"x")


def test_a_checkpoint_trims_the_blocks_before_it(
    source: PartitionSource, redis_client: redis.Redis, valkey_url: str
) -> None:
    write(redis_client, 0, 10, entry(3))
    read(source)
    last = write(redis_client, 10, 20, entry(12))
    with closing(RedisLease(valkey_url, PARTITION)) as lease:
        lease.acquire_or_renew()
        header = Header(1, 60, source.position(), IntakeState())
        with closing(PartitionCheckpoints(valkey_url, lease.fence, PARTITION)) as checkpoints:
            assert checkpoints.commit(Checkpoint(encode_header(header), {}, is_full=True))
    ids = [block_id for block_id, _ in redis_client.xrange(KEY)]  # type: ignore[union-attr]
    assert ids[-1] == last
    assert len(ids) == 2  # the one that was read last marks the place


def test_a_checkpoint_of_a_former_owner_trims_nothing(
    source: PartitionSource, redis_client: redis.Redis, valkey_url: str
) -> None:
    write(redis_client, 0, 10, entry(3))
    with closing(RedisLease(valkey_url, PARTITION)) as lease:
        lease.acquire_or_renew()
    header = Header(1, 60, source.position(), IntakeState())
    with (
        closing(PartitionCheckpoints(valkey_url, Fence(PARTITION), PARTITION)) as checkpoints,
        pytest.raises(Exception, match="owns these events"),
    ):
        checkpoints.commit(Checkpoint(encode_header(header), {}, is_full=True))
    assert redis_client.xlen(KEY) == 1

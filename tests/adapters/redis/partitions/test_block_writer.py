"""Blocks in Redis: those of a server are written together, and no server delays the others."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
import redis

from conductor_actors.adapters.redis.partitions.block_writer import MAX_BLOCKS, BlockWriter
from conductor_actors.adapters.redis.partitions.partition_source import PartitionSource
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST, Block, Interval
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from tests.support.event_samples import CHAT
from tests.support.valkey_servers import ValkeyServer, valkey_server

ENTRIES: list[Entry] = [(5, 0, CHAT, b"one"), (7, 1, CHAT, b"two")]


def block(*entries: Entry, begin: Frontier = FIRST, end: Frontier = (9, 0)) -> Block:
    return Block.of(Interval(begin, end, 9), entries)


def blocks_in(client: redis.Redis) -> dict[str, int]:
    """Return how many blocks each stream has."""
    keys = sorted(str(key, "ascii") for key in client.keys("conductor:part:*"))  # type: ignore[arg-type]
    return {key: client.xlen(key) for key in keys}


@pytest.fixture
def other() -> Iterator[ValkeyServer]:
    with valkey_server() as server:
        yield server


def test_a_partition_reads_the_blocks_that_were_written_for_it(valkey_url: str) -> None:
    with closing(BlockWriter([valkey_url], 3)) as writer:
        assert not writer.write([(0, block()), (2, block(*ENTRIES))])
        assert not writer.write([(2, block((9, 1, CHAT, b"three"), begin=(9, 0), end=(12, 0)))])
    with ExitStack() as stack:
        sources = [
            stack.enter_context(closing(PartitionSource(valkey_url, each)))
            for each in all_partitions(3)
        ]
        reads = [source.read() for source in sources]
    assert [list(read.entries) for read in reads] == [[], [], [*ENTRIES, (9, 1, CHAT, b"three")]]
    assert [read.watermark_ms for read in reads] == [9, 0, 12]


def test_a_stream_without_a_collector_has_a_bounded_number_of_blocks(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    with closing(BlockWriter([valkey_url], 1)) as writer:
        for _ in range(12):
            assert not writer.write([(0, block())] * 1000)
    assert MAX_BLOCKS <= redis_client.xlen("conductor:part:{0}") < 1.1 * MAX_BLOCKS


def test_each_partition_is_on_its_server(
    valkey_url: str, redis_client: redis.Redis, other: ValkeyServer
) -> None:
    with closing(BlockWriter([valkey_url, other.url], 4)) as writer:
        assert not writer.write([(number, block()) for number in range(4)])
    assert blocks_in(redis_client) == {"conductor:part:{0}": 1, "conductor:part:{2}": 1}
    assert blocks_in(other.client) == {"conductor:part:{1}": 1, "conductor:part:{3}": 1}


def test_none_of_a_servers_blocks_counts_as_written_if_one_was_refused(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    redis_client.set("conductor:part:{1}", "not a stream")
    blocks = [(number, block()) for number in range(3)]
    with closing(BlockWriter([valkey_url], 3)) as writer:
        assert writer.write(blocks) == blocks


def test_a_server_that_is_away_gets_no_blocks_and_the_others_get_theirs(
    valkey_url: str, redis_client: redis.Redis, other: ValkeyServer
) -> None:
    now_s = [100.0]
    with closing(BlockWriter([valkey_url, other.url], 2, lambda: now_s[0])) as writer:
        both = [(0, block()), (1, block())]
        other.kill()
        assert writer.write(both) == [both[1]]
        other.start()
        assert writer.write(both) == [both[1]]  # it is not called again yet
        now_s[0] += 5
        assert writer.write(both) == ()
    assert blocks_in(redis_client) == {"conductor:part:{0}": 3}
    assert blocks_in(other.client) == {"conductor:part:{1}": 1}


def test_keys_have_the_namespace_of_the_url(valkey_url: str, redis_client: redis.Redis) -> None:
    url = f"{valkey_url}?conductor_namespace=blue"
    with closing(BlockWriter([url], 1)) as writer:
        assert not writer.write([(0, block(*ENTRIES))])
    assert redis_client.keys("*part*") == [b"blue:conductor:part:{0}"]
    with closing(PartitionSource(url, Partition(0, 1))) as source:
        assert list(source.read().entries) == ENTRIES

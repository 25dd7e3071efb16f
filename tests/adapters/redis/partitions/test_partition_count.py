"""The number of partitions is fixed at the first start."""

from contextlib import closing

import pytest

from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.partitions.partition_count import (
    fix_partition_count,
    partition_count,
)
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError


def test_the_number_of_partitions_stays_that_of_the_first_start(valkey_url: str) -> None:
    assert partition_count(valkey_url) is None
    fix_partition_count(valkey_url, 64)
    fix_partition_count(valkey_url, 64)
    with pytest.raises(ConfigError, match=r"CONDUCTOR_PARTITIONS=32: .* in 64 partitions"):
        fix_partition_count(valkey_url, 32)
    assert partition_count(valkey_url) == 64


def test_one_collector_does_not_begin_anew_where_the_sessions_are_in_partitions(
    valkey_url: str,
) -> None:
    fix_partition_count(valkey_url, 64)
    with (
        closing(RedisCheckpointStore(valkey_url, Fence())) as store,
        pytest.raises(ConfigError, match="in 64 partitions"),
    ):
        store.load()
    with closing(RedisCheckpointStore(valkey_url, Fence(), Partition(1, 64))) as store:
        assert store.load() is None

"""Check whether the Redis servers of the partitions can be used, without changing anything."""

from collections.abc import Iterator, Sequence
from contextlib import closing

from conductor_actors.adapters.redis.access_check import eviction_findings, version_finding
from conductor_actors.adapters.redis.connections.client import cluster_nodes, open_client
from conductor_actors.adapters.redis.connections.cluster_nodes import SlotOwner
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.connections.sentinels import Address
from conductor_actors.adapters.redis.connections.server_version import require_version
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    FENCE_KEY,
    OUTBOX_KEY,
    OWNER_KEY,
    PARTITION_KEY,
    REWIND_KEY,
    key_of,
)
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import CheckResult


def check_partitions(urls: Sequence[str], count: int) -> list[CheckResult]:
    """Return results for each server of `count` partitions; of n, partition p is on p modulo n."""
    findings: list[CheckResult] = []
    for number, url in enumerate(urls):
        name = "redis of the partitions" + (f" {number}" if len(urls) > 1 else "")
        try:
            for partition in _one_of_each_node(url, all_partitions(count)[number :: len(urls)]):
                findings += _check_node(url, partition, name)
        except (ConfigError, Unavailable) as error:
            line = str(error).removeprefix("redis: ").removeprefix("REDIS_URL: ")
            findings.append(CheckResult(ok=False, line=f"{name}: {line}"))
    return findings


def _one_of_each_node(url: str, partitions: Sequence[Partition]) -> Sequence[Partition]:
    """Return a partition on each node that has any of these."""
    nodes = cluster_nodes(url)
    if nodes is None:
        return partitions[:1]
    with mapped_errors():
        by_address: dict[Address, Partition] = {
            SlotOwner.of(nodes, partition.tag).address(): partition for partition in partitions
        }
    return list(by_address.values())


def _check_node(url: str, partition: Partition, name: str) -> Iterator[CheckResult]:
    with closing(open_client(url, partition=partition)) as client, mapped_errors():
        info = client.info()
        require_version(str(info.get("redis_version")))
        # Redis checks permissions when commands are queued. DISCARD: none is run.
        pipeline(client, [*_reads(partition), ("MULTI",), *_changes(partition), ("DISCARD",)])
    for finding in (version_finding(info), *eviction_findings(info)):
        yield finding._replace(line=f"{name}: {finding.line.removeprefix('redis: ')}")


def _reads(partition: Partition) -> list[Command]:
    fence, sessions, outbox = (
        key_of(partition, key) for key in (FENCE_KEY, CHECKPOINT_SESSIONS_KEY, OUTBOX_KEY)
    )
    return [
        ("WATCH", fence),
        ("UNWATCH",),
        ("TIME",),
        ("GET", fence),
        ("EXISTS", key_of(partition, CHECKPOINT_KEY)),
        ("HGET", sessions, "check"),
        ("HSCAN", sessions, 0),
        ("XLEN", outbox),
        ("XRANGE", outbox, "-", "+", "COUNT", 1),
        ("XREAD", "COUNT", 1, "STREAMS", key_of(partition, PARTITION_KEY), "$"),
    ]


def _changes(partition: Partition) -> list[Command]:
    """Return one command for each permission that changing a partition's keys needs."""
    blocks, sessions = key_of(partition, PARTITION_KEY), key_of(partition, CHECKPOINT_SESSIONS_KEY)
    return [
        ("SET", key_of(partition, OWNER_KEY), "check"),
        ("PEXPIRE", key_of(partition, OWNER_KEY), 1),
        ("INCR", key_of(partition, FENCE_KEY)),
        ("DEL", key_of(partition, REWIND_KEY)),
        ("HSET", sessions, "check", ""),
        ("HDEL", sessions, "check"),
        ("XADD", blocks, "*", "check", ""),
        ("XTRIM", blocks, "MINID", 1),
        ("XDEL", key_of(partition, OUTBOX_KEY), "1-1"),
    ]

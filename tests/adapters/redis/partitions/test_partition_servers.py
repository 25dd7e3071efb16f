"""Commands of many partitions, each sent to the server that stores it."""

from collections.abc import Iterator
from contextlib import closing
from time import monotonic

import pytest
import redis
from structlog.typing import EventDict

from conductor_actors.adapters.redis.connections.client import PROBE_TIMEOUT_S, cluster_nodes
from conductor_actors.adapters.redis.connections.cluster_nodes import Owners
from conductor_actors.adapters.redis.partitions.block_writer import BlockWriter
from conductor_actors.adapters.redis.partitions.partition_servers import (
    PARTITIONS_MAX_BACKOFF_S,
    CommandsOf,
    PartitionServers,
)
from conductor_actors.adapters.redis.partitions.rewinds import RewindRequests
from conductor_actors.domain.partitions.blocks import FIRST, Block, Interval
from conductor_actors.domain.partitions.partition import all_partitions
from tests.support.fakes.fake_clock import FakeClock
from tests.support.valkey_cluster import ValkeyCluster, call, valkey_cluster
from tests.support.valkey_servers import ValkeyServer, valkey_server
from tests.support.waiting import wait_until

COUNT = 64
MAX_RECOVERY_S = 10.0


@pytest.fixture(scope="module")
def shared() -> Iterator[ValkeyCluster]:
    with valkey_cluster("--appendonly", "yes") as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: ValkeyCluster) -> ValkeyCluster:
    for node in shared.primaries:
        call(node, "FLUSHALL")
    return shared


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def increments(numbers: range | list[int] = range(COUNT)) -> CommandsOf:
    return {number: [("INCR", f"conductor:n:{{{number}}}")] for number in numbers}


def new_servers(urls: list[str], clock: FakeClock) -> PartitionServers:
    return PartitionServers(urls, COUNT, "redis partitions", clock)


def on_node(cluster: ValkeyCluster, node: ValkeyServer) -> set[int]:
    return {each.number for each in all_partitions(COUNT) if cluster.owner(each.tag) is node}


def test_each_node_of_a_cluster_runs_the_commands_of_its_partitions(
    cluster: ValkeyCluster, clock: FakeClock
) -> None:
    with closing(new_servers([cluster.url], clock)) as servers:
        assert servers.run(increments()) == {number: [1] for number in range(COUNT)}
        assert servers.run({}) == {}
    assert sum(call(node, "DBSIZE") for node in cluster.primaries) == COUNT


def test_blocks_are_written_to_each_node_and_requests_read_from_it(cluster: ValkeyCluster) -> None:
    block = Block.of(Interval(FIRST, (9, 0), 9), [])
    with closing(BlockWriter([cluster.url], COUNT)) as writer:
        assert not writer.write([(number, block) for number in range(COUNT)])
        assert not writer.write([(7, block), (7, block)])
    for partition in all_partitions(COUNT):
        key = f"conductor:part:{partition.tag}"
        assert call(cluster.owner(key), "XLEN", key) == (3 if partition.number == 7 else 1)
    with closing(RewindRequests([cluster.url], COUNT)) as rewinds:
        for number in (3, 8, 40):
            key = f"conductor:rewind:{{{number}}}"
            call(cluster.owner(key), "SET", key, f"{number}-1")
        assert rewinds.pop() == {3: (3, 1), 8: (8, 1), 40: (40, 1)}
        assert rewinds.pop() == {}


def test_a_node_that_is_away_delays_no_other(
    cluster: ValkeyCluster, clock: FakeClock, log_lines: list[EventDict]
) -> None:
    with closing(new_servers([cluster.url], clock)) as servers:
        servers.run(increments())
        node = cluster.primaries[1]
        struck = on_node(cluster, node)
        node.kill()
        for _ in range(3):
            assert set(range(COUNT)) - servers.run(increments()).keys() == struck
        node.start()

        def run_all() -> bool:
            clock.now_s += PARTITIONS_MAX_BACKOFF_S
            return len(servers.run(increments())) == COUNT

        wait_until(run_all, MAX_RECOVERY_S)
    outages = [line["service"] for line in log_lines if line["event"] == "outage_began"]
    assert outages == [f"redis partitions 0 127.0.0.1:{node.port}"]


def test_commands_follow_a_slot_that_moves(cluster: ValkeyCluster, clock: FakeClock) -> None:
    tag = "{7}"
    with closing(new_servers([cluster.url], clock)) as servers:
        servers.run(increments())
        source, target = cluster.owner(tag), cluster.another_primary(tag)
        before = on_node(cluster, source)
        cluster.move_slot(tag, target)
        ran = servers.run(increments()).keys()
        assert set(range(COUNT)) - ran <= before  # perhaps those that were sent with it
        clock.now_s += PARTITIONS_MAX_BACKOFF_S
        assert len(servers.run(increments())) == COUNT
    assert call(target, "GET", "conductor:n:{7}") == b"2"
    assert call(target, "EXISTS", "conductor:n:{7}") == 1


def test_a_plain_redis_runs_all_of_its_commands_or_none_has_replies(
    valkey_url: str, redis_client: redis.Redis, clock: FakeClock
) -> None:
    redis_client.set("conductor:n:{3}", "no number")
    with closing(new_servers([valkey_url], clock)) as servers:
        assert servers.run(increments()) == {}
        clock.now_s += PARTITIONS_MAX_BACKOFF_S
        redis_client.config_resetstat()
        assert len(servers.run(increments([1, 2]))) == 2
    statistics = redis_client.info("commandstats")
    assert statistics["cmdstat_exec"]["calls"] == 1


def test_a_cluster_and_a_plain_redis_share_the_partitions(
    cluster: ValkeyCluster, valkey_url: str, redis_client: redis.Redis, clock: FakeClock
) -> None:
    with closing(new_servers([cluster.url, valkey_url], clock)) as servers:
        assert len(servers.run(increments())) == COUNT
    assert len(redis_client.keys()) == COUNT // 2
    assert sum(call(node, "DBSIZE") for node in cluster.primaries) == COUNT // 2


def test_a_server_that_hangs_holds_up_the_others_for_a_second_only(
    valkey_url: str, clock: FakeClock
) -> None:
    with (
        valkey_server() as other,
        closing(new_servers([valkey_url, other.url], clock)) as servers,
    ):
        servers.run(increments())
        other.pause()
        try:
            servers.run(increments())
            clock.now_s += PARTITIONS_MAX_BACKOFF_S
            began_s = monotonic()
            assert len(servers.run(increments())) == COUNT // 2
            assert monotonic() - began_s < PROBE_TIMEOUT_S + 1
            began_s = monotonic()
            assert len(servers.run(increments())) == COUNT // 2
            assert monotonic() - began_s < 0.5  # it is not called again yet
        finally:
            other.resume()
        clock.now_s += PARTITIONS_MAX_BACKOFF_S
        assert len(servers.run(increments())) == COUNT


def test_while_no_node_answers_nothing_is_run_and_others_are_not_asked_all_the_time(
    clock: FakeClock, log_lines: list[EventDict]
) -> None:
    with valkey_server() as server:
        url = server.url
    nodes, asked = cluster_nodes(url), list[int]()
    assert nodes is not None
    nodes._owners, read = {}, nodes._read

    def read_counted(host: str, port: int) -> Owners:
        asked.append(port)
        return read(host, port)

    nodes._read = read_counted  # type: ignore[method-assign]
    with closing(new_servers([url], clock)) as servers:
        assert servers.run(increments()) == {}
        assert servers.run(increments()) == {}
    assert len(asked) == 1
    assert [line["event"] for line in log_lines] == ["outage_began"]

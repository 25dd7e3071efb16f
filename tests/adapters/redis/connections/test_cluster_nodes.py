"""A client of a partition is one of the node that owns its keys, wherever they move."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest
import redis
from redis.exceptions import ResponseError

from conductor_actors.adapters.redis.connections.client import (
    cluster_nodes,
    open_client,
    open_node_client,
)
from conductor_actors.adapters.redis.connections.cluster_nodes import Owners
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LogEvent, PrimaryChanged, PrimaryLost, observed_by
from tests.support.valkey_cluster import ValkeyCluster, call, valkey_cluster
from tests.support.valkey_servers import valkey_server
from tests.support.waiting import becomes_true, wait_until

PARTITIONS = all_partitions(64)
PARTITION = PARTITIONS[7]
KEY = "conductor:part:{7}"
MAX_RECOVERY_S = 10.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with valkey_cluster() as cluster:
        yield cluster


@pytest.fixture
def replicated() -> Iterator[ValkeyCluster]:
    with valkey_cluster(has_replicas=True) as cluster:
        yield cluster


def increase(url: str, partition: Partition = PARTITION) -> int:
    with closing(open_client(url, partition=partition)) as client, mapped_errors():
        return int(pipeline(client, [("INCR", f"conductor:n:{partition.tag}")])[0])


def is_stored(client: redis.Redis, value: bytes) -> bool:
    """Return whether a read succeeds, and finds this value."""
    with suppress(Unavailable), mapped_errors():
        return pipeline(client, [("GET", KEY)]) == [value]
    return False


def test_the_keys_of_each_partition_are_on_the_node_that_owns_them(cluster: ValkeyCluster) -> None:
    for partition in PARTITIONS:
        increase(cluster.url, partition)
    sizes = [call(node, "DBSIZE") for node in cluster.primaries]
    assert sum(sizes) == len(PARTITIONS)
    assert all(sizes), sizes


def test_any_node_may_be_named(cluster: ValkeyCluster) -> None:
    before = increase(cluster.url)
    assert [increase(node.url) for node in cluster.primaries] == [before + n for n in (1, 2, 3)]


def test_a_namespace_leaves_a_partition_on_the_same_node(cluster: ValkeyCluster) -> None:
    increase(with_namespace(cluster.url, "staging"))
    assert call(cluster.owner(KEY), "GET", "staging:conductor:n:{7}") == b"1"


def test_all_keys_of_a_partition_change_in_one_transaction(cluster: ValkeyCluster) -> None:
    commands: list[Command] = [("SET", f"conductor:{name}:{{7}}", 1) for name in "abc"]
    with closing(open_client(cluster.url, partition=PARTITION)) as client:
        assert transaction(client, commands) == [b"OK"] * 3


def test_a_server_that_is_in_no_cluster_has_all_partitions(valkey_url: str) -> None:
    assert {increase(valkey_url, partition) for partition in PARTITIONS} == {1}
    nodes = cluster_nodes(valkey_url)
    assert nodes is not None
    nodes.owner(0)
    assert not nodes.is_cluster


def test_a_slot_that_moved_is_unavailable_once_and_then_found(cluster: ValkeyCluster) -> None:
    events: list[LogEvent] = []
    with closing(open_client(cluster.url, partition=PARTITION)) as client:
        pipeline(client, [("SET", KEY, "kept")])
        target = cluster.another_primary(KEY)
        cluster.move_slot(KEY, target)
        with observed_by(events.append):
            for command in (pipeline, transaction):
                with suppress(Unavailable), mapped_errors():
                    command(client, [("GET", KEY)])
            with mapped_errors():
                assert pipeline(client, [("GET", KEY)]) == [b"kept"]
        assert cluster.owner(KEY) is target
    assert [event.keys() for event in events if isinstance(event, PrimaryLost)] == [
        {"reason": "moved"}
    ]
    [changed] = [event for event in events if isinstance(event, PrimaryChanged)]
    assert changed.address == f"127.0.0.1:{target.port}"


def test_a_move_of_its_slot_is_an_outage_of_a_partition_until_all_of_it_is_moved(
    cluster: ValkeyCluster,
) -> None:
    """Nothing is read as missing, and nothing is written beside what is moved."""
    with closing(open_client(cluster.url, partition=PARTITION)) as client:
        pipeline(client, [("SET", KEY, "kept")])
        target = cluster.another_primary(KEY)
        cluster.begin_move(KEY, target)
        assert pipeline(client, [("GET", KEY)]) == [b"kept"]
        cluster.move_keys(KEY, target)
        commands: list[Command] = [("GET", KEY), ("SET", "conductor:new:{7}", 1)]
        for command in commands:
            with pytest.raises(Unavailable, match="moves to"), mapped_errors():
                transaction(client, [command])
        cluster.end_move(KEY, target)
        wait_until(lambda: is_stored(client, b"kept"))
    assert call(target, "EXISTS", "conductor:new:{7}") == 0


def test_after_a_planned_failover_the_replica_is_used(replicated: ValkeyCluster) -> None:
    with closing(open_client(replicated.url, partition=PARTITION)) as client:
        pipeline(client, [("SET", KEY, "kept")])
        primary = replicated.owner(KEY)
        replicated.fail_over(primary)
        wait_until(lambda: is_stored(client, b"kept"), MAX_RECOVERY_S)
        wait_until(lambda: replicated.owner(KEY) is not primary)


def test_after_the_death_of_the_node_that_the_url_names_its_replica_is_found(
    replicated: ValkeyCluster,
) -> None:
    named = replicated.primaries[0]
    partition = next(each for each in PARTITIONS if replicated.owner(each.tag) is named)
    with closing(open_client(replicated.url, partition=partition)) as client:
        pipeline(client, [("INCR", f"conductor:n:{partition.tag}"), ("WAIT", 1, 5000)])
    named.kill()

    def is_found() -> bool:
        with suppress(Unavailable):
            return increase(replicated.url, partition) == 2
        return False

    assert becomes_true(is_found, MAX_RECOVERY_S)


def test_a_paused_node_that_was_replaced_is_left_by_its_connections(
    replicated: ValkeyCluster,
) -> None:
    primary = replicated.owner(KEY)
    with closing(open_client(replicated.url, 1.0, partition=PARTITION)) as client:
        pipeline(client, [("SET", KEY, "kept"), ("WAIT", 1, 5000)])
        primary.pause()
        try:
            wait_until(lambda: is_stored(client, b"kept"), MAX_RECOVERY_S)
        finally:
            primary.resume()
        assert is_stored(client, b"kept")


def test_threads_that_lose_a_node_at_once_ask_the_cluster_once(cluster: ValkeyCluster) -> None:
    nodes = cluster_nodes(cluster.url)
    assert nodes is not None
    address, read, asked = nodes.owner(0), nodes._read, list[int]()
    moved_to = ("127.0.0.1", cluster.primaries[-1].port)

    def read_changed(host: str, port: int) -> Owners:
        asked.append(port)
        return {(0, 0): moved_to, **read(host, port)}

    def lose() -> None:
        nodes.forget(address, slot=0)
        assert nodes.owner(0) == moved_to

    nodes._read = read_changed  # type: ignore[method-assign]
    try:
        with ThreadPoolExecutor(20) as threads:
            for done in [threads.submit(lose) for _ in range(20)]:
                done.result()
    finally:
        nodes._read = read  # type: ignore[method-assign]
        nodes.forget(moved_to)
    assert len(asked) == 1


def test_another_node_is_asked_each_time_because_one_that_is_cut_off_does_not_know_better(
    cluster: ValkeyCluster,
) -> None:
    nodes = cluster_nodes(cluster.url)
    assert nodes is not None
    read, asked = nodes._read, list[int]()

    def read_counted(host: str, port: int) -> Owners:
        asked.append(port)
        return read(host, port)

    nodes._read = read_counted  # type: ignore[method-assign]
    try:
        for _ in range(2 * len(cluster.primaries)):
            nodes._owners = {}
            nodes.owner(0)
    finally:
        nodes._read = read  # type: ignore[method-assign]
    ports = {node.port for node in cluster.primaries}
    assert {*asked[:3]} == {*asked[3:]} == ports


def test_another_server_at_the_address_of_a_former_node_is_not_taken_for_the_cluster(
    cluster: ValkeyCluster, valkey_url: str
) -> None:
    nodes = cluster_nodes(cluster.url)
    assert nodes is not None
    nodes.owner(0)
    known = nodes._addresses
    nodes._owners, nodes._addresses = {}, [("127.0.0.1", urlsplit(valkey_url).port or 0)]
    try:
        with pytest.raises(redis.ConnectionError, match="in no cluster any more"):
            nodes.owner(0)
    finally:
        nodes._addresses = known


def test_a_client_of_a_node_stays_with_it(cluster: ValkeyCluster) -> None:
    for node in cluster.primaries:
        with closing(open_node_client(cluster.url, ("127.0.0.1", node.port))) as client:
            assert pipeline(client, [("CLUSTER", "MYID")]) == [call(node, "CLUSTER", "MYID")]


def test_keys_of_two_slots_in_one_command_are_our_own_fault(cluster: ValkeyCluster) -> None:
    with (
        closing(open_client(cluster.url, partition=PARTITION)) as client,
        pytest.raises(ResponseError, match="slot"),
    ):
        pipeline(client, [("DEL", "conductor:a:{7}", "conductor:a:{8}")])


def test_a_cluster_as_the_redis_of_the_events_is_refused_in_one_line(
    cluster: ValkeyCluster,
) -> None:
    url = cluster.another_primary(KEY).url
    with (
        closing(open_client(url)) as client,
        pytest.raises(ConfigError, match="this is a Redis Cluster"),
        mapped_errors(),
    ):
        pipeline(client, [("GET", KEY)])


def test_a_partition_is_unavailable_while_no_node_of_its_cluster_responds() -> None:
    with valkey_server() as server:
        port = server.port
    with pytest.raises(Unavailable, match="Connection refused"):
        increase(f"redis://127.0.0.1:{port}/0")

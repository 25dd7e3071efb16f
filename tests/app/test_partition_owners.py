"""A dashboard beside a cluster knows from the leases which partitions nobody scores."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.cluster_status_store import RedisClusterStatus
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.app.partition_owners import PartitionOwners
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.observability.collector_status import ClusterHealth, CollectorStatus
from conductor_actors.observability.health import DashboardStatus, health, readiness
from conductor_actors.settings import Settings
from conductor_actors.wire.cluster_status import (
    CLUSTER_STATUS_MAX_AGE_S,
    ClusterHost,
    ClusterNode,
    ClusterSplitter,
    ClusterStatus,
)
from tests.support.waiting import wait_until

PARTITIONS = 8


def settings(**more: object) -> Settings:
    return Settings(**more)  # type: ignore[arg-type] # as given


@pytest.fixture
def split(redis_client: redis.Redis, valkey_url: str) -> Iterator[redis.Redis]:
    """Give the client of a Redis in which the sessions are partitioned, and split."""
    redis_client.set("conductor:partitions", PARTITIONS)
    with closing(RedisLease(valkey_url)) as splitter:
        splitter.acquire_or_renew()
        yield redis_client


def own(url: str, *numbers: int) -> None:
    for number in numbers:
        with closing(RedisLease(url, Partition(number, PARTITIONS))) as lease:
            lease.acquire_or_renew()


def read(url: str, **more: object) -> CollectorStatus:
    owners = PartitionOwners(settings(**more), url)
    owners.read()
    return owners.status()


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def test_of_one_collector_nothing_is_known(valkey_url: str) -> None:
    assert read(valkey_url) == CollectorStatus()


@pytest.mark.usefixtures("split")
def test_partitions_without_owner_are_named(valkey_url: str) -> None:
    own(valkey_url, 0, 1, 2, 4, 5, 6)
    status = read(valkey_url)
    assert status.state == "stalled"
    assert status.obstacles == ["collector: nobody has partition 3 and 7"]
    assert status.cluster == ClusterHealth(None, None, PARTITIONS, [3, 7], None)
    own(valkey_url, 3, 7)
    assert read(valkey_url) == CollectorStatus(
        "running", [], cluster=ClusterHealth(None, None, PARTITIONS, [], None)
    )


@pytest.mark.usefixtures("split")
def test_of_many_partitions_some_are_named(valkey_url: str) -> None:
    own(valkey_url, 0, 1)
    (obstacle,) = read(valkey_url).obstacles
    assert obstacle == "collector: nobody has partition 2, 3, 4, 5 and 2 others"


def test_a_lease_that_is_gone_is_noticed(split: redis.Redis, valkey_url: str) -> None:
    own(valkey_url, *range(PARTITIONS))
    owners = PartitionOwners(settings(), valkey_url)
    with owners.polled():
        wait_until(lambda: owners.status().state == "running")
        split.delete("conductor:owner:{5}")
        wait_until(lambda: owners.status().obstacles == ["collector: nobody has partition 5"])
        split.delete("conductor:owner")
        wait_until(lambda: len(owners.status().obstacles) == 2)
    assert owners.status().obstacles[1] == "collector: nobody splits the events into partitions"


@pytest.mark.usefixtures("split")
def test_a_server_of_partitions_that_is_away_is_named(valkey_url: str) -> None:
    own(valkey_url, 0, 2, 4)
    urls = (valkey_url, "redis://127.0.0.1:1/0")
    status = read(valkey_url, partition_redis_urls=urls)
    assert status.obstacles == [
        "collector: nobody has partition 6",
        "redis: the servers of partition 1, 3, 5 and 7 do not answer",
    ]


@pytest.mark.usefixtures("split")
def test_another_number_of_partitions_would_read_other_databases(valkey_url: str) -> None:
    own(valkey_url, *range(PARTITIONS))
    urls = ("postgresql://a/b", "postgresql://c/d")
    assert read(valkey_url, partitions=PARTITIONS, partition_database_urls=urls).obstacles == []
    assert read(valkey_url, partitions=64, partition_database_urls=urls).obstacles == [
        "CONDUCTOR_PARTITIONS=64: the sessions are in 8 partitions; set CONDUCTOR_PARTITIONS=8"
    ]


def test_the_coordinators_figures_are_known_while_it_stores_them(
    split: redis.Redis, valkey_url: str
) -> None:
    own(valkey_url, *range(PARTITIONS))
    hosts = [
        ClusterHost("a-1", "a", [*range(4)], sessions=30, lag_s=0.5),
        ClusterHost("b-1", "b", [*range(4, 8)], sessions=12, lag_s=1.5),
    ]
    nodes = [ClusterNode("a", "10.0.0.1", 2, 1), ClusterNode("b", "10.0.0.2", 2, 1)]
    status = ClusterStatus(
        now_ms(split), PARTITIONS, nodes, hosts, [], ClusterSplitter("a", "running", 0.25)
    )
    with closing(RedisClusterStatus(valkey_url)) as store:
        store.store(status)
        found = read(valkey_url)
        assert found.cluster == ClusterHealth(2, 2, PARTITIONS, [], 42)
        assert found.lag_s == 1.5
        late_ms = now_ms(split) - round(CLUSTER_STATUS_MAX_AGE_S + 1) * 1000
        store.store(ClusterStatus(late_ms, PARTITIONS, nodes, hosts))
        assert read(valkey_url).cluster == ClusterHealth(None, None, PARTITIONS, [], None)


def test_health_has_the_cluster_and_readiness_its_obstacles() -> None:
    cluster = ClusterHealth(2, 6, 64, [7], 42)
    status = CollectorStatus("stalled", ["collector: nobody has partition 7"], cluster=cluster)
    dashboard = DashboardStatus(is_draining=False, redis="ok", database="ok", active_sessions=5)
    assert b'"active_sessions":42' in health(status, dashboard).body
    assert (
        b'"cluster":{"nodes":2,"hosts":6,"partitions":64,"without_owner":[7],"sessions":42}'
        in health(status, dashboard).body
    )
    assert b"cluster" not in health(CollectorStatus(), dashboard).body
    ready = readiness(status, dashboard)
    assert ready.status_code == 503
    assert b"nobody has partition 7" in ready.body

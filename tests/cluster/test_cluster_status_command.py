"""`cluster status`, which reads what the coordinator has stored in Redis; Ray is not used."""

import time
from pathlib import Path

import redis

from conductor_actors.adapters.redis.cluster_status_store import RedisClusterStatus
from conductor_actors.adapters.redis.key_names import CLUSTER_KEY
from conductor_actors.wire.cluster_status import (
    CLUSTER_STATUS_EXPIRES_S,
    ClusterHost,
    ClusterMove,
    ClusterNode,
    ClusterSplitter,
    ClusterStatus,
    decode_cluster_status,
)
from tests.support.programs import Completed, run_to_end

HOST = "conductor-host-0123456789ab"


def status(at_ms: int) -> ClusterStatus:
    return ClusterStatus(
        at_ms=at_ms,
        partitions=64,
        nodes=[
            ClusterNode("aa", "10.0.0.1", 0.0, 0),
            ClusterNode("bb", "10.0.0.2", 2.0, 1, leaving=True),
        ],
        hosts=[ClusterHost(HOST, "bb", list(range(48)), 1200, 321.5, 0.25, 0.34, 250_000_000)],
        without_owner=list(range(48, 64)),
        splitter=ClusterSplitter("bb", "running", 0.02, 330.0),
        moves=[ClusterMove(at_ms, 7, "", HOST, 1.25)],
    )


def now_ms() -> int:
    return int(time.time() * 1000)


def store(url: str, body: ClusterStatus) -> None:
    found = RedisClusterStatus(url)
    found.store(body)
    found.close()


def shown(url: str, cwd: Path, *options: str) -> Completed:
    return run_to_end("cluster", "status", *options, cwd=cwd, REDIS_URL=url)


def test_nodes_hosts_and_moves_are_shown(
    valkey_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    store(valkey_url, status(now_ms()))
    ended = shown(valkey_url, tmp_path)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "48 of 64 partitions have an owner" in ended.stdout
    assert "48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59 and 4 more" in ended.stdout
    assert "splitter: running on 10.0.0.2, 330 events/s, lag 20 ms" in ended.stdout
    [host] = [line for line in ended.stdout.splitlines() if "250 MB" in line]
    assert host.split() == [
        *("10.0.0.2", "(leaving)", "0123456789ab", "48", "1,200", "322", "250", "ms"),
        *("34%", "250", "MB"),
    ]
    assert "lost" in ended.stdout
    assert 0 < redis_client.ttl(CLUSTER_KEY) <= CLUSTER_STATUS_EXPIRES_S


def test_json_is_what_is_stored(valkey_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    stored = status(now_ms())
    store(valkey_url, stored)
    ended = shown(valkey_url, tmp_path, "--json")
    assert ended.exit_code == 0
    assert decode_cluster_status(ended.stdout.encode()) == stored
    assert redis_client.exists(CLUSTER_KEY)


def test_a_status_that_is_old_or_missing_is_no_success(
    valkey_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ended = shown(valkey_url, tmp_path)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "no cluster" in ended.stderr
    store(valkey_url, status(now_ms() - 8000))
    ended = shown(valkey_url, tmp_path)
    assert ended.exit_code == 1
    assert "48 of 64" in ended.stdout
    assert "8 s old: the coordinator is away" in ended.stderr
    redis_client.set(CLUSTER_KEY, "no status")
    assert shown(valkey_url, tmp_path).exit_code == 1


def test_up_needs_servers_that_all_nodes_reach(tmp_path: Path) -> None:
    ended = run_to_end("cluster", "up", cwd=tmp_path, CONDUCTOR_STATE_DIR=str(tmp_path))
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
    assert "REDIS_URL: must be set" in ended.stderr

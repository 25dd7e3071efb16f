"""What `check` reports about the servers of the partitions."""

from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.partitions.partition_check import check_partitions
from conductor_actors.ports import CheckResult
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.valkey_cluster import call, valkey_cluster

# All that the servers of partitions are sent, beside what every connection needs.
GRANTS = (
    "+info +time +multi +exec +discard +watch +unwatch +get +set +del +incr +exists +pexpire "
    "+hset +hdel +hget +hscan +xadd +xread +xrange +xlen +xdel +xtrim ~conductor:*"
)
NEEDED = GRANTS.split()
NOT_CHECKED = {"+exec"}


def failures(findings: list[CheckResult]) -> list[str]:
    return [each.line for each in findings if not each.ok]


def test_usable_servers_pass_and_are_not_changed(valkey_url: str, client: redis.Redis) -> None:
    findings = check_partitions([with_namespace(valkey_url, "staging"), valkey_url], 64)
    assert not failures(findings)
    assert [each.line.partition(": Valkey")[0] for each in findings] == [
        "redis of the partitions 0",
        "redis of the partitions 1",
    ]
    assert not client.keys()


def test_each_node_of_a_cluster_is_checked() -> None:
    with valkey_cluster() as cluster:
        findings = check_partitions([cluster.url], 64)
        assert (len(findings), failures(findings)) == (3, [])
        node = cluster.primaries[1]
        call(node, "CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
        [line] = failures(check_partitions([cluster.url], 64))
        assert "maxmemory-policy allkeys-lru may delete" in line
        assert not any(call(node, "DBSIZE") for node in cluster.primaries)


def test_a_user_of_a_cluster_needs_to_ask_who_owns_a_slot() -> None:
    with valkey_cluster() as cluster:
        for node in cluster.primaries:
            rules = [rule for rule in granted_rules() if rule != "+cluster|slots"]
            call(node, "ACL", "SETUSER", "conductor", "reset", *rules)
        [line] = failures(check_partitions([as_user(cluster.url)], 64))
        assert "grant it, as in: ACL SETUSER" in line
        for node in cluster.primaries:
            call(node, "ACL", "SETUSER", "conductor", "+cluster|slots")
        assert not failures(check_partitions([as_user(cluster.url)], 64))


@pytest.mark.parametrize("rule", NEEDED)
def test_a_missing_grant_is_a_finding(valkey_url: str, client: redis.Redis, rule: str) -> None:
    rules = [each for each in granted_rules() if each != rule]
    assert len(rules) < len(granted_rules())
    with acl_user(client, *rules):
        lines = failures(check_partitions([as_user(valkey_url)], 64))
    assert len(lines) == (rule not in NOT_CHECKED)


def test_a_server_that_is_away_is_a_finding_beside_those_of_others(valkey_url: str) -> None:
    findings = check_partitions([f"redis://127.0.0.1:{free_port()}/0", valkey_url], 64)
    assert [each.ok for each in findings] == [False, True]
    assert "Connection refused" in findings[0].line


def test_the_grants_that_are_checked_are_enough_for_a_partition(
    valkey_url: str, client: redis.Redis
) -> None:
    with (
        acl_user(client, "on", ">secret", "+ping", "+select", *NEEDED),
        closing(open_client(as_user(valkey_url))) as user,
    ):
        assert pipeline(user, [("PING",)]) == [b"PONG"]
        assert not failures(check_partitions([as_user(valkey_url)], 64))

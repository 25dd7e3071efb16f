"""What `check` reports about a real Valkey."""

import pytest
import redis

from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.event_samples import CHAT, SYNC

# Commands that every connection needs, that are seldom used, or that only clusters are sent.
NOT_CHECKED = ("+ping", "+select", "+cluster|slots")


def test_a_usable_redis_passes_and_is_not_changed(valkey_url: str, client: redis.Redis) -> None:
    client.xadd(SYNC, {"data": b"x"})
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=5)
        results = check(valkey_url)
        client.publish("mark", b"")
        message = pubsub.get_message(timeout=5)
    assert all(result.ok for result in results)
    assert results[0].line.startswith("redis: Valkey 9.")
    assert results[1].line == "redis: events can be read, updates can be published"
    assert message is not None
    assert message["channel"] == b"mark"
    assert client.keys() == [SYNC.encode()]


@pytest.mark.parametrize("rule", [each for each in granted_rules() if each[0] in "+&~%"])
def test_a_missing_grant_is_reported(valkey_url: str, client: redis.Redis, rule: str) -> None:
    rules = [each for each in granted_rules() if each != rule]
    client.xadd("acme:platform.events.chat.message.v1", {"data": b"x"})
    client.xadd("acme:sync-events", {"data": b"x"})
    client.xadd("acme:platform.sessions.chat.v1", {"data": b"x"})
    client.xadd("acme:platform.agent.intervention-outcomes.v1", {"data": b"x"})
    with acl_user(client, *rules):
        results = check(as_user(valkey_url), tenants=("*",))
    failures = [result.line for result in results if not result.ok]
    if rule in NOT_CHECKED:
        assert not failures
    else:
        assert len(failures) == 1
        assert "grant it, as in: ACL SETUSER" in failures[0]


@pytest.mark.parametrize(
    ("transport", "missing"), [("streams", "&sync-events"), ("pubsub", "%R~sync-events")]
)
def test_an_unused_transport_needs_no_grant(
    valkey_url: str, client: redis.Redis, transport: str, missing: str
) -> None:
    rules = [each for each in granted_rules() if each != missing]
    with acl_user(client, *rules):
        used = check(as_user(valkey_url), "streams" if transport == "streams" else "pubsub")
        both = check(as_user(valkey_url))
    assert all(result.ok for result in used)
    assert not all(result.ok for result in both)


def test_an_event_name_of_the_wrong_type_is_reported(valkey_url: str, client: redis.Redis) -> None:
    client.set(CHAT, "x")
    [result] = check(valkey_url)
    assert not result.ok
    assert f"the key {CHAT} is a string" in result.line


def test_a_redis_that_is_away_is_reported() -> None:
    [result] = check("redis://user:secret@127.0.0.1:1/0")
    assert not result.ok
    assert result.line.startswith("redis: Error 111 connecting to 127.0.0.1:1")
    assert "secret" not in result.line


def test_an_invalid_url_is_reported() -> None:
    [result] = check("http://user:secret@127.0.0.1")
    assert not result.ok
    assert result.line.startswith("redis: REDIS_URL")
    assert "secret" not in result.line


def test_a_replica_is_reported(valkey_url: str, client: redis.Redis) -> None:
    pipeline(client, [("REPLICAOF", "127.0.0.1", 1)])
    try:
        [result] = check(valkey_url)
    finally:
        pipeline(client, [("REPLICAOF", "NO", "ONE")])
    assert not result.ok
    assert "this Redis is a replica" in result.line


@pytest.mark.parametrize(
    ("maxmemory", "policy", "ok"),
    [
        ("1gb", "allkeys-lru", False),
        ("1gb", "volatile-lru", True),
        ("1gb", "noeviction", True),
        ("0", "allkeys-lru", True),
    ],
)
def test_a_memory_policy_that_may_delete_events_is_reported(
    valkey_url: str, client: redis.Redis, maxmemory: str, policy: str, *, ok: bool
) -> None:
    pipeline(client, [("CONFIG", "SET", "maxmemory", maxmemory, "maxmemory-policy", policy)])
    try:
        results = check(valkey_url)
    finally:
        pipeline(client, [("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")])
    assert all(result.ok for result in results) == ok
    assert ok or policy in results[-1].line

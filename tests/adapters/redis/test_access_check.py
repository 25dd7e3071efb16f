"""What `check` finds of a real Valkey."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import redis

from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.client import GRANTS, open_client, pipeline
from tests.support.hostile import CHAT, SYNC

# What a check can't miss, because nothing else would work without it or it is seldom used.
NOT_LOOKED_FOR = ("+ping", "+select", "+client|setinfo")


@pytest.fixture
def client(valkey_url: str, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    del redis_client  # for its empty database
    with closing(open_client(valkey_url)) as client:
        yield client


@contextmanager
def user(client: redis.Redis, *rules: str) -> Iterator[None]:
    pipeline(client, [("ACL", "SETUSER", "conductor", "reset", *rules)])
    try:
        yield
    finally:
        pipeline(client, [("ACL", "DELUSER", "conductor")])


def granted() -> list[str]:
    return GRANTS.replace(">PASSWORD", ">secret").split()[3:]


def as_user(url: str) -> str:
    return url.replace("//", "//conductor:secret@")


def test_a_redis_that_can_be_used_is_found_so_and_left_as_it_was(
    valkey_url: str, client: redis.Redis
) -> None:
    client.xadd(SYNC, {"data": b"x"})
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=5)
        findings = check(valkey_url)
        client.publish("mark", b"")
        message = pubsub.get_message(timeout=5)
    assert all(finding.ok for finding in findings)
    assert findings[0].line.startswith("redis: Valkey 9.")
    assert findings[1].line == "redis: events can be read, updates can be published"
    assert message is not None
    assert message["channel"] == b"mark"
    assert client.keys() == [SYNC.encode()]


@pytest.mark.parametrize("rule", [each for each in granted() if each[0] in "+&~%"])
def test_a_missing_grant_is_found(valkey_url: str, client: redis.Redis, rule: str) -> None:
    rules = [each for each in granted() if each != rule]
    client.xadd("acme:platform.events.chat.message.v1", {"data": b"x"})
    client.xadd("acme:sync-events", {"data": b"x"})
    with user(client, *rules):
        findings = check(as_user(valkey_url), tenants=("*",))
    is_wrong = [finding.line for finding in findings if not finding.ok]
    if rule in NOT_LOOKED_FOR or "anomaly" in rule:
        assert not is_wrong
    else:
        assert len(is_wrong) == 1
        assert "grant it, as in: ACL SETUSER" in is_wrong[0]


@pytest.mark.parametrize(
    ("transport", "missing"), [("streams", "&sync-events"), ("pubsub", "+xread")]
)
def test_a_transport_that_is_not_used_needs_no_grant(
    valkey_url: str, client: redis.Redis, transport: str, missing: str
) -> None:
    rules = [each for each in granted() if each != missing]
    with user(client, *rules):
        used = check(as_user(valkey_url), "streams" if transport == "streams" else "pubsub")
        both = check(as_user(valkey_url))
    assert all(finding.ok for finding in used)
    assert not all(finding.ok for finding in both)


def test_a_name_taken_by_another_key_is_found(valkey_url: str, client: redis.Redis) -> None:
    client.set(CHAT, "x")
    [finding] = check(valkey_url)
    assert not finding.ok
    assert f"the key {CHAT} is a string" in finding.line


def test_a_redis_that_is_away_is_found_so() -> None:
    [finding] = check("redis://user:secret@127.0.0.1:1/0")
    assert not finding.ok
    assert finding.line.startswith("redis: Error 111 connecting to 127.0.0.1:1")
    assert "secret" not in finding.line


def test_a_wrong_url_is_found() -> None:
    [finding] = check("http://user:secret@127.0.0.1")
    assert not finding.ok
    assert finding.line.startswith("redis: REDIS_URL")
    assert "secret" not in finding.line


def test_a_replica_is_found(valkey_url: str, client: redis.Redis) -> None:
    pipeline(client, [("REPLICAOF", "127.0.0.1", 1)])
    try:
        [finding] = check(valkey_url)
    finally:
        pipeline(client, [("REPLICAOF", "NO", "ONE")])
    assert not finding.ok
    assert "read only replica" in finding.line


@pytest.mark.parametrize(
    ("maxmemory", "policy", "ok"),
    [
        ("1gb", "allkeys-lru", False),
        ("1gb", "volatile-lru", True),
        ("1gb", "noeviction", True),
        ("0", "allkeys-lru", True),
    ],
)
def test_a_policy_that_may_delete_events_is_found(
    valkey_url: str, client: redis.Redis, maxmemory: str, policy: str, *, ok: bool
) -> None:
    pipeline(client, [("CONFIG", "SET", "maxmemory", maxmemory, "maxmemory-policy", policy)])
    try:
        findings = check(valkey_url)
    finally:
        pipeline(client, [("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")])
    assert all(finding.ok for finding in findings) == ok
    assert ok or policy in findings[-1].line

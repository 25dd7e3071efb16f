"""The script that publishes, on a Valkey and on the oldest Redis that is supported."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import redis

from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.key_names import FENCE_KEY, PUBLISHED_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import PUBLISHED_NAMES, UPDATES
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.fences import take_ownership
from tests.support.oldest_redis import redis_7_0
from tests.support.score_rows import AT_MS, began, ended, row
from tests.support.valkey_servers import ServerKind, ValkeyServer, valkey_server
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=["valkey", "redis 7.0"])
def kind(request: pytest.FixtureRequest) -> ServerKind:
    return ServerKind(redis_7_0() if request.param == "redis 7.0" else None)


@pytest.fixture(scope="module")
def server(kind: ServerKind) -> Iterator[ValkeyServer]:
    with valkey_server(kind=kind) as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_was_published(server: ValkeyServer) -> None:
    server.client.delete(PUBLISHED_KEY)


@contextmanager
def publisher_of(url: str, fence: Fence) -> Iterator[RedisUpdatePublisher]:
    with closing(RedisUpdatePublisher(url, fence)) as publisher:
        yield publisher


@contextmanager
def received_channels(client: redis.Redis) -> Iterator[list[str]]:
    """Add the channel of each update that the block publishes, which a last message ends."""
    channels: list[str] = []
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=5)
        yield channels
        client.publish("end", b"")
        while (message := pubsub.get_message(timeout=5))["channel"] != b"end":
            channels.append(message["channel"].decode())


def test_updates_of_several_tenants_are_published_with_the_token_of_the_owner(
    server: ValkeyServer,
) -> None:
    fence = take_ownership(server.url)
    with publisher_of(server.url, fence) as publisher, received_channels(server.client) as channels:
        publisher.publish([row(), row(tenant_id="acme"), row("s2"), row("s2", tenant_id="acme")])
        pipeline(server.client, [("SCRIPT", "FLUSH")])
        publisher.publish([row("s3")])
    assert channels == [*[UPDATES] * 2, *[f"acme:{UPDATES}"] * 2, UPDATES]


def test_another_token_publishes_nothing(server: ValkeyServer) -> None:
    fence = take_ownership(server.url, 7)
    with publisher_of(server.url, fence) as publisher, received_channels(server.client) as channels:
        take_ownership(server.url, 8)
        with pytest.raises(OwnershipLost):
            publisher.publish([row()])
        server.client.delete(FENCE_KEY)
        with pytest.raises(Unavailable, match="forgotten who owns"):
            publisher.publish([row()])
    assert channels == []


def test_a_process_without_a_lease_yet_publishes_nothing(server: ValkeyServer) -> None:
    take_ownership(server.url)
    with publisher_of(server.url, Fence()) as publisher:
        with received_channels(server.client) as channels, pytest.raises(OwnershipLost):
            publisher.publish([row()])
        with received_channels(server.client) as others:
            publisher.require_access()
    assert channels == others == []


class RetakenFence(Fence):
    """A fence whose token another thread changes, in Redis and here, before its first use."""

    def __init__(self, client: redis.Redis, old: bytes, new: bytes) -> None:
        super().__init__()
        self._client = client
        self._tokens = [new, old]

    @property
    def token(self) -> bytes:
        if len(self._tokens) > 1:
            self._client.set(self.key, self._tokens[0])
            return self._tokens.pop()
        return self._tokens[0]

    @token.setter
    def token(self, token: bytes) -> None:
        del token


def test_a_lease_that_is_taken_again_meanwhile_publishes_once(server: ValkeyServer) -> None:
    fence = RetakenFence(server.client, b"7", b"8")
    with publisher_of(server.url, fence) as publisher, received_channels(server.client) as channels:
        publisher.publish([row()])
    assert channels == [UPDATES]


@pytest.mark.parametrize(
    "missing",
    [
        *("+eval", "+get", "+publish", "~conductor:*"),
        *(f"&*:{name}" for name in PUBLISHED_NAMES),
    ],
)
def test_a_missing_grant_is_a_config_error_with_the_grants(
    server: ValkeyServer, missing: str
) -> None:
    rules = [rule for rule in granted_rules() if rule != missing]
    anomalies = ended(began_ms=AT_MS - 5000), began("2")
    url, rows = as_user(server.url), [row(tenant_id="acme", anomalies=anomalies)]
    with (
        acl_user(server.client, *rules),
        publisher_of(url, take_ownership(server.url)) as publisher,
    ):
        with pytest.raises(ConfigError, match=r"^REDIS_URL: .*grant it, as in: .* \+eval"):
            publisher.publish(rows)
        pipeline(server.client, [("ACL", "SETUSER", "conductor", missing)])
        publisher.publish(rows)


def test_a_namespace_stands_before_key_and_channels_and_needs_no_other_grant(
    server: ValkeyServer,
) -> None:
    url = with_namespace(as_user(server.url), "staging")
    rules = [re.sub("([~&])", r"\1staging:", rule) for rule in granted_rules()]
    fence = take_ownership(with_namespace(server.url, "staging"))
    take_ownership(server.url, 999)  # of the service without a namespace
    with (
        acl_user(server.client, *rules),
        publisher_of(url, fence) as publisher,
        received_channels(server.client) as channels,
    ):
        publisher.publish([row(), row(tenant_id="acme")])
    assert channels == [f"staging:{UPDATES}", f"staging:acme:{UPDATES}"]


def test_subscribers_of_a_replica_receive_updates(kind: ServerKind, server: ValkeyServer) -> None:
    with (
        valkey_server("--replicaof", "127.0.0.1", str(server.port), kind=kind) as replica,
        publisher_of(server.url, take_ownership(server.url)) as publisher,
        replica.client.pubsub() as pubsub,  # type: ignore[no-untyped-call]
    ):
        wait_until(lambda: replica.client.info()["master_link_status"] == "up")
        pubsub.subscribe(UPDATES)
        assert pubsub.get_message(timeout=5)
        publisher.publish([row()])
        assert pubsub.get_message(timeout=5)["channel"] == UPDATES.encode()

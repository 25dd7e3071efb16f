"""The followed session's score, as it is published."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.commands.inspect.update_follower import UpdateFollower
from conductor_actors.domain.identity import SessionKey
from tests.support.fences import take_ownership
from tests.support.score_rows import row
from tests.support.servers import temporary_state_dir


@pytest.fixture
def follower(valkey_url: str) -> Iterator[UpdateFollower]:
    with closing(UpdateFollower(valkey_url)) as follower:
        yield follower


def receives(
    follower: UpdateFollower, publisher: RedisUpdatePublisher, session: str, tenant: str = "default"
) -> bool:
    """Publish until the follower receives an update; return False after 10 s."""
    deadline_s = time.monotonic() + 10
    other = row("other", tenant_id=tenant)
    while time.monotonic() < deadline_s:
        publisher.publish([other, row(session, tenant_id=tenant), other])
        if follower.read():
            return True
    return False


def test_the_followed_sessions_newest_update_is_kept(
    follower: UpdateFollower, valkey_url: str
) -> None:
    with closing(RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))) as publisher:
        follower.follow(SessionKey("acme", "keynote"))
        assert receives(follower, publisher, "keynote", "acme")
        assert follower.newest is not None
        assert (follower.newest.session_id, follower.newest.score) == ("keynote", row().score)
        assert follower.newest.contributions == row().contributions
        follower.follow(SessionKey("default", "keynote"))
        assert follower.newest is None
        assert receives(follower, publisher, "keynote")
        follower.follow(None)
        assert (follower.read(), follower.newest) == (False, None)


def test_it_subscribes_again_after_its_connection_was_closed(
    follower: UpdateFollower, redis_client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))) as publisher:
        follower.follow(SessionKey("default", "keynote"))
        assert receives(follower, publisher, "keynote")
        redis_client.client_kill_filter(_type="pubsub")
        assert receives(follower, publisher, "keynote")


def test_an_invalid_update_is_ignored(follower: UpdateFollower, redis_client: redis.Redis) -> None:
    follower.follow(SessionKey("default", "keynote"))
    follower.read()
    for body in (b"rubbish", b"{}", b"\xff", b'{"sessionId":"keynote"}'):
        redis_client.publish("engagement:update", body)
    assert not follower.read()


def test_without_redis_there_are_no_updates() -> None:
    with closing(UpdateFollower(None)) as follower:
        follower.follow(SessionKey("default", "keynote"))
        assert (follower.can_read, follower.read(), follower.newest) == (False, False, None)


def test_it_subscribes_as_soon_as_redis_is_available() -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with closing(UpdateFollower(url)) as follower, temporary_state_dir() as folder:
        follower.follow(SessionKey("default", "keynote"))
        assert [follower.read(), follower.read()] == [False, False]
        with (
            EmbeddedServers(folder, pick_port=lambda: port) as servers,
            closing(
                RedisUpdatePublisher(url := servers.start_valkey(), take_ownership(url))
            ) as publisher,
        ):
            assert receives(follower, publisher, "keynote")

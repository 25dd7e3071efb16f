"""The followed session's score, as it is announced."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.redis.update_publisher import RedisUpdatePublisher
from conductor_actors.commands.inspect.updates import Updates
from conductor_actors.domain.identity import SessionKey
from tests.support.owners import owning
from tests.support.score_rows import row
from tests.support.servers import server_folder


@pytest.fixture
def updates(valkey_url: str, redis_client: redis.Redis) -> Iterator[Updates]:
    del redis_client  # for its empty database
    with closing(Updates(valkey_url)) as updates:
        yield updates


def hears(
    updates: Updates, feed: RedisUpdatePublisher, session: str, tenant: str = "default"
) -> bool:
    """Announce until it is heard, among others' updates."""
    deadline_s = time.monotonic() + 10
    other = row("other", tenant_id=tenant)
    while time.monotonic() < deadline_s:
        feed.publish([other, row(session, tenant_id=tenant), other])
        if updates.read():
            return True
    return False


def test_the_followed_sessions_newest_update_is_kept(updates: Updates, valkey_url: str) -> None:
    with closing(RedisUpdatePublisher(valkey_url, owning(valkey_url))) as feed:
        updates.follow(SessionKey("acme", "keynote"))
        assert hears(updates, feed, "keynote", "acme")
        assert updates.newest is not None
        assert (updates.newest.session_id, updates.newest.score) == ("keynote", row().score)
        assert updates.newest.contributions == row().contributions
        updates.follow(SessionKey("default", "keynote"))
        assert updates.newest is None
        assert hears(updates, feed, "keynote")
        updates.follow(None)
        assert (updates.read(), updates.newest) == (False, None)


def test_it_goes_on_when_its_connection_was_cut(
    updates: Updates, redis_client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisUpdatePublisher(valkey_url, owning(valkey_url))) as feed:
        updates.follow(SessionKey("default", "keynote"))
        assert hears(updates, feed, "keynote")
        redis_client.client_kill_filter(_type="pubsub")
        assert hears(updates, feed, "keynote")


def test_what_is_no_update_is_passed_over(updates: Updates, redis_client: redis.Redis) -> None:
    updates.follow(SessionKey("default", "keynote"))
    updates.read()
    for body in (b"rubbish", b"{}", b"\xff", b'{"sessionId":"keynote"}'):
        redis_client.publish("engagement:update", body)
    assert not updates.read()


def test_without_a_redis_nothing_is_heard() -> None:
    with closing(Updates(None)) as updates:
        updates.follow(SessionKey("default", "keynote"))
        assert (updates.is_possible, updates.read(), updates.newest) == (False, False, None)


def test_it_listens_as_soon_as_redis_is_there() -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with closing(Updates(url)) as updates, server_folder() as folder:
        updates.follow(SessionKey("default", "keynote"))
        assert [updates.read(), updates.read()] == [False, False]
        with (
            EmbeddedServers(folder, pick_port=lambda: port) as servers,
            closing(RedisUpdatePublisher(url := servers.start_valkey(), owning(url))) as feed,
        ):
            assert hears(updates, feed, "keynote")

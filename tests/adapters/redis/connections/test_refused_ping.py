"""A Redis that refuses PING with an error is alive: its events are read, its messages received."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice

import pytest

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.adapters.redis.introspection_channel import (
    RedisIntrospectionChannel,
    RedisIntrospectionClient,
)
from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT
from conductor_actors.domain.introspection_protocol import IntrospectionRequest
from conductor_actors.errors import Unavailable
from conductor_actors.ports import UPDATES, SubscriptionHandlers
from tests.adapters.redis.pubsub_messages import pop_bodies
from tests.support.event_samples import SYNC
from tests.support.valkey_servers import ValkeyServer, valkey_server
from tests.support.waiting import wait_until

OFTEN = Deadlines(quiet_s=0.01, pong_within_s=0.5, reconnect_within_s=0.01)
MESSAGES = 20


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """Start a server that can't save: its directory is gone."""
    with valkey_server("--save", "3600 1") as server:
        server.client.set("unsaved", 1)
        server.directory.rmdir()
        server.client.bgsave()
        wait_until(lambda: server.client.info()["rdb_last_bgsave_status"] == "err")
        yield server
        server.directory.mkdir()


def test_it_refuses_ping(valkey: ValkeyServer) -> None:
    with pytest.raises(Exception, match="MISCONF"):
        valkey.client.ping()


def test_events_by_pub_sub_are_all_received(valkey: ValkeyServer) -> None:
    received: list[bytes] = []
    gaps: list[Gap] = []
    with (
        closing(open_client(valkey.url)) as client,
        closing(PubSubListener(client, Subscriptions([SYNC]), 1000, OFTEN)) as listener,
    ):

        def has_received(body: bytes) -> bool:
            bodies, new_gaps = pop_bodies(listener)
            received.extend(bodies)
            gaps.extend(new_gaps)
            return body in received

        listener.wait_subscribed(5)
        sent = [b"%d" % number for number in range(MESSAGES)]
        for body in sent:  # `wait_until` leaves time for several PINGs
            assert valkey.client.publish(SYNC, body) == 1
            wait_until(lambda body=body: has_received(body))  # type: ignore[misc]
    assert (received, gaps) == (sent, [])


def test_events_are_read_again_after_the_connection_was_lost(valkey: ValkeyServer) -> None:
    with closing(RedisSource(valkey.url, SourceOptions("both", start="earliest"))) as source:
        source.read()
        valkey.client.client_kill_filter(skipme=True)
        gaps: list[str] = []

        def has_reconnected() -> bool:
            with suppress(Unavailable):
                gaps.extend(gap.reason for gap in source.read().gaps)
            return gaps == ["reconnected"]

        wait_until(has_reconnected)


def test_requests_for_introspection_are_received(valkey: ValkeyServer) -> None:
    with (
        closing(RedisIntrospectionChannel(valkey.url, OFTEN)) as channel,
        closing(RedisIntrospectionClient(valkey.url)) as client,
    ):
        for _ in range(3):
            assert channel.read() == []
        request = IntrospectionRequest(id="1", tenant="default", session="s")
        assert client.send(request) == 1
        reads = iter(channel.read, None)  # a refused ping can end one early
        assert next(filter(None, islice(reads, 20))) == [request]


def test_updates_are_received(valkey: ValkeyServer) -> None:
    with closing(RedisUpdateReader(valkey.url, deadlines=OFTEN)) as reader:
        reader.select(EVERY_TENANT)
        for _ in range(10):
            assert reader.read(0.02) == []
        assert valkey.client.publish(UPDATES, b"{}") == 1
        assert len(reader.read(5)) == 1


@pytest.mark.anyio
async def test_the_dashboard_stays_subscribed(valkey: ValkeyServer) -> None:
    subscriber = RedisUpdateSubscriber(valkey.url, OFTEN)
    received = asyncio.Event()
    handlers = SubscriptionHandlers(lambda: None, lambda _: received.set(), lambda *_: None)
    await subscriber.subscribe(DEFAULT_TENANT)
    listening = asyncio.create_task(subscriber.listen(handlers))
    done, _ = await asyncio.wait([listening], timeout=0.5)
    assert not done
    assert valkey.client.publish(UPDATES, b"{}") == 1
    await asyncio.wait_for(received.wait(), 5)
    listening.cancel()

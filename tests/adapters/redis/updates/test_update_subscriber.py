"""Published updates are received on an event loop, and a dead connection is noticed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
import redis

from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.updates import update_channels
from conductor_actors.adapters.redis.updates.update_subscriber import (
    MESSAGES_PER_YIELD,
    RedisUpdateSubscriber,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import PUBLISHED_NAMES, PublishedMessage, SubscriptionHandlers
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules

pytestmark = pytest.mark.anyio

SHORT = Deadlines(quiet_s=0.05, pong_within_s=0.2)

Ended = asyncio.Task[None]


async def wait_for_subscribers(client: redis.Redis, channel: str, count: int) -> None:
    """Wait until a channel has this number of subscribers."""
    async with asyncio.timeout(10):
        while client.pubsub_numsub(channel)[0][1] != count:  # noqa: ASYNC110 - nothing says so
            await asyncio.sleep(0.01)


class Line:
    """A proxy before Redis that can fall silent, or be cut, without either side being told."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._server = (where.hostname, where.port)
        self.is_silent = False
        self.connections = 0
        self._passed = 0
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.close()
            self.cut()

    async def passes(self, times: int) -> None:
        """Wait until so many pieces of data have passed in either direction."""
        until = self._passed + times
        async with asyncio.timeout(10):
            while self._passed < until:  # noqa: ASYNC110 - nothing says so
                await asyncio.sleep(0)

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.is_silent = False  # a new connection finds the line in order
        there, back = await asyncio.open_connection(*self._server)
        self._writers += [writer, back]
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._passed += 1
            if not self.is_silent:
                writer.write(data)
        writer.close()


class Received:
    """What a subscriber received."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.messages: asyncio.Queue[PublishedMessage] = asyncio.Queue()
        self.refused: list[tuple[str, Exception]] = []

    def handlers(self) -> SubscriptionHandlers:
        return SubscriptionHandlers(
            self.connected.set, self._receive, lambda *each: self.refused.append(each)
        )

    def _receive(self, messages: Sequence[PublishedMessage]) -> None:
        for message in messages:
            self.messages.put_nowait(message)


@asynccontextmanager
async def running(
    url: str, *tenants: str
) -> AsyncIterator[tuple[RedisUpdateSubscriber, Received, Ended]]:
    """Subscribe to tenants; what is given is the subscriber, what it receives, and its task."""
    received = Received()
    subscriber = RedisUpdateSubscriber(url, SHORT)
    task = asyncio.create_task(subscriber.listen(received.handlers()))
    try:
        await asyncio.wait_for(received.connected.wait(), 10)
        for tenant in tenants:
            await asyncio.wait_for(subscriber.subscribe(tenant), 10)
        yield subscriber, received, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await task


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[tuple[asyncio.Queue[PublishedMessage], Ended]]:
    """Subscribe to some tenants; what is given is what was received, and the task that listens."""
    async with running(url, "default", "acme", "globex", "session") as (_, received, task):
        yield received.messages, task


async def next_of(received: asyncio.Queue[PublishedMessage]) -> PublishedMessage:
    return await asyncio.wait_for(received.get(), 10)


async def test_each_message_of_the_tenants_is_received_once(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    async with listening(valkey_url) as (received, _):
        for channel in ("engagement:update", "acme:anomaly:detected", "No:engagement:update"):
            redis_client.publish(channel, channel)
        redis_client.publish("unknown:engagement:update", "nobody subscribed to it")
        redis_client.publish("default:engagement:update", "not a tenant's prefix")
        redis_client.publish("a:b:engagement:update", "nor this")
        redis_client.publish("globex:engagement:update", "the last")
        assert await next_of(received) == ("default", "engagement:update", b"engagement:update")
        assert await next_of(received) == ("acme", "anomaly:detected", b"acme:anomaly:detected")
        assert await next_of(received) == ("globex", "engagement:update", b"the last")


async def test_what_conductors_do_is_received_for_each_tenant_that_the_channel_can_be_of(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    async with listening(valkey_url) as (received, _):
        for channel in (
            "session:a:events",
            "acme:session:b:c:events",
            "No:session:a:events",
            "session:a:other",
            "session:session:d:events",
            "acme:session:last:events",
        ):
            redis_client.publish(channel, channel)
        found = [await next_of(received) for _ in range(5)]
    assert found[:2] == [
        ("default", "session:a:events", b"session:a:events"),
        ("acme", "session:b:c:events", b"acme:session:b:c:events"),
    ]
    assert {(one.tenant, one.name) for one in found[2:4]} == {
        ("default", "session:session:d:events"),
        ("session", "session:d:events"),
    }
    assert found[4].name == "session:last:events"


async def test_a_quiet_connection_stays_while_pings_are_answered_and_ends_when_not(
    valkey_url: str,
) -> None:
    line = Line(valkey_url)
    async with line.open() as url, listening(url) as (_, listener):
        await line.passes(10)  # nothing but PINGs and their replies
        assert (line.connections, listener.done()) == (1, False)
        line.is_silent = True
        with pytest.raises(Unavailable, match="pub/sub does not answer"):
            await asyncio.wait_for(listener, 10)


async def test_a_connection_that_is_closed_is_unavailable(valkey_url: str) -> None:
    line = Line(valkey_url)
    async with line.open() as url, listening(url) as (_, listener):
        line.cut()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(listener, 10)


async def test_it_listens_again_after_an_outage(valkey_url: str, redis_client: redis.Redis) -> None:
    subscriber = RedisUpdateSubscriber(valkey_url, SHORT)
    await subscriber.subscribe("acme")  # it is not connected yet
    for _ in range(2):
        received = Received()
        listener = asyncio.create_task(subscriber.listen(received.handlers()))
        await asyncio.wait_for(received.connected.wait(), 10)
        await wait_for_subscribers(redis_client, "acme:engagement:update", 1)
        redis_client.publish("acme:engagement:update", "again")
        assert (await next_of(received.messages)).tenant == "acme"
        redis_client.client_kill_filter(_type="pubsub")
        with pytest.raises(Unavailable):
            await asyncio.wait_for(listener, 10)


async def test_a_tenant_is_received_from_its_subscription_until_its_end(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    channels = [f"acme:{name}" for name in PUBLISHED_NAMES]
    async with running(valkey_url) as (subscriber, received, _):
        for _ in range(3):
            assert [redis_client.publish(each, "early") for each in channels] == [0, 0, 0]
            await asyncio.wait_for(subscriber.subscribe("acme"), 10)
            assert [redis_client.publish(each, "live") for each in channels] == [1, 1, 1]
            redis_client.publish("acme:session:a:events", "live")
            found = [await next_of(received.messages) for _ in range(4)]
            assert {one.body for one in found} == {b"live"}
            await subscriber.unsubscribe("acme")
            await wait_for_subscribers(redis_client, channels[-1], 0)
        await asyncio.wait_for(subscriber.subscribe("globex"), 10)
        redis_client.publish("globex:engagement:update", "the last")
        assert (await next_of(received.messages)).body == b"the last"


async def test_a_tenant_without_subscription_costs_nothing(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    async with running(valkey_url):
        for channel in ("engagement:update", "anomaly:detected", "anomaly:ended"):
            await wait_for_subscribers(redis_client, channel, 0)
            assert redis_client.publish(f"acme:{channel}", "nobody") == 0


async def test_one_tenant_that_is_refused_does_not_affect_others_and_can_be_granted(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    grants = [rule for rule in granted_rules() if rule != "&*:engagement:update"]
    with acl_user(redis_client, *grants, "&acme:engagement:update"):
        async with running(as_user(valkey_url), "acme", "globex", "default") as running_one:
            subscriber, received, task = running_one
            ((tenant, error),) = received.refused
            assert (tenant, isinstance(error, ConfigError)) == ("globex", True)
            assert "grant it, as in: ACL SETUSER" in str(error)
            for channel in ("globex:engagement:update", "acme:engagement:update"):
                redis_client.publish(channel, channel)
            assert (await next_of(received.messages)).tenant == "acme"
            assert not task.done()
            redis_client.acl_setuser("conductor", channels=["globex:engagement:update"])
            await asyncio.wait_for(subscriber.subscribe("globex"), 10)
            redis_client.publish("globex:engagement:update", "granted")
            assert (await next_of(received.messages)).body == b"granted"


async def test_a_user_that_may_not_unsubscribe_drops_the_messages(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    grants = [rule for rule in granted_rules() if rule != "+unsubscribe"]
    with acl_user(redis_client, *grants):
        async with running(as_user(valkey_url), "acme", "globex") as (subscriber, received, task):
            await subscriber.unsubscribe("acme")
            for channel in ("engagement:update", "acme:engagement:update"):
                redis_client.publish(channel, "not of the tenant")
            redis_client.publish("globex:engagement:update", "the last")
            assert (await next_of(received.messages)).tenant == "globex"
            assert (received.refused, task.done()) == ([], False)


async def test_a_flood_of_messages_leaves_other_tasks_their_turn(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with listening(valkey_url) as (received, _):
        with redis_client.pipeline(transaction=False) as pipeline:
            for number in range(1000):
                pipeline.publish("engagement:update", number)
            pipeline.execute()
        await next_of(received)
        other = asyncio.create_task(take_turns())
        while (await next_of(received)).body != b"999":
            pass
        other.cancel()
        assert turns >= 1000 // MESSAGES_PER_YIELD - 2


@pytest.mark.parametrize(
    "channel", ["", ":engagement:update", "engagement", "engagement:updates", "*:engagement:update"]
)
async def test_other_channels_are_of_no_tenant(channel: str) -> None:
    assert update_channels.published_message([b"message", channel.encode(), b""]) is None

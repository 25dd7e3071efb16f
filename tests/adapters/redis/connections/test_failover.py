"""After a planned failover behind one address, every connection finds the new primary."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from time import monotonic

import pytest

from conductor_actors.adapters.redis.access_check import check
from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionChannel
from conductor_actors.adapters.redis.log_stream import RedisLog, RedisLogReader
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LogEvent, PrimaryLost, observed_by
from conductor_actors.ports import SubscriptionHandlers
from tests.adapters.redis.pubsub_messages import pop_bodies
from tests.support.event_samples import REACTION, SYNC
from tests.support.replicated_valkeys import ReplicatedValkeys, replicated_valkeys
from tests.support.waiting import wait_until

MAX_MOVE_S = 5.0


@pytest.fixture
def valkeys() -> Iterator[ReplicatedValkeys]:
    with replicated_valkeys() as valkeys:
        yield valkeys


def reads_events(url: str) -> tuple[object, Callable[[], object]]:
    source = RedisSource(url, SourceOptions("streams"))
    return source, source.read


def reads_updates(url: str) -> tuple[object, Callable[[], object]]:
    reader = RedisUpdateReader(url)
    reader.select(EVERY_TENANT)
    return reader, lambda: reader.read(0.05)


def reads_requests(url: str) -> tuple[object, Callable[[], object]]:
    channel = RedisIntrospectionChannel(url)
    return channel, channel.read


def reads_outbox(url: str) -> tuple[object, Callable[[], object]]:
    outbox = RedisOutbox(url)
    return outbox, lambda: outbox.read_oldest(1)


def reads_log(url: str) -> tuple[object, Callable[[], object]]:
    log = RedisLogReader(url, 1)
    return log, log.read


def writes_log(url: str) -> tuple[object, Callable[[], object]]:
    log = RedisLog(url)
    return log, lambda: log.append(["{}"])


def renews_lease(url: str) -> tuple[object, Callable[[], object]]:
    lease = RedisLease(url)
    return lease, lease.acquire_or_renew


def loads_checkpoint(url: str) -> tuple[object, Callable[[], object]]:
    store = RedisCheckpointStore(url, Fence())
    return store, store.load


@pytest.mark.parametrize(
    "opens",
    [
        reads_events,
        reads_updates,
        reads_requests,
        reads_outbox,
        reads_log,
        writes_log,
        renews_lease,
        loads_checkpoint,
    ],
)
def test_what_is_called_again_and_again_finds_the_new_primary(
    valkeys: ReplicatedValkeys, opens: Callable[[str], tuple[object, Callable[[], object]]]
) -> None:
    port, call = opens(valkeys.url)
    with closing(port):  # type: ignore[type-var]
        call()
        assert valkeys.proxy.ports_out
        valkeys.fail_over()
        began_s = monotonic()

        def has_moved() -> bool:
            with suppress(Unavailable):
                call()
            return valkeys.connections_to_replica() == 0

        wait_until(has_moved, MAX_MOVE_S)
        wait_until(lambda: call() is not Unavailable, MAX_MOVE_S)
        assert monotonic() - began_s < MAX_MOVE_S


def test_each_connection_that_was_open_reports_the_failover_once(
    valkeys: ReplicatedValkeys,
) -> None:
    lost: list[LogEvent] = []

    def record(event: LogEvent) -> None:
        if isinstance(event, PrimaryLost):
            lost.append(event)

    with (
        closing(RedisSource(valkeys.url, SourceOptions("both"))) as source,
        observed_by(record),
    ):
        source.read()
        valkeys.fail_over()

        def has_moved() -> bool:
            with suppress(Unavailable):
                source.read()
            return len(lost) >= 2 and valkeys.connections_to_replica() == 0

        wait_until(has_moved, MAX_MOVE_S)
        source.read()
    assert [event.keys() for event in lost] == [{"reason": "role"}] * 2  # streams and pub/sub


def test_no_read_of_a_former_primary_succeeds(valkeys: ReplicatedValkeys) -> None:
    with closing(RedisSource(valkeys.url, SourceOptions("streams"))) as source:
        source.read()
        valkeys.fail_over()
        with pytest.raises(Unavailable, match="not the primary"):
            source.read()
        valkeys.primary.client.xadd(REACTION, {"data": b"{}"})
        assert [entry[2] for entry in source.read().entries] == [REACTION]


def test_a_listener_moves_also_while_messages_come_without_a_pause(
    valkeys: ReplicatedValkeys,
) -> None:
    with (
        closing(open_client(valkeys.url)) as client,
        closing(PubSubListener(client, Subscriptions([SYNC]), 100_000)) as listener,
    ):
        listener.wait_subscribed(5)
        valkeys.fail_over()
        until_s = monotonic() + MAX_MOVE_S
        while valkeys.connections_to_replica():  # what is published reaches the replica, too
            valkeys.primary.client.publish(SYNC, b"busy")
            assert monotonic() < until_s
        wait_until(lambda: valkeys.primary.client.publish(SYNC, b"moved") == 1)
        gaps: list[str] = []
        bodies: list[bytes] = []

        def has_received() -> bool:
            new_bodies, new_gaps = pop_bodies(listener)
            bodies.extend(new_bodies)
            gaps.extend(gap.reason for gap in new_gaps)
            return b"moved" in bodies

        wait_until(has_received)
        assert gaps == ["reconnected"]


@pytest.mark.anyio
async def test_the_dashboard_moves(valkeys: ReplicatedValkeys) -> None:
    subscriber = RedisUpdateSubscriber(valkeys.url)
    subscribed = asyncio.Event()
    listening = asyncio.create_task(
        subscriber.listen(SubscriptionHandlers(subscribed.set, lambda _: None, lambda *_: None))
    )
    await asyncio.wait_for(subscribed.wait(), 5)
    await asyncio.to_thread(valkeys.fail_over)
    with pytest.raises(Unavailable, match="not the primary"):
        await asyncio.wait_for(listening, MAX_MOVE_S)


def test_a_replica_is_refused_in_one_line(valkeys: ReplicatedValkeys) -> None:
    replica = valkeys.replica.url
    [result] = check(replica)
    assert not result.ok
    assert "is a replica" in result.line
    assert "\n" not in result.line
    with (
        closing(open_client(replica)) as client,
        pytest.raises(ConfigError, match=r"^REDIS_URL: this Redis is a replica"),
        mapped_errors(),
    ):
        pipeline(client, [("TIME",)])


@pytest.mark.anyio
async def test_the_dashboard_refuses_a_replica(valkeys: ReplicatedValkeys) -> None:
    subscriber = RedisUpdateSubscriber(valkeys.replica.url)
    with pytest.raises(ConfigError, match="is a replica"):
        await subscriber.listen(SubscriptionHandlers(lambda: None, lambda _: None, lambda *_: None))


def test_entries_that_a_failover_loses_are_reported_as_a_gap_and_later_ones_are_read(
    valkeys: ReplicatedValkeys,
) -> None:
    with closing(RedisSource(valkeys.url, SourceOptions("streams"))) as source:
        valkeys.primary.client.xadd(REACTION, {"data": b"kept"})
        wait_until(lambda: valkeys.replica.client.xlen(REACTION) == 1)
        valkeys.cut_replication()
        valkeys.primary.client.xadd(REACTION, {"data": b"lost"})
        bodies: list[bytes] = []

        def has_read_both() -> bool:
            bodies.extend(entry[3] for entry in source.read().entries)
            return bodies == [b"kept", b"lost"]

        wait_until(has_read_both)
        valkeys.replace_killed_primary()
        valkeys.primary.client.xadd(REACTION, {"data": b"new"})
        bodies.clear()
        gaps: list[str] = []

        def has_read() -> bool:
            with suppress(Unavailable):
                read = source.read()
                bodies.extend(entry[3] for entry in read.entries)
                gaps.extend(gap.reason for gap in read.gaps)
            return bodies == [b"new"]

        wait_until(has_read)
        assert gaps == ["trimmed"]

"""The owner of a partition is known in two Redises: the partition's own, and that of the events."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
import redis

from conductor_actors.adapters.redis.dead_letter_stream import RedisDeadLetterQueue
from conductor_actors.adapters.redis.key_names import FENCE_KEY, OWNER_KEY, key_of
from conductor_actors.adapters.redis.ownership.fence_mirror import FenceMirror
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import OwnershipLost, Unavailable
from conductor_actors.ports import UPDATES, DeadLetter
from tests.support.score_rows import row
from tests.support.valkey_servers import ValkeyServer, valkey_server
from tests.support.waiting import wait_until

PARTITION = Partition(7, 64)
FENCE = key_of(PARTITION, FENCE_KEY)
OWNER = key_of(PARTITION, OWNER_KEY)
LETTER = DeadLetter("sync-events", "1-1", "invalid", b"{}")


class TwoServers:
    """The Redis of the events and that of the partitions, and the leases of several processes."""

    def __init__(self, events: str, partitions: ValkeyServer, to_close: ExitStack) -> None:
        self.events_url = events
        self.events = to_close.enter_context(redis.Redis.from_url(events))
        self.partitions = partitions
        self._to_close = to_close

    def lease(self) -> RedisLease:
        mirror = FenceMirror(self.events_url, PARTITION)
        lease = RedisLease(self.partitions.url, PARTITION, None, mirror)
        self._to_close.callback(lease.close)
        return lease

    def owner(self) -> RedisLease:
        lease = self.lease()
        lease.acquire_or_renew()
        return lease

    def publish(self, lease: RedisLease) -> None:
        with closing(RedisUpdatePublisher(self.events_url, lease.fence)) as publisher:
            publisher.publish([row()])

    def expire_lease(self) -> None:
        self.partitions.client.delete(OWNER)


@pytest.fixture
def servers(valkey_url: str) -> Iterator[TwoServers]:
    with ExitStack() as stack, valkey_server() as partitions:
        yield TwoServers(valkey_url, partitions, stack)


def test_a_new_owner_has_its_token_in_both(servers: TwoServers) -> None:
    lease = servers.owner()
    assert lease.fence.token == servers.events.get(FENCE)
    assert lease.fence.token == servers.partitions.client.get(FENCE)
    servers.publish(lease)


def test_a_former_owner_publishes_nothing_from_the_moment_that_another_has_the_lease(
    servers: TwoServers,
) -> None:
    former = servers.owner()
    servers.expire_lease()
    servers.owner()
    with servers.events.pubsub() as subscriber:
        subscriber.subscribe(UPDATES)
        assert subscriber.get_message(timeout=5)
        with pytest.raises(OwnershipLost):
            servers.publish(former)
        assert subscriber.get_message(timeout=0.1) is None
    with (
        closing(RedisDeadLetterQueue(servers.events_url, former.fence)) as letters,
        pytest.raises(OwnershipLost),
    ):
        letters.add([LETTER])


def test_a_former_owner_that_was_suspended_before_it_stored_its_token_lowers_nothing(
    servers: TwoServers,
) -> None:
    late = servers.lease()
    assert late._mirror is not None
    store = late._mirror.store

    def store_late(token: bytes) -> None:
        servers.expire_lease()
        servers.owner()
        store(token)

    late._mirror.store = store_late  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        late.acquire_or_renew()
    assert late.fence.token == b""
    assert servers.events.get(FENCE) == servers.partitions.client.get(FENCE)


def test_tokens_of_any_length_are_compared_as_numbers(servers: TwoServers) -> None:
    with closing(FenceMirror(servers.events_url, PARTITION)) as mirror:
        assert mirror.newest() == 0
        for token in (b"9", b"10", b"1795995093041", b"1795995093042"):
            mirror.store(token)
        with pytest.raises(OwnershipLost):
            mirror.store(b"99")
        assert mirror.newest() == 1_795_995_093_042


def test_tokens_that_the_partitions_redis_has_lost_are_not_used_again(servers: TwoServers) -> None:
    """As by a failover to a replica that had not received the last owner's token."""
    former = servers.owner()
    for lost in (b"%d" % (int(former.fence.token) - 1), None):
        if lost is None:
            servers.partitions.client.flushall()
            servers.events.set(FENCE, int(former.fence.token) + 10**9)  # its clock was ahead
        else:
            servers.partitions.client.set(FENCE, lost)
        newest = int(servers.events.get(FENCE) or 0)
        servers.expire_lease()
        owner = servers.owner()
        assert int(owner.fence.token) == newest + 1
        assert servers.events.get(FENCE) == owner.fence.token
        with pytest.raises(OwnershipLost):
            servers.publish(former)
        servers.publish(owner)


def test_nobody_becomes_the_owner_while_the_redis_of_the_events_is_away(
    servers: TwoServers,
) -> None:
    with closing(
        RedisLease(
            servers.partitions.url,
            PARTITION,
            mirror=FenceMirror("redis://127.0.0.1:1/0", PARTITION),
        )
    ) as lease:
        with pytest.raises(Unavailable):
            lease.acquire_or_renew()
        assert lease.fence.token == b""


def test_an_owner_keeps_its_lease_while_the_redis_of_the_events_is_away(
    servers: TwoServers,
) -> None:
    with valkey_server() as events:
        mirror = FenceMirror(events.url, PARTITION)
        with closing(RedisLease(servers.partitions.url, PARTITION, None, mirror)) as lease:
            lease.acquire_or_renew()
            token = lease.fence.token
            events.kill()
            servers.partitions.client.pexpire(OWNER, 1000)
            lease.acquire_or_renew()
            assert servers.partitions.client.pttl(OWNER) > 1000
            events.start()  # without its data
            lease.acquire_or_renew()
            assert events.client.get(FENCE) == token


def test_an_owner_publishes_again_once_it_has_renewed_a_lease_whose_token_was_lost(
    servers: TwoServers,
) -> None:
    lease = servers.owner()
    servers.events.flushall()
    with pytest.raises(Unavailable, match="forgotten"):
        servers.publish(lease)
    lease.acquire_or_renew()
    servers.publish(lease)


def test_a_lost_lease_of_a_partition_is_taken_again_without_a_moment_in_which_its_owner_is_refused(
    servers: TwoServers,
) -> None:
    lease = servers.owner()
    before = int(lease.fence.token)
    wait_until(lambda: _now_ms(servers) > before)
    servers.partitions.client.flushall()
    assert lease._mirror is not None
    store = lease._mirror.store

    def store_while_publishing(token: bytes) -> None:
        servers.publish(lease)  # under the token before
        store(token)

    lease._mirror.store = store_while_publishing  # type: ignore[method-assign]
    lease.acquire_or_renew()
    assert int(lease.fence.token) > before
    servers.publish(lease)


def _now_ms(servers: TwoServers) -> int:
    seconds, micros = servers.partitions.client.time()
    return int(seconds) * 1000 + int(micros) // 1000

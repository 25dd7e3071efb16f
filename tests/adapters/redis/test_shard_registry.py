"""How many shards share the sessions, and how that is changed."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest
import redis

from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.domain.checkpoints.encoding import Header, encode_header, read_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.shards import SINGLE_SHARD, Shard, all_shards, owner_of
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint
from tests.support.event_samples import CHAT
from tests.support.score_rows import row

SESSIONS: dict[SessionKey, bytes] = {SessionKey("acme", f"s{n}"): b"%d" % n for n in range(100)}


class ShardedRedis:
    """A Redis with the leases, checkpoints and outboxes of shards."""

    def __init__(self, url: str, client: redis.Redis, stack: ExitStack) -> None:
        self.url = url
        self.client = client
        self.shards = stack.enter_context(closing(ShardRegistry(url)))
        self._stack = stack

    def lease(self, shard: Shard) -> RedisLease:
        return self._stack.enter_context(closing(RedisLease(self.url, shard)))

    def position(self, until_ms: int) -> bytes:
        options = SourceOptions("streams", start="earliest", until_ms=until_ms)
        with closing(RedisSource(self.url, options)) as source:
            assert source.read().watermark_ms == until_ms
            return source.position()

    def commit(self, count: int, position: bytes | None = None) -> None:
        """Commit the checkpoints of so many shards, all of one moment."""
        position = position or self.position(1000)
        for shard in all_shards(count):
            mine = {key: SESSIONS[key] for key in SESSIONS if owner_of(key, count) == shard.number}
            intake = IntakeState(5000, 0, shard.number)
            header = encode_header(Header(7 + shard.number, 60, position, intake))
            lease = self.lease(shard)
            lease.acquire_or_renew()
            with closing(RedisCheckpointStore(self.url, lease.fence, shard)) as checkpoints:
                checkpoints.commit(Checkpoint(header, mine, is_full=True))
            lease.release()

    def load(self, shard: Shard) -> Checkpoint | None:
        with closing(RedisCheckpointStore(self.url, self.lease(shard).fence, shard)) as checkpoints:
            return checkpoints.load()


@pytest.fixture
def sharded(valkey_url: str, redis_client: redis.Redis) -> Iterator[ShardedRedis]:
    with ExitStack() as stack:
        yield ShardedRedis(valkey_url, redis_client, stack)


def test_resharding_replaces_a_key_of_the_wrong_type_and_loses_no_session(
    sharded: ShardedRedis,
) -> None:
    sharded.commit(1)
    sharded.client.set("conductor:checkpoint:0-of-2", "in the way")
    sharded.shards.reshard(1, 2)
    checkpoints = [sharded.load(shard) for shard in all_shards(2)]
    assert sum(len(each.sessions) for each in checkpoints if each) == len(SESSIONS)


def test_each_shard_has_an_owner_of_its_own(sharded: ShardedRedis) -> None:
    first, second = (sharded.lease(shard) for shard in all_shards(2))
    first.acquire_or_renew()
    second.acquire_or_renew()
    first.acquire_or_renew()
    with pytest.raises(OwnershipLost):
        sharded.lease(Shard(1, 2)).acquire_or_renew()
    assert [*sharded.shards.owners(2)] == all_shards(2)
    second.release()
    assert [*sharded.shards.owners(2)] == [Shard(0, 2)]


@pytest.mark.parametrize(
    ("one", "other"), [(SINGLE_SHARD, Shard(0, 2)), (Shard(1, 2), SINGLE_SHARD)]
)
def test_another_number_of_shards_is_refused_even_after_all_owners_are_gone(
    sharded: ShardedRedis, one: Shard, other: Shard
) -> None:
    sharded.commit(one.of)
    first = sharded.lease(one)
    first.acquire_or_renew()
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"are shared by {one.of}.+--shards {other.of}"):
            sharded.lease(other).acquire_or_renew()
        with suppress(OwnershipLost):
            first.release()


def test_an_empty_redis_has_no_number_of_shards(sharded: ShardedRedis) -> None:
    assert sharded.shards.count() is None
    sharded.lease(SINGLE_SHARD).acquire_or_renew()
    assert sharded.shards.count() == 1
    sharded.client.flushall()
    sharded.lease(Shard(1, 3)).acquire_or_renew()
    assert sharded.shards.count() == 3


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (3, 2), (2, 1)])
def test_resharding_moves_every_session_to_its_new_shard(
    sharded: ShardedRedis, old: int, new: int
) -> None:
    sharded.commit(old)
    former = sharded.lease(all_shards(old)[0])
    former.acquire_or_renew()
    former.release()
    assert sharded.shards.reshard(old, new) == len(SESSIONS)
    assert sharded.shards.count() == new
    found: dict[SessionKey, bytes] = {}
    for shard in all_shards(new):
        checkpoint = sharded.load(shard)
        assert checkpoint
        assert {owner_of(key, new) for key in checkpoint.sessions} == {shard.number}
        found |= checkpoint.sessions
        header = read_header(checkpoint.header)
        assert (header.number, header.intake.last_event_ms) == (6 + old, old - 1)
        assert header.position == sharded.position(1000)
    assert found == SESSIONS
    assert [sharded.load(shard) for shard in all_shards(old)] == [None] * old
    with pytest.raises((OwnershipLost, ConfigError)):
        former.acquire_or_renew()


def test_resharding_fails_with_a_live_owner_a_missing_checkpoint_or_rows_in_an_outbox(
    sharded: ShardedRedis,
) -> None:
    sharded.commit(2)
    before = {key: sharded.client.dump(key) for key in sharded.client.keys("conductor:check*")}
    alive = sharded.lease(Shard(1, 2))
    alive.acquire_or_renew()
    with pytest.raises(OwnershipLost):
        sharded.shards.reshard(2, 3)
    alive.release()
    with closing(RedisOutbox(sharded.url, Shard(1, 2))) as outbox:
        outbox.append([row()])
        with pytest.raises(Unavailable, match="outbox of shard 1/2"):
            sharded.shards.reshard(2, 3)
        outbox.delete(outbox.read_oldest(1))
    assert {key: sharded.client.dump(key) for key in before} == before
    sharded.client.delete("conductor:checkpoint:0-of-2")
    with pytest.raises(ConfigError, match="0-of-2 is not there; start with --shards 2 once more"):
        sharded.shards.require_checkpoints(2)
    with pytest.raises(ConfigError, match="0-of-2 is not there"):
        sharded.shards.reshard(2, 3)
    assert sharded.shards.count() == 2


def test_checkpoints_of_different_moments_are_not_merged(sharded: ShardedRedis) -> None:
    sharded.commit(2)
    later = encode_header(Header(9, 60, sharded.position(1001), IntakeState()))
    sharded.client.hset("conductor:checkpoint:0-of-2", "header", later)
    with pytest.raises(Unavailable, match="of different moments"):
        sharded.shards.reshard(2, 1)


def test_entries_at_or_after_the_end_are_left_for_the_next_source(sharded: ShardedRedis) -> None:
    for ms in (998, 999, 1000, 1001):
        sharded.client.xadd(CHAT, {"data": b"%d" % ms}, id=f"{ms}-0")
    with closing(
        RedisSource(sharded.url, SourceOptions("streams", start="earliest", until_ms=1000))
    ) as one:
        assert [entry[0] for _ in range(3) for entry in one.read().entries] == [998, 999]
        position = one.position()
    with closing(RedisSource(sharded.url, SourceOptions("streams"))) as other:
        other.resume(position)
        assert [entry[0] for entry in other.read().entries] == [1000, 1001]

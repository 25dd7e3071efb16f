"""By how many collectors the sessions are shared, and how that is changed."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest
import redis

from conductor_actors.adapters.redis.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.lease import RedisLease
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.domain.checkpoints import Header, encode_header, read_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import IntakeState
from conductor_actors.domain.shards import WHOLE, Shard, owner, shards
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint
from tests.support.hostile import CHAT
from tests.support.score_rows import row

SESSIONS: dict[SessionKey, bytes] = {SessionKey("acme", f"s{n}"): b"%d" % n for n in range(100)}


class Redis:
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

    def leave(self, count: int, position: bytes | None = None) -> None:
        """Leave the checkpoints of so many shards, all of one moment."""
        position = position or self.position(1000)
        for shard in shards(count):
            mine = {key: SESSIONS[key] for key in SESSIONS if owner(key, count) == shard.number}
            intake = IntakeState(5000, 0, shard.number)
            header = encode_header(Header(7 + shard.number, 60, position, intake))
            lease = self.lease(shard)
            lease.hold()
            with closing(RedisCheckpointStore(self.url, lease.fence, shard)) as checkpoints:
                checkpoints.commit(Checkpoint(header, mine, is_full=True))
            lease.release()

    def left(self, shard: Shard) -> Checkpoint | None:
        with closing(RedisCheckpointStore(self.url, self.lease(shard).fence, shard)) as checkpoints:
            return checkpoints.load()


@pytest.fixture
def there(valkey_url: str, redis_client: redis.Redis) -> Iterator[Redis]:
    with ExitStack() as stack:
        yield Redis(valkey_url, redis_client, stack)


def test_shards_of_one_number_are_owned_beside_each_other(there: Redis) -> None:
    first, second = (there.lease(shard) for shard in shards(2))
    first.hold()
    second.hold()
    first.hold()
    with pytest.raises(OwnershipLost):
        there.lease(Shard(1, 2)).hold()
    assert [*there.shards.owners(2)] == shards(2)
    second.release()
    assert [*there.shards.owners(2)] == [Shard(0, 2)]


@pytest.mark.parametrize(("one", "other"), [(WHOLE, Shard(0, 2)), (Shard(1, 2), WHOLE)])
def test_who_shares_otherwise_is_refused_also_when_nobody_is_left(
    there: Redis, one: Shard, other: Shard
) -> None:
    there.leave(one.of)
    first = there.lease(one)
    first.hold()
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"are shared by {one.of}.+--shards {other.of}"):
            there.lease(other).hold()
        with suppress(OwnershipLost):
            first.release()


def test_nobody_shares_what_nobody_has_ever_had(there: Redis) -> None:
    assert there.shards.count() is None
    there.lease(WHOLE).hold()
    assert there.shards.count() == 1
    there.client.flushall()
    there.lease(Shard(1, 3)).hold()
    assert there.shards.count() == 3


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (3, 2), (2, 1)])
def test_a_change_gives_every_session_to_its_new_shard(there: Redis, old: int, new: int) -> None:
    there.leave(old)
    former = there.lease(shards(old)[0])
    former.hold()
    former.release()
    assert there.shards.change(old, new) == len(SESSIONS)
    assert there.shards.count() == new
    found: dict[SessionKey, bytes] = {}
    for shard in shards(new):
        checkpoint = there.left(shard)
        assert checkpoint
        assert {owner(key, new) for key in checkpoint.sessions} == {shard.number}
        found |= checkpoint.sessions
        header = read_header(checkpoint.header)
        assert (header.number, header.intake.last_event_ms) == (6 + old, old - 1)
        assert header.position == there.position(1000)
    assert found == SESSIONS
    assert [there.left(shard) for shard in shards(old)] == [None] * old
    with pytest.raises((OwnershipLost, ConfigError)):
        former.hold()


def test_nothing_is_changed_while_an_owner_a_checkpoint_or_a_row_is_in_the_way(
    there: Redis,
) -> None:
    there.leave(2)
    before = {key: there.client.dump(key) for key in there.client.keys("conductor:check*")}
    alive = there.lease(Shard(1, 2))
    alive.hold()
    with pytest.raises(OwnershipLost):
        there.shards.change(2, 3)
    alive.release()
    with closing(RedisOutbox(there.url, Shard(1, 2))) as outbox:
        outbox.append([row()])
        with pytest.raises(Unavailable, match="outbox of shard 1/2"):
            there.shards.change(2, 3)
        outbox.remove(outbox.oldest(1))
    assert {key: there.client.dump(key) for key in before} == before
    there.client.delete("conductor:checkpoint:0-of-2")
    with pytest.raises(ConfigError, match="0-of-2 is not there; start with --shards 2 once more"):
        there.shards.require_checkpoints(2)
    with pytest.raises(ConfigError, match="0-of-2 is not there"):
        there.shards.change(2, 3)
    assert there.shards.count() == 2


def test_checkpoints_of_different_moments_are_not_joined(there: Redis) -> None:
    there.leave(2)
    later = encode_header(Header(9, 60, there.position(1001), IntakeState()))
    there.client.hset("conductor:checkpoint:0-of-2", "header", later)
    with pytest.raises(Unavailable, match="of different moments"):
        there.shards.change(2, 1)


def test_what_comes_at_the_moment_or_later_is_left_for_who_goes_on(there: Redis) -> None:
    for ms in (998, 999, 1000, 1001):
        there.client.xadd(CHAT, {"data": b"%d" % ms}, id=f"{ms}-0")
    with closing(
        RedisSource(there.url, SourceOptions("streams", start="earliest", until_ms=1000))
    ) as one:
        assert [entry[0] for _ in range(3) for entry in one.read().entries] == [998, 999]
        position = one.position()
    with closing(RedisSource(there.url, SourceOptions("streams"))) as other:
        other.resume(position)
        assert [entry[0] for entry in other.read().entries] == [1000, 1001]

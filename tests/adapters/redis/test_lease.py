"""One process at a time owns the events of a Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from time import monotonic

import pytest
import redis

from conductor_actors.adapters.redis.client import Send
from conductor_actors.adapters.redis.fence import Fence
from conductor_actors.adapters.redis.key_names import FENCE_KEY, OWNER_KEY
from conductor_actors.adapters.redis.lease import EXPIRES_AFTER_MS, RedisLease
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable

Leases = Callable[[], RedisLease]

FENCE = FENCE_KEY
ALMOST_ALL_MS = EXPIRES_AFTER_MS - 1000


@pytest.fixture
def leases(valkey_url: str, redis_client: redis.Redis) -> Iterator[Leases]:
    """Make leases of as many processes as are needed."""
    del redis_client  # for its empty database
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(RedisLease(valkey_url)))


def expire(client: redis.Redis) -> None:
    client.pexpire(OWNER_KEY, 1)
    until_s = monotonic() + 5
    while client.exists(OWNER_KEY):
        assert monotonic() < until_s, "it never expired"


def guarded(client: redis.Redis, fence: Fence) -> object:
    return fence.guarded(client, [("INCR", "done")])


def test_one_of_two_has_it(leases: Leases) -> None:
    mine, other = leases(), leases()
    mine.hold()
    for _ in range(2):
        with pytest.raises(OwnershipLost, match=r"another conductor_actors \(.+:\d+:\w{8}\) owns"):
            other.hold()
    mine.hold()


def test_holding_it_again_renews_it(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.hold()
    assert ALMOST_ALL_MS < redis_client.pttl(OWNER_KEY) <= EXPIRES_AFTER_MS
    redis_client.pexpire(OWNER_KEY, 2000)
    lease.hold()
    assert redis_client.pttl(OWNER_KEY) > ALMOST_ALL_MS


def test_a_successor_has_a_greater_number(leases: Leases, redis_client: redis.Redis) -> None:
    numbers = []
    for _ in range(3):
        lease = leases()
        lease.hold()
        lease.hold()
        assert lease.fence.number == redis_client.get(FENCE)
        numbers.append(int(lease.fence.number))
        lease.release()
    assert numbers[0] < numbers[1] < numbers[2]


def test_one_that_expired_goes_to_the_next_and_never_comes_back(
    leases: Leases, redis_client: redis.Redis
) -> None:
    mine, other = leases(), leases()
    mine.hold()
    expire(redis_client)
    other.hold()
    with pytest.raises(OwnershipLost):
        mine.hold()
    other.release()
    with pytest.raises(OwnershipLost, match="by now gone"):  # what it knows is old
        mine.hold()


def test_one_that_expired_and_that_nobody_took_goes_on_under_its_number(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.hold()
    number = lease.fence.number
    expire(redis_client)
    lease.hold()
    assert lease.fence.number == number == redis_client.get(FENCE)
    assert redis_client.pttl(OWNER_KEY) > ALMOST_ALL_MS


def test_one_that_is_released_goes_to_the_next_at_once(leases: Leases) -> None:
    mine, other = leases(), leases()
    mine.hold()
    mine.release()
    assert mine.owner() == ""
    other.hold()
    with pytest.raises(OwnershipLost):
        mine.hold()


def test_releasing_what_another_has_changes_nothing(leases: Leases) -> None:
    mine, other = leases(), leases()
    other.hold()
    mine.release()
    mine.release()
    other.hold()
    assert mine.owner() == other._token.decode()


def test_one_that_was_stolen_is_lost(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.hold()
    redis_client.set(OWNER_KEY, "thief")
    with pytest.raises(OwnershipLost, match=r"\(thief\)"):
        lease.hold()
    lease.release()
    assert lease.owner() == "thief"


def test_one_that_redis_forgot_is_taken_again_under_a_number_that_never_was(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.hold()
    number = int(lease.fence.number)
    redis_client.time()
    until_s = monotonic() + 2
    while monotonic() < until_s and redis_client.time()[0] * 1000 <= number:
        pass
    redis_client.flushall()
    lease.hold()
    assert lease.owner() == lease._token.decode()
    assert int(lease.fence.number) > number


def test_one_that_was_taken_without_our_hearing_of_it_is_ours(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    redis_client.set(OWNER_KEY, lease._token, px=1000)  # done, but its reply was lost
    redis_client.set(FENCE, 41)
    lease.hold()
    assert redis_client.pttl(OWNER_KEY) > ALMOST_ALL_MS
    assert lease.fence.number == b"42"


def test_who_is_faster_has_it(leases: Leases, redis_client: redis.Redis) -> None:
    """Another takes it between our look and our transaction."""
    mine, other = leases(), leases()
    take = mine._take

    def take_late(send: Send, now_s: int) -> bool | None:
        other.hold()
        return take(send, now_s)

    mine._take = take_late  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        mine.hold()
    assert mine.fence.number == b""
    assert redis_client.get(FENCE) == other.fence.number


def test_a_key_of_another_kind_is_named(leases: Leases, redis_client: redis.Redis) -> None:
    redis_client.lpush(OWNER_KEY, "x")
    with pytest.raises(ConfigError, match=OWNER_KEY):
        leases().hold()


def test_a_redis_that_is_away_is_unavailable() -> None:
    with closing(RedisLease("redis://127.0.0.1:1/0")) as lease:
        calls: list[Callable[[], object]] = [lease.hold, lease.owner, lease.release]
        for call in calls:
            with pytest.raises(Unavailable, match="Connection refused"):
                call()


def test_the_owner_does_what_it_may(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.hold()
    assert guarded(redis_client, lease.fence) == [1]
    expire(redis_client)
    assert guarded(redis_client, lease.fence) == [2]  # nobody else is the owner


def test_who_is_not_the_owner_any_more_changes_nothing(
    leases: Leases, redis_client: redis.Redis
) -> None:
    mine, other = leases(), leases()
    mine.hold()
    expire(redis_client)
    other.hold()
    with pytest.raises(OwnershipLost):
        guarded(redis_client, mine.fence)
    assert redis_client.get("done") is None
    assert guarded(redis_client, other.fence) == [1]


def test_who_was_stopped_in_mid_sentence_does_not_finish_it(
    leases: Leases, redis_client: redis.Redis
) -> None:
    mine, other = leases(), leases()
    mine.hold()
    look = mine.fence._is_ours

    def fall_asleep(number: bytes | None) -> bool:
        is_ours = look(number)
        expire(redis_client)
        other.hold()
        return is_ours

    mine.fence._is_ours = fall_asleep  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        guarded(redis_client, mine.fence)
    assert redis_client.get("done") is None


def test_while_redis_has_forgotten_the_owner_nothing_is_changed_and_nothing_lost(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.hold()
    redis_client.flushall()
    with pytest.raises(Unavailable, match="forgotten"):
        guarded(redis_client, lease.fence)
    assert redis_client.get("done") is None
    lease.hold()
    assert guarded(redis_client, lease.fence) == [1]

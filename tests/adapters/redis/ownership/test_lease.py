"""One process at a time has the lease of a Redis, and only it may write."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from time import monotonic

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import RedisConnection, server_time_ms
from conductor_actors.adapters.redis.key_names import FENCE_KEY, OWNER_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.ownership.lease import LEASE_TTL_MS, RedisLease
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable

Leases = Callable[[], RedisLease]

NEARLY_TTL_MS = LEASE_TTL_MS - 1000


@pytest.fixture
def leases(valkey_url: str) -> Iterator[Leases]:
    """Return a function that makes the lease of one more process."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(RedisLease(valkey_url)))


def expire(client: redis.Redis) -> None:
    client.pexpire(OWNER_KEY, 1)
    until_s = monotonic() + 5
    while client.exists(OWNER_KEY):
        assert monotonic() < until_s, "it never expired"


def write(client: redis.Redis, fence: Fence) -> object:
    return fence.transaction(client, [("INCR", "done")])


def test_one_of_two_processes_has_the_lease(leases: Leases) -> None:
    owner, other = leases(), leases()
    owner.acquire_or_renew()
    for _ in range(2):
        with pytest.raises(OwnershipLost, match=r"another conductor_actors \(.+:\d+:\w{8}\) owns"):
            other.acquire_or_renew()
    owner.acquire_or_renew()


def test_a_process_that_gave_it_up_leaves_it_to_another_and_never_has_it_again(
    leases: Leases, redis_client: redis.Redis
) -> None:
    owner, other = leases(), leases()
    owner.acquire_or_renew()
    owner.give_up()
    assert not redis_client.exists(OWNER_KEY)
    for _ in range(2):
        with pytest.raises(OwnershipLost, match="this process has given up the lease"):
            owner.acquire_or_renew()
    other.acquire_or_renew()
    owner.release()
    assert redis_client.exists(OWNER_KEY)


def test_acquiring_it_again_renews_it(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.acquire_or_renew()
    assert NEARLY_TTL_MS < redis_client.pttl(OWNER_KEY) <= LEASE_TTL_MS
    redis_client.pexpire(OWNER_KEY, 2000)
    lease.acquire_or_renew()
    assert redis_client.pttl(OWNER_KEY) > NEARLY_TTL_MS


def test_each_owner_has_a_greater_fence_token_than_the_one_before(
    leases: Leases, redis_client: redis.Redis
) -> None:
    tokens = []
    for _ in range(3):
        lease = leases()
        lease.acquire_or_renew()
        lease.acquire_or_renew()
        assert lease.fence.token == redis_client.get(FENCE_KEY)
        tokens.append(int(lease.fence.token))
        lease.release()
    assert tokens[0] < tokens[1] < tokens[2]


def test_an_expired_lease_that_another_process_took_is_lost_for_good(
    leases: Leases, redis_client: redis.Redis
) -> None:
    former, other = leases(), leases()
    former.acquire_or_renew()
    expire(redis_client)
    other.acquire_or_renew()
    with pytest.raises(OwnershipLost):
        former.acquire_or_renew()
    other.release()
    with pytest.raises(OwnershipLost, match="by now gone"):  # its state is stale
        former.acquire_or_renew()


def test_an_expired_lease_that_no_process_took_is_renewed_under_the_same_token(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.acquire_or_renew()
    token = lease.fence.token
    expire(redis_client)
    lease.acquire_or_renew()
    assert lease.fence.token == token == redis_client.get(FENCE_KEY)
    assert redis_client.pttl(OWNER_KEY) > NEARLY_TTL_MS


def test_a_released_lease_can_be_acquired_at_once(leases: Leases) -> None:
    former, other = leases(), leases()
    former.acquire_or_renew()
    former.release()
    assert former.owner() == ""
    other.acquire_or_renew()
    with pytest.raises(OwnershipLost):
        former.acquire_or_renew()


def test_releasing_the_lease_of_another_process_changes_nothing(leases: Leases) -> None:
    lease, other = leases(), leases()
    other.acquire_or_renew()
    lease.release()
    lease.release()
    other.acquire_or_renew()
    assert lease.owner() == other._owner.decode()


def test_a_lease_with_another_owner_is_lost(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.acquire_or_renew()
    redis_client.set(OWNER_KEY, "thief")
    with pytest.raises(OwnershipLost, match=r"\(thief\)"):
        lease.acquire_or_renew()
    lease.release()
    assert lease.owner() == "thief"


def test_a_lease_that_redis_lost_is_taken_again_under_a_token_that_was_never_used(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.acquire_or_renew()
    token = int(lease.fence.token)
    until_s = monotonic() + 2
    while monotonic() < until_s and server_time_ms(redis_client.time()) <= token:
        pass
    redis_client.flushall()
    lease.acquire_or_renew()
    assert lease.owner() == lease._owner.decode()
    assert int(lease.fence.token) > token


def test_a_lease_whose_acquisition_was_not_confirmed_is_acquired_by_the_next_call(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    redis_client.set(OWNER_KEY, lease._owner, px=1000)  # done, but its reply was lost
    redis_client.set(FENCE_KEY, 41)
    lease.acquire_or_renew()
    assert redis_client.pttl(OWNER_KEY) > NEARLY_TTL_MS
    assert lease.fence.token == b"42"


def test_a_process_that_loses_the_race_for_the_lease_does_not_have_it(
    leases: Leases, redis_client: redis.Redis
) -> None:
    """The other process takes it between our GET and our transaction."""
    slow, fast = leases(), leases()
    take = slow._take

    def take_late(connection: RedisConnection, found: bytes | None, now_ms: int) -> None:
        fast.acquire_or_renew()
        take(connection, found, now_ms)

    slow._take = take_late  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        slow.acquire_or_renew()
    assert slow.fence.token == b""
    assert redis_client.get(FENCE_KEY) == fast.fence.token


def test_a_key_of_the_wrong_type_is_named(leases: Leases, redis_client: redis.Redis) -> None:
    redis_client.lpush(OWNER_KEY, "x")
    with pytest.raises(ConfigError, match=OWNER_KEY):
        leases().acquire_or_renew()


def test_a_fence_that_is_no_number_is_a_config_error(
    leases: Leases, redis_client: redis.Redis
) -> None:
    redis_client.set(FENCE_KEY, "x")
    with pytest.raises(ConfigError, match="not an integer"):
        leases().acquire_or_renew()


def test_every_call_raises_unavailable_while_redis_is_away() -> None:
    with closing(RedisLease("redis://127.0.0.1:1/0")) as lease:
        calls: list[Callable[[], object]] = [lease.acquire_or_renew, lease.owner, lease.release]
        for call in calls:
            with pytest.raises(Unavailable, match="Connection refused"):
                call()


def test_the_owner_may_write_until_another_process_has_the_lease(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.acquire_or_renew()
    assert write(redis_client, lease.fence) == [1]
    expire(redis_client)
    assert write(redis_client, lease.fence) == [2]  # no other process has it


def test_a_former_owner_writes_nothing(leases: Leases, redis_client: redis.Redis) -> None:
    former, owner = leases(), leases()
    former.acquire_or_renew()
    expire(redis_client)
    owner.acquire_or_renew()
    with pytest.raises(OwnershipLost):
        write(redis_client, former.fence)
    assert redis_client.get("done") is None
    assert write(redis_client, owner.fence) == [1]


def test_an_owner_that_was_suspended_in_the_middle_of_a_write_does_not_finish_it(
    leases: Leases, redis_client: redis.Redis
) -> None:
    former, owner = leases(), leases()
    former.acquire_or_renew()
    is_current = former.fence._is_current

    def suspended(token: bytes) -> bool:
        result = is_current(token)
        expire(redis_client)
        owner.acquire_or_renew()
        return result

    former.fence._is_current = suspended  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        write(redis_client, former.fence)
    assert redis_client.get("done") is None


def test_nothing_is_written_until_a_lease_that_redis_lost_is_taken_again(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    lease.acquire_or_renew()
    redis_client.flushall()
    with pytest.raises(Unavailable, match="forgotten"):
        write(redis_client, lease.fence)
    assert redis_client.get("done") is None
    lease.acquire_or_renew()
    assert write(redis_client, lease.fence) == [1]

"""One process at a time owns the events of a Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from time import monotonic

import pytest
import redis

from conductor_actors.adapters.redis_lease import EXPIRES_AFTER_S, NAME, RedisLease
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable

Leases = Callable[[], RedisLease]


@pytest.fixture
def leases(valkey_url: str, redis_client: redis.Redis) -> Iterator[Leases]:
    """Make leases of as many processes as are needed."""
    del redis_client  # for its empty database
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(RedisLease(valkey_url)))


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
    assert EXPIRES_AFTER_S - 1 < lease.expires_in_s() <= EXPIRES_AFTER_S
    redis_client.pexpire(NAME, 2000)
    assert lease.expires_in_s() <= 2
    lease.hold()
    assert lease.expires_in_s() > EXPIRES_AFTER_S - 1


def test_one_that_expired_goes_to_the_next(leases: Leases, redis_client: redis.Redis) -> None:
    mine, other = leases(), leases()
    mine.hold()
    redis_client.pexpire(NAME, 50)
    until_s = monotonic() + 5
    while redis_client.exists(NAME):
        assert monotonic() < until_s, "it never expired"
    other.hold()
    with pytest.raises(OwnershipLost):
        mine.hold()
    other.hold()


def test_one_that_is_released_goes_to_the_next_at_once(leases: Leases) -> None:
    mine, other = leases(), leases()
    mine.hold()
    mine.release()
    assert (mine.owner(), mine.expires_in_s()) == ("", 0)
    other.hold()
    with pytest.raises(OwnershipLost):
        mine.hold()


def test_releasing_what_another_has_changes_nothing(leases: Leases) -> None:
    mine, other = leases(), leases()
    other.hold()
    mine.release()
    mine.release()
    other.hold()
    assert mine.owner() == other._token


def test_one_that_was_stolen_is_lost(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.hold()
    redis_client.set(NAME, "thief")
    with pytest.raises(OwnershipLost, match=r"\(thief\)"):
        lease.hold()
    lease.release()
    assert lease.owner() == "thief"


def test_one_that_redis_forgot_is_taken_again(leases: Leases, redis_client: redis.Redis) -> None:
    lease = leases()
    lease.hold()
    redis_client.flushall()
    redis_client.script_flush()
    lease.hold()
    assert lease.owner() == lease._token
    assert lease.expires_in_s() > EXPIRES_AFTER_S - 1


def test_one_that_was_taken_without_our_hearing_of_it_is_ours(
    leases: Leases, redis_client: redis.Redis
) -> None:
    lease = leases()
    redis_client.set(NAME, lease._token, px=1000)  # done, but its reply was lost
    lease.hold()
    assert lease.expires_in_s() > EXPIRES_AFTER_S - 1


def test_a_key_of_another_kind_is_named(leases: Leases, redis_client: redis.Redis) -> None:
    redis_client.lpush(NAME, "x")
    with pytest.raises(ConfigError, match=NAME):
        leases().hold()


def test_a_redis_that_is_away_is_unavailable() -> None:
    with closing(RedisLease("redis://127.0.0.1:1/0")) as lease:
        calls: list[Callable[[], object]] = [lease.hold, lease.owner, lease.expires_in_s]
        for call in (*calls, lease.release):
            with pytest.raises(Unavailable, match="Connection refused"):
                call()

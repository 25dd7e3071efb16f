"""Requests of readers for blocks that they miss."""

from contextlib import closing

import redis

from conductor_actors.adapters.redis.partitions.rewinds import RewindRequests
from tests.support.valkey_servers import valkey_server


def test_a_request_is_returned_once(valkey_url: str, redis_client: redis.Redis) -> None:
    with closing(RewindRequests([valkey_url], 8)) as requests:
        assert requests.pop() == {}
        redis_client.set("conductor:rewind:{3}", "1767528000123-0")
        redis_client.set("conductor:rewind:{7}", "0-0")
        redis_client.set("conductor:rewind:{8}", "5-0")  # of no partition
        assert requests.pop() == {3: (1_767_528_000_123, 0), 7: (0, 0)}
        assert requests.pop() == {}
    assert redis_client.keys("conductor:rewind:*") == [b"conductor:rewind:{8}"]


def test_what_names_no_moment_is_removed(valkey_url: str, redis_client: redis.Redis) -> None:
    redis_client.set("conductor:rewind:{1}", b"\xffyesterday")
    with closing(RewindRequests([valkey_url], 2)) as requests:
        assert requests.pop() == {}
    assert not redis_client.exists("conductor:rewind:{1}")


def test_the_requests_of_a_server_wait_while_another_is_away(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    with valkey_server() as other:
        redis_client.set("conductor:rewind:{2}", "7-1")
        other.client.set("conductor:rewind:{1}", "9-0")
        with closing(RewindRequests([valkey_url, other.url], 4)) as requests:
            assert requests.pop() == {1: (9, 0), 2: (7, 1)}
            redis_client.set("conductor:rewind:{0}", "8-0")
            other.kill()
            assert requests.pop() == {0: (8, 0)}

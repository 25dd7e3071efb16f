"""Commands in one round trip, and in one transaction."""

import pytest
import redis
from redis.exceptions import ResponseError, WatchError

from conductor_actors.adapters.redis.connections.pipelines import (
    Command,
    connection_of,
    pipeline,
    server_time_ms,
    transaction,
)

WRONG: Command = ("XLEN", "text")


def test_a_transaction_returns_the_reply_of_each_command(client: redis.Redis) -> None:
    assert transaction(client, [("SET", "a", 1), ("INCR", "a"), ("GET", "a")]) == [b"OK", 2, b"2"]
    assert transaction(client, []) == []


def test_a_transaction_raises_its_first_error_although_redis_runs_the_other_commands(
    client: redis.Redis,
) -> None:
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        transaction(client, [("SET", "text", "x"), WRONG, ("SET", "after", "x")])
    assert client.exists("after") == 1


def test_errors_stand_among_the_replies_if_that_is_asked_for(client: redis.Redis) -> None:
    ok, error = transaction(client, [("SET", "text", "x"), WRONG], raise_on_error=False)
    assert (ok, type(error)) == (b"OK", ResponseError)


def test_nothing_is_run_once_a_watched_key_has_changed(
    client: redis.Redis, redis_client: redis.Redis
) -> None:
    with connection_of(client) as connection:
        connection.pipeline([("WATCH", "watched")])
        redis_client.set("watched", "x")
        with pytest.raises(WatchError):
            connection.transaction([("SET", "done", "x")])
    assert client.exists("done") == 0


def test_the_time_of_a_server_is_in_milliseconds(client: redis.Redis) -> None:
    assert server_time_ms([b"1767528000", b"123999"]) == 1_767_528_000_123
    [before] = pipeline(client, [("TIME",)])
    assert server_time_ms(before) <= server_time_ms(client.time())

"""The capped stream of log lines, as it is written and read."""

from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.key_names import LOG_KEY
from conductor_actors.adapters.redis.log_stream import (
    LOG_LINES_PER_READ,
    MAX_LOG_LINES,
    RedisLog,
    RedisLogReader,
)
from conductor_actors.errors import ConfigError, Unavailable


def test_each_line_is_read_once_and_in_order(valkey_url: str) -> None:
    with closing(RedisLog(valkey_url)) as log, closing(RedisLogReader(valkey_url, 1)) as reader:
        log.append(["before", "Ü\x1b"])
        first = reader.read()
        log.append(["after"])
        assert (first, reader.read(), reader.read()) == (
            [b"before", "Ü\x1b".encode()],
            [b"after"],
            [],
        )


def test_only_the_last_minutes_are_read(redis_client: redis.Redis, valkey_url: str) -> None:
    now_ms = redis_client.time()[0] * 1000
    for minutes, line in ((11, "old"), (9, "new")):
        redis_client.xadd(LOG_KEY, {"line": line}, id=f"{now_ms - minutes * 60_000}-0")
    with closing(RedisLogReader(valkey_url, 10)) as reader:
        assert reader.read() == [b"new"]


def test_a_long_history_is_read_in_several_calls(valkey_url: str) -> None:
    lines = [f"{number}" for number in range(LOG_LINES_PER_READ + 5)]
    with closing(RedisLog(valkey_url)) as log, closing(RedisLogReader(valkey_url, 1)) as reader:
        log.append(lines)
        parts = [reader.read(), reader.read()]
    assert [len(part) for part in parts] == [LOG_LINES_PER_READ, 5]
    assert b"".join(parts[0] + parts[1]).decode() == "".join(lines)


def test_the_stream_is_capped_at_the_newest_ten_thousand_lines(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisLog(valkey_url)) as log:
        for first in range(0, 25_000, 500):
            log.append([f"{number}" for number in range(first, first + 500)])
    assert MAX_LOG_LINES <= redis_client.xlen(LOG_KEY) <= MAX_LOG_LINES + 100


def test_an_entry_of_another_program_is_an_empty_line(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    redis_client.xadd(LOG_KEY, {"other": "x", "line": "y"})
    with closing(RedisLogReader(valkey_url, 1)) as reader:
        assert reader.read() == [b""]


def test_a_key_of_the_wrong_type_is_a_config_error_and_an_outage_is_unavailable(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    redis_client.set(LOG_KEY, "x")
    with closing(RedisLog(valkey_url)) as log, pytest.raises(ConfigError):
        log.append(["line"])
    with closing(RedisLog("redis://127.0.0.1:1")) as log, pytest.raises(Unavailable):
        log.append(["line"])

"""The outbox in Redis: what outlives a process, what another version wrote, and a full Redis."""

import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import redis
from msgspec.structs import asdict
from structlog.testing import capture_logs

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.key_names import OUTBOX_KEY
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import row


@pytest.fixture
def outbox(valkey_url: str, redis_client: redis.Redis) -> Iterator[RedisOutbox]:
    del redis_client  # for its empty database
    with closing(RedisOutbox(valkey_url)) as outbox:
        yield outbox


def packed(body: Any) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(body))


def test_what_one_process_sets_aside_another_finds(outbox: RedisOutbox, valkey_url: str) -> None:
    outbox.append([row("a"), row("b")])
    with closing(RedisOutbox(valkey_url)) as other:
        assert other.oldest(100).rows == [row("a"), row("b")]


def test_a_row_takes_little_room(outbox: RedisOutbox, redis_client: redis.Redis) -> None:
    outbox.append([row(f"session-{number}") for number in range(10_000)])
    assert (redis_client.memory_usage(OUTBOX_KEY, samples=0) or 0) in range(1, 10_000 * 120)


def test_rows_with_fields_that_came_later_or_are_gone_can_be_read(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    future = asdict(row()) | {"not_yet_known": 1}
    redis_client.xadd(OUTBOX_KEY, {"version": "1", "rows": packed([future])})
    assert outbox.oldest(100).rows == [row()]


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "2", "rows": packed([row()])},
        {"version": "1", "rows": b"not compressed"},
        {"version": "1", "rows": zlib.compress(b"\xc1")},
        {"version": "1", "rows": packed([{"at_ms": "noon"}])},
        {"version": "1"},
        {"data": "{}"},
    ],
)
def test_an_entry_that_can_t_be_read_is_left_where_it_is_and_said_once(
    outbox: RedisOutbox, redis_client: redis.Redis, fields: dict[Any, Any]
) -> None:
    outbox.append([row("a")])
    redis_client.xadd(OUTBOX_KEY, fields, id=(entry_id := "9999999999999-0"))
    redis_client.xadd(OUTBOX_KEY, {"version": "1", "rows": packed([row("b")])})
    seen = list[ScoreRow]()
    with capture_logs() as lines:
        while (shown := outbox.oldest(5000)).ids:
            seen += shown.rows
            outbox.remove(shown)
        outbox.append([row("c")])
        seen += outbox.oldest(5000).rows
    assert seen == [row("a"), row("b"), row("c")]
    oldest = redis_client.xrange(OUTBOX_KEY, count=1)
    assert oldest == redis_client.xrange(OUTBOX_KEY, entry_id, entry_id)
    [line] = lines
    assert (line["event"], line["entry_id"]) == ("outbox_entry_unreadable", entry_id)
    assert f"XDEL {OUTBOX_KEY} {entry_id}" in line["advice"]


def test_the_version_that_wrote_an_entry_finds_it_again(
    valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.xadd(OUTBOX_KEY, {"version": "2", "rows": packed([row()])})
    with closing(RedisOutbox(valkey_url)) as outbox:
        assert not outbox.oldest(100).rows
    monkeypatch.setattr("conductor_actors.adapters.redis.outbox.VERSION", b"2")
    with closing(RedisOutbox(valkey_url)) as outbox:
        assert outbox.oldest(100).rows == [row()]


@contextmanager
def full(client: redis.Redis, free_bytes: int = 0) -> Iterator[None]:
    client.config_set("maxmemory", client.info("memory")["used_memory"] + free_bytes)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def test_a_full_redis_takes_no_row_and_gives_out_those_it_has(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    outbox.append([row("a")])
    with full(redis_client):
        with pytest.raises(Unavailable, match="maxmemory"):
            outbox.append([row(f"session-{number}") for number in range(2000)])
        shown = outbox.oldest(100)
        assert shown.rows == [row("a")]
        outbox.remove(shown)
        assert outbox.size() == 0
    outbox.append([row("b")])
    assert outbox.oldest(100).rows == [row("b")]


@pytest.mark.parametrize("free_bytes", [300_000, 1_000_000])
def test_rows_that_do_not_fit_are_not_set_aside_in_part(
    outbox: RedisOutbox, redis_client: redis.Redis, free_bytes: int
) -> None:
    rows = [row(uuid4().hex, event_id=uuid4().hex) for _ in range(20_000)]
    with full(redis_client, free_bytes), pytest.raises(Unavailable, match="maxmemory"):
        outbox.append(rows)
    assert outbox.size() == 0


def test_a_key_in_the_place_of_the_outbox_is_for_the_operator(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    redis_client.set(OUTBOX_KEY, "x")
    with pytest.raises(ConfigError):
        outbox.append([row()])
    with pytest.raises(ConfigError):
        outbox.size()


def test_a_redis_that_is_away_is_unavailable() -> None:
    with closing(RedisOutbox(f"redis://127.0.0.1:{free_port()}")) as outbox:
        for call in (outbox.size, lambda: outbox.oldest(1), lambda: outbox.append([row()])):
            with pytest.raises(Unavailable):
                call()

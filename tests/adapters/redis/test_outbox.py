"""The outbox in Redis: a second process, entries of other versions, and a full Redis."""

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
def outbox(valkey_url: str) -> Iterator[RedisOutbox]:
    with closing(RedisOutbox(valkey_url)) as outbox:
        yield outbox


def packed(body: Any) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(body))


def test_another_process_reads_the_appended_rows(outbox: RedisOutbox, valkey_url: str) -> None:
    outbox.append([row("a"), row("b")])
    with closing(RedisOutbox(valkey_url)) as other:
        assert other.read_oldest(100).rows == [row("a"), row("b")]


def test_a_row_takes_at_most_120_bytes(outbox: RedisOutbox, redis_client: redis.Redis) -> None:
    outbox.append([row(f"session-{number}") for number in range(10_000)])
    assert (redis_client.memory_usage(OUTBOX_KEY, samples=0) or 0) in range(1, 10_000 * 120)


def test_rows_with_unknown_fields_can_be_read(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    future = asdict(row()) | {"not_yet_known": 1}
    redis_client.xadd(OUTBOX_KEY, {"version": "1", "rows": packed([future])})
    assert outbox.read_oldest(100).rows == [row()]


def test_rows_of_a_version_without_anomalies_can_be_read(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    added = ("expected", "anomalies")
    former = {key: value for key, value in asdict(row()).items() if key not in added}
    redis_client.xadd(OUTBOX_KEY, {"version": "1", "rows": packed([former])})
    assert outbox.read_oldest(100).rows == [row()]


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
def test_an_unreadable_entry_stays_in_the_stream_and_is_reported_once(
    outbox: RedisOutbox, redis_client: redis.Redis, fields: dict[Any, Any]
) -> None:
    outbox.append([row("a")])
    redis_client.xadd(OUTBOX_KEY, fields, id=(entry_id := "9999999999999-0"))
    redis_client.xadd(OUTBOX_KEY, {"version": "1", "rows": packed([row("b")])})
    found = list[ScoreRow]()
    with capture_logs() as lines:
        while (page := outbox.read_oldest(5000)).ids:
            found += page.rows
            outbox.delete(page)
        outbox.append([row("c")])
        found += outbox.read_oldest(5000).rows
    assert found == [row("a"), row("b"), row("c")]
    oldest = redis_client.xrange(OUTBOX_KEY, count=1)
    assert oldest == redis_client.xrange(OUTBOX_KEY, entry_id, entry_id)
    [line] = lines
    assert (line["event"], line["entry_id"]) == ("outbox_entry_unreadable", entry_id)
    assert f"XDEL {OUTBOX_KEY} {entry_id}" in line["advice"]


def test_the_version_that_wrote_an_entry_can_still_read_it(
    valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.xadd(OUTBOX_KEY, {"version": "2", "rows": packed([row()])})
    with closing(RedisOutbox(valkey_url)) as outbox:
        assert not outbox.read_oldest(100).rows
    monkeypatch.setattr("conductor_actors.adapters.redis.outbox.OUTBOX_VERSION", b"2")
    with closing(RedisOutbox(valkey_url)) as outbox:
        assert outbox.read_oldest(100).rows == [row()]


@contextmanager
def limited_memory(client: redis.Redis, free_bytes: int = 0) -> Iterator[None]:
    client.config_set("maxmemory", client.info("memory")["used_memory"] + free_bytes)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def test_a_full_redis_refuses_rows_and_still_returns_those_it_has(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    outbox.append([row("a")])
    with limited_memory(redis_client):
        with pytest.raises(Unavailable, match="maxmemory"):
            outbox.append([row(f"session-{number}") for number in range(2000)])
        page = outbox.read_oldest(100)
        assert page.rows == [row("a")]
        outbox.delete(page)
        assert outbox.count_entries() == 0
    outbox.append([row("b")])
    assert outbox.read_oldest(100).rows == [row("b")]


@pytest.mark.parametrize("free_bytes", [300_000, 1_000_000])
def test_rows_that_do_not_fit_are_not_appended_in_part(
    outbox: RedisOutbox, redis_client: redis.Redis, free_bytes: int
) -> None:
    rows = [row(uuid4().hex, event_id=uuid4().hex) for _ in range(20_000)]
    with limited_memory(redis_client, free_bytes), pytest.raises(Unavailable, match="maxmemory"):
        outbox.append(rows)
    assert outbox.count_entries() == 0


def test_a_key_of_the_wrong_type_is_a_config_error(
    outbox: RedisOutbox, redis_client: redis.Redis
) -> None:
    redis_client.set(OUTBOX_KEY, "x")
    with pytest.raises(ConfigError):
        outbox.append([row()])
    with pytest.raises(ConfigError):
        outbox.count_entries()


def test_every_call_raises_unavailable_while_redis_is_away() -> None:
    with closing(RedisOutbox(f"redis://127.0.0.1:{free_port()}")) as outbox:
        for call in (
            outbox.count_entries,
            lambda: outbox.read_oldest(1),
            lambda: outbox.append([row()]),
        ):
            with pytest.raises(Unavailable):
                call()

"""A source that resumes from a position returns every entry after it, and no other."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from random import Random
from time import monotonic

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.events.entry_ids import MAX_SEQUENCE
from conductor_actors.adapters.redis.events.event_source import (
    STANDBY_BUFFER_S,
    RedisSource,
    SourceOptions,
    Transport,
)
from conductor_actors.adapters.redis.events.stream_reader import StreamReader
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap
from conductor_actors.errors import ConfigError
from conductor_actors.ports import ReadResult
from tests.adapters.redis.events.test_stream_reader import (
    MANY_NAMES,
    A,
    B,
    add,
    flatten,
    in_order,
    now_ms,
    random_log,
    read_past,
    shuffled,
)
from tests.support.event_samples import CHAT, REPORTS_CHANNEL, SYNC

Opened = Callable[..., RedisSource]


@pytest.fixture
def opened(valkey_url: str, client: redis.Redis) -> Iterator[Opened]:
    del client
    with ExitStack() as stack:

        def make(transport: Transport = "both", position: bytes | None = None) -> RedisSource:
            source = RedisSource(valkey_url, SourceOptions(transport))
            stack.callback(source.close)
            if position is not None:
                source.resume(position)
            return source

        yield make


def resumed(client: redis.Redis, reader: StreamReader) -> StreamReader:
    successor = StreamReader(client, "latest", 60)  # its own start must not matter
    successor.resume(reader.positions())
    return successor


def read_until(source: RedisSource, bodies: set[bytes]) -> list[ReadResult]:
    """Read until entries with all of these bodies were returned."""
    reads, until_s = list[ReadResult](), monotonic() + 10
    while bodies - {entry[3] for read in reads for entry in read.entries}:
        assert monotonic() < until_s, f"they never came: {bodies}"
        reads.append(source.read())
    return reads


def bodies_of(reads: list[ReadResult]) -> list[bytes]:
    return [entry[3] for read in reads for entry in read.entries]


def gaps_of(reads: list[ReadResult]) -> list[Gap]:
    return [gap for read in reads for gap in read.gaps]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_readers_stopped_at_any_read_return_every_entry_once_and_in_order(
    shared_valkey_url: str, seed: int
) -> None:
    random = Random(seed)
    with closing(open_client(shared_valkey_url)) as client:
        client.flushall()
        soon_ms = now_ms(client) + 100
        past, future = random_log(random, soon_ms - 1000), random_log(random, soon_ms)
        add(client, shuffled([*past, *future], random))
        reader, returned = StreamReader(client, "earliest", 60), list[list[Entry]]()
        for _ in range(random.randrange(1, 8)):
            returned.append(reader.read(MANY_NAMES).entries)
            reader = resumed(client, reader)
            returned.append(reader.read(MANY_NAMES).entries)
        returned += read_past(resumed(client, reader), MANY_NAMES, soon_ms + 8)
    assert flatten(returned) == in_order([*past, *future])


def test_the_position_of_a_stream_is_before_the_entries_held_back(client: redis.Redis) -> None:
    add(client, [(5, 0, A, b"1"), (now_ms(client) + 60_000, 0, B, b"of the future")])
    reader = StreamReader(client, "earliest", 60)
    reader.read([A, B])
    positions = reader.positions()
    assert positions.streams[A] == (b"5-0", 1)
    held_ms = now_ms(client)
    behind, count = positions.streams[B]
    assert (int(behind.split(b"-")[0]) > held_ms, behind.split(b"-")[1], count) == (
        True,
        b"%d" % MAX_SEQUENCE,
        0,
    )


def test_a_resumed_reader_keeps_the_start_of_the_first_one(client: redis.Redis) -> None:
    first = StreamReader(client, "latest", 60)
    first.read([A])
    start_ms = int(first._first_position().split(b"-")[0]) + 1
    add(client, [(start_ms - 1, 0, B, b"before the first"), (start_ms, 0, B, b"since")])
    successor = StreamReader(client, "earliest", 60)
    successor.resume(first.positions())
    entries = flatten(read_past(successor, [A, B], now_ms(client)))
    assert [entry[3] for entry in entries] == [b"since"]


def test_a_stream_discovered_later_is_read_from_one_window_before(client: redis.Redis) -> None:
    """A tenant that is named later may have had events for years."""
    reader = StreamReader(client, "earliest", 60)
    reader.read([A])
    now = now_ms(client)
    add(client, [(now - 70_000, 0, B, b"old"), (now - 50_000, 0, B, b"new")])
    assert [entry[3] for entry in resumed(client, reader).read([A, B]).entries] == [b"new"]
    assert [entry[3] for entry in reader.read([A, B]).entries] == [b"new"]


@pytest.mark.parametrize("last", [(7, MAX_SEQUENCE), (MAX_SEQUENCE, MAX_SEQUENCE)])
def test_the_greatest_ids_can_be_positions(
    opened: Opened, client: redis.Redis, last: tuple[int, int]
) -> None:
    add(client, [(*last, CHAT, b"x")])
    source = opened("streams")
    source.read()
    opened("streams", source.position()).read()


def test_a_resumed_source_reads_on_and_sets_no_first_tick(
    opened: Opened, client: redis.Redis
) -> None:
    source = opened("streams")
    client.xadd(CHAT, {"data": b"1"})
    reads = read_until(source, {b"1"})
    position = source.position()
    client.xadd(CHAT, {"data": b"2"})
    read_until(source, {b"2"})  # after the checkpoint
    client.xadd(SYNC, {"data": b"3"})
    successor = opened("streams", position)
    again = read_until(successor, {b"3"})
    assert bodies_of(again) == [b"2", b"3"]
    assert [read.first_tick_ms for read in again] == [None] * len(again)
    assert again[0].watermark_ms >= reads[-1].watermark_ms
    assert gaps_of(again) == []


def test_messages_from_before_the_position_are_not_returned_again(
    opened: Opened, client: redis.Redis
) -> None:
    standby = opened()
    standby.subscribe()
    assert standby._listener is not None
    standby._listener.wait_subscribed(5)
    owner = opened()
    owner.read()
    client.publish(CHAT, b"before")
    while not standby._listener._buffer._total:
        client.ping()
    received_ms = now_ms(client)
    reads = read_until(owner, {b"before"})
    while reads[-1].watermark_ms <= received_ms:  # neither has received more
        reads.append(owner.read())
    position, until_ms = owner.position(), reads[-1].watermark_ms
    while now_ms(client) <= until_ms + 5:
        pass
    client.publish(CHAT, b"after")
    standby.resume(position)
    again = read_until(standby, {b"after"})
    assert bodies_of(again) == [b"after"]
    [gap] = gaps_of(again)
    assert gap[:3] == ("*", "restarted", None)
    assert gap.from_ms == until_ms
    assert until_ms < gap.to_ms <= again[-1].now_ms


def test_a_restart_without_any_pubsub_message_before_reports_no_gap(
    opened: Opened, client: redis.Redis
) -> None:
    source = opened()
    client.xadd(CHAT, {"data": b"1"})
    read_until(source, {b"1"})
    successor = opened("both", source.position())
    client.xadd(CHAT, {"data": b"2"})
    assert gaps_of(read_until(successor, {b"2"})) == []


def test_a_restart_after_reports_by_pubsub_reports_no_gap_of_events(
    opened: Opened, client: redis.Redis
) -> None:
    source = opened()
    source.read()
    client.publish(REPORTS_CHANNEL, b"report")
    client.publish(f"acme:{REPORTS_CHANNEL}", b"report")
    client.xadd(CHAT, {"data": b"1"})
    read_until(source, {b"report", b"1"})
    successor = opened("both", source.position())
    client.xadd(CHAT, {"data": b"2"})
    assert gaps_of(read_until(successor, {b"2"})) == []


def test_every_restart_after_a_pubsub_message_reports_a_gap(
    opened: Opened, client: redis.Redis
) -> None:
    source = opened("pubsub")
    source.read()
    client.publish(CHAT, b"1")
    read_until(source, {b"1"})
    for _ in range(3):
        source = opened("pubsub", source.position())
        assert [gap.reason for gap in source.read().gaps] == ["restarted"]
        assert source.read().gaps == []


def test_a_standby_drops_messages_after_45_seconds(
    opened: Opened, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened()
    source.subscribe()
    listener = source._listener
    assert listener is not None
    listener.wait_subscribed(5)
    client.publish(CHAT, b"old")
    while not listener._buffer._total:
        client.ping()
    source.subscribe()
    assert listener._buffer._total == 1
    later_s = monotonic() + STANDBY_BUFFER_S + 1
    monkeypatch.setattr(
        "conductor_actors.adapters.redis.events.event_source.time.monotonic", lambda: later_s
    )
    source.subscribe()
    assert listener._buffer._total == 0


def test_without_pubsub_there_is_no_listener(opened: Opened) -> None:
    source = opened("streams")
    source.subscribe()
    assert source._listener is None


def test_a_damaged_position_is_a_config_error(opened: Opened) -> None:
    with pytest.raises(ConfigError, match="can't be read; delete conductor:checkpoint"):
        opened("streams", b"nonsense")

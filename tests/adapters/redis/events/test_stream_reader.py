"""Streams of a real Valkey, read in the order of their entries' ids."""

from collections.abc import Sequence
from contextlib import closing
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import server_time_ms
from conductor_actors.adapters.redis.events.entry_ids import MAX_SEQUENCE
from conductor_actors.adapters.redis.events.stream_reader import (
    MAX_ENTRIES_PER_STREAM,
    StreamReader,
)
from conductor_actors.adapters.redis.events.wrong_type_keys import KEY_TYPE_CHECK_S, WrongTypeKeys
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.merging import Frontier
from tests.support.fakes.fake_clock import FakeClock

A, B, C = "a", "b", "c"
NAMES = (A, B, C)
# So many names that a read takes 50 entries of each.
MANY_NAMES = (*NAMES, *(f"unused-{number}" for number in range(237)))


@pytest.fixture
def reader(client: redis.Redis) -> StreamReader:
    return StreamReader(client, "earliest", 60)


def add(client: redis.Redis, entries: Sequence[Entry]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for ms, sequence, name, body in entries:
            pipeline.xadd(name, {"data": body}, id=f"{ms}-{sequence}")
        pipeline.execute()


def now_ms(client: redis.Redis) -> int:
    return server_time_ms(client.time())


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry[:3])


def read_past(reader: StreamReader, names: Sequence[str], until_ms: int) -> list[list[Entry]]:
    """Read until everything before a moment was returned, checking the promises of every read."""
    batches: list[list[Entry]] = []
    before: Frontier = (0, 0)
    while before[0] <= until_ms:
        entries, frontier, _ = reader.read(names)
        assert entries == in_order(entries)
        assert all(before <= entry[:2] < frontier for entry in entries)
        assert frontier >= before
        batches.append(entries)
        before = frontier
    return batches


def flatten(batches: Sequence[Sequence[Entry]]) -> list[Entry]:
    return [entry for batch in batches for entry in batch]


def test_entries_are_ordered_by_id_and_equal_ids_by_name(
    reader: StreamReader, client: redis.Redis
) -> None:
    log: list[Entry] = [(5, 0, B, b"1"), (5, 0, A, b"2"), (5, 1, A, b"3"), (4, 9, C, b"4")]
    add(client, log)
    entries, frontier, now = reader.read(NAMES)
    assert entries == [log[3], log[1], log[0], log[2]]
    assert frontier == (now, 0)


def random_log(random: Random, first_ms: int) -> list[Entry]:
    """Return entries of eight milliseconds, many with equal ids, each with a body of its own."""
    ids = [(random.randrange(8), random.randrange(40)) for _ in range(random.randrange(400))]
    keys = sorted({(*id_, random.choice(NAMES)) for id_ in ids})
    return [(first_ms + ms, sequence, name, f"{ms} {name}".encode()) for ms, sequence, name in keys]


def shuffled(log: list[Entry], random: Random) -> list[Entry]:
    """Mix the streams with each other; each stays in order, as Redis requires."""
    unread = {name: [entry for entry in log if entry[2] == name][::-1] for name in NAMES}
    mixed = []
    while left := [name for name in NAMES if unread[name]]:
        mixed.append(unread[random.choice(left)].pop())
    return mixed


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_no_entry_comes_before_those_already_returned(shared_valkey_url: str, seed: int) -> None:
    random = Random(seed)
    with closing(open_client(shared_valkey_url)) as client:
        client.flushall()
        soon_ms = now_ms(client) + 250
        past, future = random_log(random, soon_ms - 1000), random_log(random, soon_ms)
        add(client, shuffled(past, random))
        reader = StreamReader(client, "earliest", 60)
        early, unsent = [], shuffled(future, random)
        while unsent:
            size = random.randrange(1, 80)
            add(client, unsent[:size])
            del unsent[:size]
            early.append(reader.read(MANY_NAMES).entries)
        assume(now_ms(client) < soon_ms)
        later = read_past(reader, MANY_NAMES, soon_ms + 8)
    assert flatten([*early, *later]) == in_order([*past, *future])


def test_thousands_of_entries_of_one_millisecond_are_returned_once_and_in_order(
    reader: StreamReader, client: redis.Redis
) -> None:
    log = [(7, sequence, name, b"") for name in (B, A) for sequence in range(5000)]
    add(client, log)
    batches = read_past(reader, NAMES, 7)
    assert len(batches) > 2
    assert flatten(batches) == in_order(log)


def test_the_entries_held_back_for_a_slow_stream_are_bounded(
    reader: StreamReader, client: redis.Redis
) -> None:
    dense = [(1000 + number // 20, number % 20, A, b"") for number in range(20_000)]
    later = [(3000 + number, 0, B, b"") for number in range(20_000)]
    sparse = [(1000 * number, 0, C, b"") for number in range(1, 20)]
    add(client, [*dense, *later, *sparse])
    returned, most_held = list[Entry](), 0
    while len(returned) < 40_019:
        returned += reader.read(NAMES).entries
        most_held = max(most_held, sum(map(reader._merge.size, NAMES)))
    assert returned == in_order([*dense, *later, *sparse])
    assert most_held < 2 * MAX_ENTRIES_PER_STREAM


def test_reading_is_behind_until_every_stream_is_read_to_its_end(
    reader: StreamReader, client: redis.Redis
) -> None:
    add(client, [(1, sequence, A, b"") for sequence in range(MAX_ENTRIES_PER_STREAM + 1)])
    reader.read(NAMES)
    assert reader.is_behind
    reader.read(NAMES)
    assert not reader.is_behind


def test_earliest_reads_every_entry(reader: StreamReader, client: redis.Redis) -> None:
    add(client, [(0, 1, A, b"the first id there can be")])
    assert len(reader.read(NAMES).entries) == 1


def test_window_reads_from_one_window_back(client: redis.Redis) -> None:
    now = now_ms(client)
    ages_ms = (59_000, 60_500, 3_600_000)
    add(client, [(now - age_ms, 0, A, b"%d" % age_ms) for age_ms in reversed(ages_ms)])
    reader = StreamReader(client, "window", 60)
    assert [entry[3] for entry in reader.read(NAMES).entries] == [b"59000"]


def test_the_first_millisecond_of_the_window_is_read_in_full(client: redis.Redis) -> None:
    reader = StreamReader(client, "window", 60)
    first_ms = int(reader._first_position().split(b"-")[0]) + 1
    add(client, [(first_ms - 1, 1 << 63, A, b"out"), (first_ms, 0, A, b"in")])
    assert [entry[3] for entry in reader.read(NAMES).entries] == [b"in"]


def test_latest_reads_only_new_entries(client: redis.Redis) -> None:
    add(client, [(now_ms(client) - 1, 0, A, b"old")])
    reader = StreamReader(client, "latest", 60)
    assert reader.read(NAMES).entries == []
    client.xadd(A, {"data": b"new"})
    entries = flatten(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in entries] == [b"new"]


def test_a_stream_discovered_later_is_read_from_the_same_start(
    client: redis.Redis,
) -> None:
    reader = StreamReader(client, "latest", 60)
    before = reader.read([A])
    client.xadd(B, {"data": b"before it was known"})
    while reader.read([A]).frontier[0] <= before.now_ms + 5:
        pass
    entries, frontier, _ = reader.read([A, B])
    assert [entry[3] for entry in entries] == [b"before it was known"]
    assert frontier > before.frontier


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"data": b"x"}, b"x"),
        ({"data": b"x", "more": b"y"}, b"x"),
        ({"more": b"y", "data": b"x"}, b"x"),
        ({"value": b"data", "data": b"x"}, b"x"),
        ({"value": b"data"}, b""),
        ({"": b"", "DATA": b"x"}, b""),
        ({b"\xff\0": b"\xff", "data": b"\xff\0"}, b"\xff\0"),
    ],
)
def test_the_body_is_the_field_called_data_or_empty(
    reader: StreamReader, client: redis.Redis, fields: dict[Any, Any], body: bytes
) -> None:
    client.xadd(A, fields, id="1-1")
    assert reader.read(NAMES).entries == [(1, 1, A, body)]


def test_entries_with_several_fields_among_others_and_the_greatest_ids_are_read(
    reader: StreamReader, client: redis.Redis
) -> None:
    client.xadd(A, {"data": b"1"}, id="1-0")
    client.xadd(A, {"more": b"y", "data": b"2"}, id=f"1-{MAX_SEQUENCE}")
    client.xadd(A, {"data": b"3", "more": b"y"}, id="2-0")
    assert reader.read(NAMES).entries == [
        (1, 0, A, b"1"),
        (1, MAX_SEQUENCE, A, b"2"),
        (2, 0, A, b"3"),
    ]


def test_deleted_and_trimmed_entries_are_skipped(reader: StreamReader, client: redis.Redis) -> None:
    log: list[Entry] = [(ms, 0, A, b"") for ms in range(1, 9)]
    add(client, log)
    client.xdel(A, "5-0", "8-0")
    client.xtrim(A, minid="3", approximate=False)
    assert [entry[0] for entry in reader.read(NAMES).entries] == [3, 4, 6, 7]


def test_a_stream_that_is_deleted_and_created_again_is_read_on(
    reader: StreamReader, client: redis.Redis
) -> None:
    client.xadd(A, {"data": b"1"})
    first = flatten(read_past(reader, NAMES, now_ms(client)))
    client.flushall()
    client.xadd(A, {"data": b"2"})
    second = flatten(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in first + second] == [b"1", b"2"]


def test_entries_with_future_ids_wait_for_their_time_and_delay_no_others(
    reader: StreamReader, client: redis.Redis
) -> None:
    soon_ms = now_ms(client) + 1500
    future: list[Entry] = [
        (soon_ms, number, A, b"") for number in range(3 * MAX_ENTRIES_PER_STREAM)
    ]
    add(client, [*future, (1, 0, B, b"of the past")])
    first, *later = read_past(reader, NAMES, soon_ms)
    assert first == [(1, 0, B, b"of the past")]
    assert flatten(later) == future


def test_the_frontier_is_never_ahead_of_the_clock(
    reader: StreamReader, client: redis.Redis
) -> None:
    add(client, [(now_ms(client) + 9_000, 0, A, b"")])
    assert reader.read([A]).entries == []
    entries, frontier, now = reader.read([A])
    assert (entries, frontier) == ([], (now, 0))


@pytest.fixture
def reader_and_clock(client: redis.Redis) -> tuple[StreamReader, FakeClock]:
    """Return a reader that checks types of keys by a clock of its own."""
    reader, clock = StreamReader(client, "earliest", 60), FakeClock()
    reader.wrong_type_keys = WrongTypeKeys(client, clock)
    return reader, clock


@pytest.mark.parametrize("number", [0, 6])
def test_a_key_of_the_wrong_type_does_not_stop_other_streams(
    reader_and_clock: tuple[StreamReader, FakeClock], client: redis.Redis, number: int
) -> None:
    reader, _ = reader_and_clock
    client.lpush(MANY_NAMES[number], "x")
    add(client, [(1, 0, B, b"other")])
    with capture_logs() as lines:
        assert reader.read(MANY_NAMES).entries == [(1, 0, B, b"other")]
        for _ in range(3):
            reader.read(MANY_NAMES)
    assert lines == [
        {
            "event": "stream_unreadable",
            "log_level": "warning",
            "source": MANY_NAMES[number],
            "kind": "list",
            "streams": 1,
        }
    ]


def test_a_replaced_stream_is_read_on_once_it_is_a_stream_again(
    reader_and_clock: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, clock = reader_and_clock
    for number in range(2):
        client.xadd(A, {"data": b"%d" % number})
    before = flatten(read_past(reader, NAMES, now_ms(client)))
    client.rename(A, "kept")
    client.set(A, "no stream")
    client.xadd(B, {"data": b"other"})
    with capture_logs() as lines:
        meanwhile = flatten(read_past(reader, NAMES, now_ms(client)))
        client.rename("kept", A)
        client.xadd(A, {"data": b"2"})
        clock.advance(KEY_TYPE_CHECK_S)
        after = flatten(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in before + meanwhile + after] == [b"0", b"1", b"other", b"2"]
    assert [line["event"] for line in lines] == ["stream_unreadable", "stream_readable"]


def test_a_checkpoint_has_the_position_of_a_replaced_stream(
    reader_and_clock: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, _ = reader_and_clock
    client.xadd(A, {"data": b"before"})
    read_past(reader, NAMES, now_ms(client))
    client.rename(A, "kept")
    client.set(A, "no stream")
    reader.read(NAMES)
    successor = StreamReader(client, "earliest", 60)
    successor.resume(reader.positions())
    client.rename("kept", A)
    assert flatten(read_past(successor, NAMES, now_ms(client))) == []


def test_a_key_of_the_wrong_type_is_reported_every_minute(
    reader_and_clock: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, clock = reader_and_clock
    client.set(A, "no stream")
    with capture_logs() as lines:
        for _ in range(25):
            reader.read(NAMES)
            clock.advance(KEY_TYPE_CHECK_S)
    assert [line["event"] for line in lines] == ["stream_unreadable"] * 3

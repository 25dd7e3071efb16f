"""Streams of a real Valkey, read in the order of their entries' ids."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.streams import MOST_PER_STREAM, StreamReader
from conductor_actors.adapters.redis.wrong_type_keys import LOOK_EVERY_S, WrongTypeKeys
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.merging import Frontier
from tests.support.fakes.fake_clock import FakeClock

A, B, C = "a", "b", "c"
NAMES = (A, B, C)
# So many names that a read takes 50 entries of each.
MANY_NAMES = (*NAMES, *(f"unused-{number}" for number in range(237)))


@pytest.fixture
def client(valkey_url: str, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    del redis_client  # for its empty database
    with closing(open_client(valkey_url)) as client:
        yield client


@pytest.fixture
def reader(client: redis.Redis) -> StreamReader:
    return StreamReader(client, "earliest", 60)


def add(client: redis.Redis, entries: Sequence[Entry]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for ms, sequence, name, body in entries:
            pipeline.xadd(name, {"data": body}, id=f"{ms}-{sequence}")
        pipeline.execute()


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry[:3])


def read_past(reader: StreamReader, names: Sequence[str], until_ms: int) -> list[list[Entry]]:
    """Read until everything before a moment was given, holding every read to its promises."""
    portions: list[list[Entry]] = []
    before: Frontier = (0, 0)
    while before[0] <= until_ms:
        entries, frontier, _ = reader.read(names)
        assert entries == in_order(entries)
        assert all(before <= entry[:2] < frontier for entry in entries)
        assert frontier >= before
        portions.append(entries)
        before = frontier
    return portions


def joined(portions: Sequence[Sequence[Entry]]) -> list[Entry]:
    return [entry for portion in portions for entry in portion]


def test_entries_leave_by_id_and_equal_ids_by_name(
    reader: StreamReader, client: redis.Redis
) -> None:
    log: list[Entry] = [(5, 0, B, b"1"), (5, 0, A, b"2"), (5, 1, A, b"3"), (4, 9, C, b"4")]
    add(client, log)
    entries, frontier, now = reader.read(NAMES)
    assert entries == [log[3], log[1], log[0], log[2]]
    assert frontier == (now, 0)


def random_log(random: Random, first_ms: int) -> list[Entry]:
    """Make entries of eight milliseconds, many of them with equal ids; each body is its own."""
    ids = [(random.randrange(8), random.randrange(40)) for _ in range(random.randrange(400))]
    keys = sorted({(*id_, random.choice(NAMES)) for id_ in ids})
    return [(first_ms + ms, sequence, name, f"{ms} {name}".encode()) for ms, sequence, name in keys]


def shuffled(log: list[Entry], random: Random) -> list[Entry]:
    """Mix the streams with each other; each stays in order, as Redis demands."""
    unread = {name: [entry for entry in log if entry[2] == name][::-1] for name in NAMES}
    mixed = []
    while left := [name for name in NAMES if unread[name]]:
        mixed.append(unread[random.choice(left)].pop())
    return mixed


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_read_later_comes_before_what_was_given(valkey_url: str, seed: int) -> None:
    random = Random(seed)
    with closing(open_client(valkey_url)) as client:
        client.flushall()
        soon_ms = now_ms(client) + 250
        past, future = random_log(random, soon_ms - 1000), random_log(random, soon_ms)
        add(client, shuffled(past, random))
        reader = StreamReader(client, "earliest", 60)
        given_early, waiting = [], shuffled(future, random)
        while waiting:
            size = random.randrange(1, 80)
            add(client, waiting[:size])
            del waiting[:size]
            given_early.append(reader.read(MANY_NAMES).entries)
        assume(now_ms(client) < soon_ms)
        later = read_past(reader, MANY_NAMES, soon_ms + 8)
    assert joined([*given_early, *later]) == in_order([*past, *future])


def test_thousands_of_entries_of_one_millisecond_come_once_and_in_order(
    reader: StreamReader, client: redis.Redis
) -> None:
    log = [(7, sequence, name, b"") for name in (B, A) for sequence in range(5000)]
    add(client, log)
    portions = read_past(reader, NAMES, 7)
    assert len(portions) > 2
    assert joined(portions) == in_order(log)


def test_what_is_held_for_a_slow_stream_is_bounded(
    reader: StreamReader, client: redis.Redis
) -> None:
    dense = [(1000 + number // 20, number % 20, A, b"") for number in range(20_000)]
    later = [(3000 + number, 0, B, b"") for number in range(20_000)]
    sparse = [(1000 * number, 0, C, b"") for number in range(1, 20)]
    add(client, [*dense, *later, *sparse])
    given, most_held = list[Entry](), 0
    while len(given) < 40_019:
        given += reader.read(NAMES).entries
        most_held = max(most_held, sum(map(reader._merge.held, NAMES)))
    assert given == in_order([*dense, *later, *sparse])
    assert most_held < 2 * MOST_PER_STREAM


def test_reading_is_behind_until_every_stream_is_read_to_its_end(
    reader: StreamReader, client: redis.Redis
) -> None:
    add(client, [(1, sequence, A, b"") for sequence in range(MOST_PER_STREAM + 1)])
    reader.read(NAMES)
    assert reader.is_behind
    reader.read(NAMES)
    assert not reader.is_behind


def test_earliest_reads_all_there_is(reader: StreamReader, client: redis.Redis) -> None:
    add(client, [(0, 1, A, b"the first id there can be")])
    assert len(reader.read(NAMES).entries) == 1


def test_window_reads_from_one_window_back(client: redis.Redis) -> None:
    now = now_ms(client)
    ages_ms = (59_000, 60_500, 3_600_000)
    add(client, [(now - age_ms, 0, A, b"%d" % age_ms) for age_ms in reversed(ages_ms)])
    reader = StreamReader(client, "window", 60)
    assert [entry[3] for entry in reader.read(NAMES).entries] == [b"59000"]


def test_the_windows_first_millisecond_is_read_whole(client: redis.Redis) -> None:
    reader = StreamReader(client, "window", 60)
    first_ms = int(reader._started().split(b"-")[0]) + 1
    add(client, [(first_ms - 1, 1 << 63, A, b"out"), (first_ms, 0, A, b"in")])
    assert [entry[3] for entry in reader.read(NAMES).entries] == [b"in"]


def test_latest_reads_only_what_is_new(client: redis.Redis) -> None:
    add(client, [(now_ms(client) - 1, 0, A, b"old")])
    reader = StreamReader(client, "latest", 60)
    assert reader.read(NAMES).entries == []
    client.xadd(A, {"data": b"new"})
    entries = joined(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in entries] == [b"new"]


def test_a_stream_that_turns_up_later_is_read_from_the_same_start(
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
def test_the_body_is_the_field_called_data_and_empty_without_one(
    reader: StreamReader, client: redis.Redis, fields: dict[Any, Any], body: bytes
) -> None:
    client.xadd(A, fields, id="1-1")
    assert reader.read(NAMES).entries == [(1, 1, A, body)]


def test_deleted_and_trimmed_entries_are_passed_over(
    reader: StreamReader, client: redis.Redis
) -> None:
    log: list[Entry] = [(ms, 0, A, b"") for ms in range(1, 9)]
    add(client, log)
    client.xdel(A, "5-0", "8-0")
    client.xtrim(A, minid="3", approximate=False)
    assert [entry[0] for entry in reader.read(NAMES).entries] == [3, 4, 6, 7]


def test_a_stream_that_is_deleted_and_made_again_goes_on(
    reader: StreamReader, client: redis.Redis
) -> None:
    client.xadd(A, {"data": b"1"})
    first = joined(read_past(reader, NAMES, now_ms(client)))
    client.flushall()
    client.xadd(A, {"data": b"2"})
    second = joined(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in first + second] == [b"1", b"2"]


def test_entries_of_the_future_wait_for_their_time_and_stop_nothing(
    reader: StreamReader, client: redis.Redis
) -> None:
    soon_ms = now_ms(client) + 1500
    future: list[Entry] = [(soon_ms, number, A, b"") for number in range(3 * MOST_PER_STREAM)]
    add(client, [*future, (1, 0, B, b"of the past")])
    first, *later = read_past(reader, NAMES, soon_ms)
    assert first == [(1, 0, B, b"of the past")]
    assert joined(later) == future


def test_reading_is_never_ahead_of_the_clock(reader: StreamReader, client: redis.Redis) -> None:
    add(client, [(now_ms(client) + 60_000, 0, A, b"")])
    assert reader.read([A]).entries == []
    entries, frontier, now = reader.read([A])
    assert (entries, frontier) == ([], (now, 0))


@pytest.fixture
def strange_reader(client: redis.Redis) -> tuple[StreamReader, FakeClock]:
    """Give one that looks for wrong-type keys by a clock of its own."""
    reader, clock = StreamReader(client, "earliest", 60), FakeClock()
    reader.wrong_type_keys = WrongTypeKeys(client, clock)
    return reader, clock


@pytest.mark.parametrize("number", [0, 6])
def test_a_name_taken_by_another_kind_of_key_stops_no_other(
    strange_reader: tuple[StreamReader, FakeClock], client: redis.Redis, number: int
) -> None:
    reader, _ = strange_reader
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


def test_a_stream_that_is_replaced_goes_on_when_it_is_a_stream_again(
    strange_reader: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, clock = strange_reader
    for number in range(2):
        client.xadd(A, {"data": b"%d" % number})
    before = joined(read_past(reader, NAMES, now_ms(client)))
    client.rename(A, "kept")
    client.set(A, "no stream")
    client.xadd(B, {"data": b"other"})
    with capture_logs() as lines:
        meanwhile = joined(read_past(reader, NAMES, now_ms(client)))
        client.rename("kept", A)
        client.xadd(A, {"data": b"2"})
        clock.advance(LOOK_EVERY_S)
        after = joined(read_past(reader, NAMES, now_ms(client)))
    assert [entry[3] for entry in before + meanwhile + after] == [b"0", b"1", b"other", b"2"]
    assert [line["event"] for line in lines] == ["stream_unreadable", "stream_readable"]


def test_a_checkpoint_keeps_the_place_in_a_stream_that_was_replaced(
    strange_reader: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, _ = strange_reader
    client.xadd(A, {"data": b"before"})
    read_past(reader, NAMES, now_ms(client))
    client.rename(A, "kept")
    client.set(A, "no stream")
    reader.read(NAMES)
    successor = StreamReader(client, "earliest", 60)
    successor.resume(reader.positions())
    client.rename("kept", A)
    assert joined(read_past(successor, NAMES, now_ms(client))) == []


def test_a_name_that_stays_taken_is_told_of_every_minute(
    strange_reader: tuple[StreamReader, FakeClock], client: redis.Redis
) -> None:
    reader, clock = strange_reader
    client.set(A, "no stream")
    with capture_logs() as lines:
        for _ in range(25):
            reader.read(NAMES)
            clock.advance(LOOK_EVERY_S)
    assert [line["event"] for line in lines] == ["stream_unreadable"] * 3

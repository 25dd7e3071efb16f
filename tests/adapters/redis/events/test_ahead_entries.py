"""Entries whose ids are ahead of Redis' clock: they count when they are read."""

from collections import Counter
from itertools import chain

import pytest
import redis
from structlog.typing import EventDict

from conductor_actors.adapters.redis.events.stream_reader import (
    MAX_ENTRIES_PER_STREAM,
    StreamPositions,
    StreamReader,
)
from conductor_actors.domain.entries import Entry, id_of
from conductor_actors.domain.gaps import Gap
from tests.adapters.redis.events.test_stream_reader import (
    NAMES,
    A,
    B,
    add,
    flatten,
    now_ms,
    read_past,
)
from tests.support.event_samples import SYNC


@pytest.fixture
def reader(client: redis.Redis) -> StreamReader:
    return StreamReader(client, "earliest", 60)


@pytest.mark.parametrize(
    "ahead_ms", [20_000, 1_200_000, 1 << 50, (1 << 64) - 2 - 1_800_000_000_000]
)
def test_entries_far_ahead_of_the_clock_count_when_they_are_read_and_stop_nothing(
    reader: StreamReader, client: redis.Redis, ahead_ms: int
) -> None:
    began_ms = now_ms(client)
    soon = (began_ms + 300, 0, A, b"in time")
    add(client, [soon, (began_ms + ahead_ms, 0, A, b"first")])
    for number in range(3 * MAX_ENTRIES_PER_STREAM):
        if number % 1000 == 0:
            client.xadd(B, {"data": b"of now"})
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(3 * MAX_ENTRIES_PER_STREAM):
            pipeline.xadd(A, {"data": b"later"})  # Redis' ids are ahead, too
        pipeline.execute()
    entries = flatten(read_past(reader, NAMES, now_ms(client) + 400))
    for _ in range(3):  # where the machine is busy, that time comes before all was read
        entries += flatten(read_past(reader, NAMES, now_ms(client) + 50))
    assert Counter(entry[3] for entry in entries) == {
        b"in time": 1,
        b"first": 1,
        b"later": 3 * MAX_ENTRIES_PER_STREAM,
        b"of now": 6,
    }
    of_a = [entry for entry in entries if entry[2] == A]
    assert of_a[0] == soon
    assert [entry[3] for entry in of_a[:2]] == [b"in time", b"first"]
    assert began_ms <= of_a[-1][0] <= now_ms(client) + 400
    assert [id_of(entry) for entry in of_a] == sorted(id_of(entry) for entry in of_a)


def test_entries_ahead_of_the_clock_mark_the_time_of_reading_and_that_of_their_ids(
    reader: StreamReader, client: redis.Redis, log_lines: list[EventDict]
) -> None:
    began_ms = now_ms(client)
    far_ms = began_ms + 7_200_000
    add(client, [(began_ms + 60_000, 0, f"acme:{SYNC}", b""), (far_ms, 0, SYNC, b"")])
    now = reader.read([f"acme:{SYNC}", SYNC]).now_ms
    assert sorted(reader.clock_gaps) == [
        Gap("acme", "clock", 0, now, began_ms + 60_000),
        Gap("default", "clock", 0, now, now),
        Gap("default", "clock", 0, far_ms, far_ms),
    ]
    reader.read([f"acme:{SYNC}", SYNC])
    assert reader.clock_gaps == []
    assert {line["source"] for line in log_lines if line["event"] == "entries_ahead"} == {
        f"acme:{SYNC}",
        SYNC,
    }


def test_entries_ahead_of_the_clock_are_read_once_across_a_resume(client: redis.Redis) -> None:
    def read_after(positions: StreamPositions) -> list[Entry]:
        resumed = StreamReader(client, "earliest", 60)
        resumed.resume(positions)
        # Several times: where the machine is busy, that time comes before all was read.
        reads = [read_past(resumed, [A], now_ms(client) + 20) for _ in range(3)]
        return flatten(list(chain.from_iterable(reads)))

    first, begun_ms = StreamReader(client, "earliest", 60), now_ms(client)
    add(client, [(begun_ms + 60_000 + number, 0, A, b"%d" % number) for number in range(9)])
    released = list[Entry]()
    while not released:
        assert [entry[3] for entry in read_after(first.positions())] == [
            b"%d" % number for number in range(9)
        ]
        released = first.read([A]).entries
    assert len(released) == 9
    assert read_after(first.positions()) == []

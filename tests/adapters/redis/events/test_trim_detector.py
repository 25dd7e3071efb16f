"""Entries that left their stream before they were read are counted, exactly."""

from collections.abc import Sequence
from contextlib import closing
from random import Random

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.events.stream_reader import (
    MAX_ENTRIES_PER_STREAM,
    StreamReader,
)
from conductor_actors.adapters.redis.events.trim_detector import (
    TRIM_CHECK_S,
    StreamInfo,
    StreamRead,
    TrimDetector,
)
from conductor_actors.domain.gaps import Gap
from tests.adapters.redis.events.test_stream_reader import MANY_NAMES, now_ms
from tests.support.event_samples import CHAT, SYNC
from tests.support.fakes.fake_clock import FakeClock

ACME = f"acme:{SYNC}"
NAMES = (CHAT, ACME)


class Reading:
    """A reader with its clock; `bodies` and `gaps` are what it has read and lost."""

    def __init__(self, client: redis.Redis, names: Sequence[str] = NAMES) -> None:
        self.client = client
        self.names = names
        self.clock = FakeClock()
        self.bodies: list[bytes] = []
        self.gaps: list[Gap] = []
        self._start(StreamReader(client, "earliest", 60))

    def _start(self, reader: StreamReader) -> None:
        reader._trim_detector._clock = self.clock
        self.reader = reader

    def read(self, after_s: float = 0.025) -> None:
        self.clock.advance(after_s)
        self.bodies += [entry[3] for entry in self.reader.read(self.names).entries]
        self.gaps += self.reader.gaps

    def read_all(self, count: int) -> None:
        """Read until so many entries were read or are known to be lost."""
        while len(self.bodies) + sum(gap.lost or 0 for gap in self.gaps) < count:
            self.read()

    def restart(self) -> None:
        reader = StreamReader(self.client, "latest", 60)
        reader.resume(self.reader.positions())
        self._start(reader)


@pytest.fixture
def reading(client: redis.Redis) -> Reading:
    reading = Reading(client)
    reading.read()
    return reading


def add(client: redis.Redis, name: str, count: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(name, {"data": b"%d" % number})
        pipeline.execute()


def ids(client: redis.Redis, name: str) -> list[bytes]:
    [entries] = pipeline(client, [("XRANGE", name, "-", "+")])
    return [entry_id for entry_id, _ in entries]


def test_entries_trimmed_while_no_reader_ran_are_counted(
    reading: Reading, client: redis.Redis
) -> None:
    add(client, ACME, 10)
    reading.read_all(10)
    reading.restart()
    stopped_ms = reading.reader._frontier[0]
    add(client, ACME, 30)
    client.xtrim(ACME, maxlen=5, approximate=False)
    first_ms = int(ids(client, ACME)[0].split(b"-")[0])
    reading.read_all(40)
    [gap] = reading.gaps
    assert gap == Gap("acme", "trimmed", 25, min(stopped_ms, first_ms), first_ms)
    assert len(reading.bodies) == 15


def test_every_unread_entry_of_an_emptied_stream_is_lost(
    reading: Reading, client: redis.Redis
) -> None:
    add(client, CHAT, 10)
    client.xtrim(CHAT, maxlen=0, approximate=False)
    reading.read(after_s=2)
    assert [gap[:3] for gap in reading.gaps] == [("default", "trimmed", 10)]
    assert reading.gaps[0].to_ms >= reading.gaps[0].from_ms > now_ms(client) - 60_000


def test_trimming_entries_that_were_read_loses_none(reading: Reading, client: redis.Redis) -> None:
    for _ in range(3):
        add(client, CHAT, 10)
        reading.read_all(len(reading.bodies) + 10)
        client.xtrim(CHAT, maxlen=0, approximate=False)
        reading.read(after_s=2)
        add(client, CHAT, 10)
        reading.restart()
        reading.read_all(len(reading.bodies) + 10)
    assert reading.gaps == []
    assert len(reading.bodies) == 60


def test_entries_trimmed_before_the_first_start_are_not_lost(client: redis.Redis) -> None:
    add(client, CHAT, 10)
    client.xtrim(CHAT, maxlen=4, approximate=False)
    reading = Reading(client)
    reading.read_all(4)
    assert reading.gaps == []


def test_a_gap_is_reported_once(reading: Reading, client: redis.Redis) -> None:
    add(client, CHAT, 10)
    client.xtrim(CHAT, maxlen=1, approximate=False)
    for _ in range(5):
        reading.read(after_s=2)
        reading.restart()
    assert [gap.lost for gap in reading.gaps] == [9]


def test_entries_trimmed_while_reading_is_behind_are_counted(
    reading: Reading, client: redis.Redis
) -> None:
    add(client, CHAT, 5 * MAX_ENTRIES_PER_STREAM)
    reading.read()
    client.xtrim(CHAT, maxlen=MAX_ENTRIES_PER_STREAM + 3, approximate=False)
    reading.read_all(5 * MAX_ENTRIES_PER_STREAM)
    assert [gap.lost for gap in reading.gaps] == [3 * MAX_ENTRIES_PER_STREAM - 3]
    reading.read(after_s=2)
    assert len(reading.gaps) == 1


def test_entries_trimmed_between_two_reads_are_counted_within_ten_seconds(
    reading: Reading, client: redis.Redis
) -> None:
    add(client, CHAT, 10)
    client.xtrim(CHAT, maxlen=4, approximate=False)
    reading.read_all(4)
    assert (len(reading.bodies), reading.gaps) == (4, [])
    for _ in range(int(TRIM_CHECK_S / 0.5)):
        reading.read(after_s=0.5)
    assert [gap.lost for gap in reading.gaps] == [6]


def test_entries_deleted_unread_are_lost(reading: Reading, client: redis.Redis) -> None:
    add(client, CHAT, 10)
    client.xdel(CHAT, *ids(client, CHAT)[3:5])
    reading.read(after_s=2)
    assert [gap.lost for gap in reading.gaps] == [2]


def test_a_deleted_stream_has_lost_an_unknown_number_of_entries(
    reading: Reading, client: redis.Redis
) -> None:
    add(client, CHAT, 10)
    reading.read_all(10)
    client.delete(CHAT)
    add(client, CHAT, 3)
    reading.read(after_s=2)
    reading.read(after_s=2)
    assert [gap[:3] for gap in reading.gaps] == [("default", "trimmed", None)]


def test_a_server_that_has_other_entries_is_detected_although_it_has_as_many(
    reading: Reading, client: redis.Redis
) -> None:
    for number in range(1, 11):
        client.xadd(CHAT, {"data": b""}, f"{number}-0")
    reading.read_all(10)
    client.delete(CHAT)
    for entry_id in [*(f"{number}-0" for number in range(1, 9)), "8-1", "8-2"]:
        client.xadd(CHAT, {"data": b""}, entry_id)
    client.connection_pool.disconnect()
    reading.read()
    reading.read()
    assert [gap[:3] for gap in reading.gaps] == [("default", "trimmed", None)]


def test_a_reconnection_to_the_same_entries_is_no_loss(
    reading: Reading, client: redis.Redis
) -> None:
    for _ in range(2):
        add(client, CHAT, 10)
        reading.read_all(len(reading.bodies) + 10)
        client.connection_pool.disconnect()
    client.xtrim(CHAT, maxlen=0, approximate=False)
    reading.read()
    assert reading.gaps == []


def test_a_stream_discovered_later_is_counted_from_its_first_read_on(
    reading: Reading, client: redis.Redis
) -> None:
    new = f"globex:{SYNC}"
    reading.names = (*NAMES, new)
    add(client, new, 10)
    reading.read_all(10)
    reading.restart()
    add(client, new, 10)
    client.xtrim(new, maxlen=3, approximate=False)
    reading.read_all(20)
    assert [gap[:3] for gap in reading.gaps] == [("globex", "trimmed", 7)]


def test_steady_reads_are_checked_every_ten_seconds() -> None:
    clock = FakeClock()
    detector = TrimDetector(clock)
    assert list(detector.names_to_check(NAMES)) == list(NAMES)
    for name in NAMES:
        detector.check(
            StreamRead(name, (0, 0), 0, is_partial=False, until_ms=1, is_replaced=False), EMPTY, 1
        )
    checked = []
    for _ in range(40):
        detector.record_read()
        clock.advance(TRIM_CHECK_S / 40)
        checked.append(list(detector.names_to_check(NAMES)))
    assert checked == [[]] * 39 + [list(NAMES)]


EMPTY = StreamInfo(0, 0, None, (0, 0))


@pytest.mark.parametrize(
    ("first", "last", "is_lost"),
    [
        ((50, 0), (99, 0), False),
        ((51, 0), (99, 0), True),
        (None, (50, 0), False),
        (None, (99, 0), True),
    ],
)
def test_without_counts_of_the_server_a_loss_is_detected_but_not_its_size(
    first: tuple[int, int] | None, last: tuple[int, int], *, is_lost: bool
) -> None:
    detector = TrimDetector(FakeClock())
    detector.resume({ACME: None}, (40, 0))
    gap = detector.check(
        StreamRead(ACME, (50, 0), 3, is_partial=False, until_ms=120, is_replaced=False),
        StreamInfo(None, 3, first, last),
        120,
    )
    assert gap == (
        Gap("acme", "trimmed", None, 40, first[0] if first else 120) if is_lost else None
    )


def test_a_reply_without_a_count_is_parsed() -> None:
    reply = [b"length", 1, b"last-generated-id", b"7-1", b"first-entry", [b"5-0", []]]
    assert StreamInfo.parse(reply) == StreamInfo(None, 1, (5, 0), (7, 1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_every_entry_is_read_or_counted_as_lost(shared_valkey_url: str, seed: int) -> None:
    random = Random(seed)
    with closing(open_client(shared_valkey_url)) as client:
        client.flushall()
        reading, added = Reading(client, [*MANY_NAMES[3:], CHAT, ACME]), 0
        reading.read()
        for _ in range(random.randrange(1, 12)):
            match random.randrange(4):
                case 0 | 1:
                    count = random.randrange(200)
                    add(client, random.choice(NAMES), count)
                    added += count
                case 2:
                    name, most = random.choice(NAMES), random.randrange(60)
                    client.xtrim(name, maxlen=most, approximate=False)
                case 3:
                    reading.restart()
            for _ in range(random.randrange(3)):
                reading.read(after_s=random.choice([0.025, 2]))
        reading.read_all(added)
        reading.read(after_s=2)
        assert all(gap.lost for gap in reading.gaps)
        assert len(reading.bodies) + sum(gap.lost or 0 for gap in reading.gaps) == added

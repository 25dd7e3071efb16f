"""Recorded events, from the streams of a real Valkey."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain

import pytest
import redis

from conductor_actors.adapters.recordings.stream_range import ENTRIES_PER_PAGE, StreamRange
from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline, server_time_ms
from conductor_actors.domain.entries import Entry
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.event_samples import CHAT, SYNC, VOTE


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with closing(open_client(valkey_url)) as client:
        yield client


def read_range(url: str, tenants: Sequence[str], first: str, last: str) -> list[Entry]:
    with closing(StreamRange(url, tenants, first, last)) as stream_range:
        return list(chain.from_iterable(stream_range.chunks()))


def add(client: redis.Redis, *entries: Entry) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for ms, sequence, name, body in entries:
            pipeline.xadd(name, {"data": body}, id=f"{ms}-{sequence}")
        pipeline.execute()


def test_streams_are_read_in_the_order_of_their_ids(valkey_url: str, client: redis.Redis) -> None:
    log: list[Entry] = [
        (5, 0, SYNC, b"1"),
        (5, 0, CHAT, b"2"),
        (4, 9, VOTE, b"3"),
        (5, 1, "acme:sync-events", b"4"),
        (5, 1, "globex:sync-events", b"of no tenant of ours"),
    ]
    add(client, *log)
    found = read_range(valkey_url, ("acme",), "-", "+")
    assert found == [log[2], log[1], log[0], log[3]]
    assert len(read_range(valkey_url, ("*",), "-", "+")) == 5


def test_an_open_end_leaves_out_what_is_ahead_of_redis_clock(
    valkey_url: str, client: redis.Redis
) -> None:
    now_ms = server_time_ms(client.time())
    near, far = (now_ms + 5000, 0, SYNC, b"near"), (now_ms + 60_000, 0, CHAT, b"far")
    add(client, near, far)
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        assert list(chain.from_iterable(stream_range.chunks())) == [near]
        assert stream_range.ahead == {CHAT}
    assert read_range(valkey_url, (), "-", str(now_ms + 90_000)) == [near, far]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("-", "+", range(1, 9)),
        ("3-0", "5-0", range(3, 6)),
        ("3", "5", range(3, 6)),
        ("3-1", "5-0", range(4, 6)),
        ("-", "5-0", range(1, 6)),
        ("3-0", "+", range(3, 9)),
        ("9", "+", ()),
        ("5", "3", ()),
    ],
)
def test_both_ends_are_included(
    valkey_url: str, client: redis.Redis, first: str, last: str, expected: range
) -> None:
    add(client, *((ms, 0, SYNC, b"") for ms in range(1, 9)))
    found = read_range(valkey_url, (), first, last)
    assert [entry[0] for entry in found] == list(expected)


def test_a_whole_millisecond_is_read_when_no_sequence_is_given(
    valkey_url: str, client: redis.Redis
) -> None:
    add(client, *((5, sequence, SYNC, b"") for sequence in range(9)), (6, 0, SYNC, b""))
    assert len(read_range(valkey_url, (), "5", "5")) == 9


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000, 3500])
def test_every_page_is_read_once(valkey_url: str, client: redis.Redis, count: int) -> None:
    log: list[Entry] = [(7, sequence, SYNC, b"%d" % sequence) for sequence in range(count)]
    add(client, *log, *((8, sequence, CHAT, b"") for sequence in range(1500)))
    found = read_range(valkey_url, (), "-", "+")
    assert found[:count] == log
    assert len(found) == count + 1500


def test_without_streams_there_are_no_entries(valkey_url: str, client: redis.Redis) -> None:
    del client
    assert read_range(valkey_url, ("acme", "*"), "-", "+") == []


def test_entries_after_the_year_9999_are_left_out(valkey_url: str, client: redis.Redis) -> None:
    add(client, (5, 0, SYNC, b""), (10**18, 0, SYNC, b""))
    assert read_range(valkey_url, (), "-", "+") == [(5, 0, SYNC, b"")]


@pytest.mark.parametrize("invalid_id", ["", "-5", "5-", "5-5-5", "now", "(5-0", "9" * 15])
def test_an_invalid_id_is_refused(valkey_url: str, invalid_id: str) -> None:
    for first, last in ((invalid_id, "+"), ("-", invalid_id)):
        with pytest.raises(ConfigError, match=r"is no stream entry id, e\.g\. 1767528000000-0"):
            read_range(valkey_url, (), first, last)


def test_a_name_whose_key_is_not_a_stream_is_left_out(valkey_url: str, client: redis.Redis) -> None:
    client.set(SYNC, "x")
    add(client, (5, 0, CHAT, b""))
    assert read_range(valkey_url, (), "-", "+") == [(5, 0, CHAT, b"")]


def test_an_outage_of_redis_raises_unavailable() -> None:
    for tenants in ((), ("*",)):
        with pytest.raises(Unavailable, match="Connection refused"):
            read_range("redis://127.0.0.1:1/0", tenants, "-", "+")


def test_a_range_has_the_time_since_which_nothing_was_trimmed(
    valkey_url: str, client: redis.Redis
) -> None:
    add(client, *((ms, 0, SYNC, b"") for ms in range(1, 9)), (1, 0, CHAT, b""))
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        assert stream_range.begins_ms == 0
    pipeline(client, [("XTRIM", SYNC, "MAXLEN", 5)])
    for first, begins_ms in (("-", 4), ("3", 4), ("4", 0), ("5", 0)):
        with closing(StreamRange(valkey_url, (), first, "+")) as stream_range:
            assert stream_range.begins_ms == begins_ms
    pipeline(client, [("XTRIM", SYNC, "MAXLEN", 0)])
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        assert stream_range.begins_ms == 8
        assert [len(chunk) for chunk in stream_range.chunks()] == [1]
        assert not stream_range.trimmed


@pytest.mark.parametrize("name", ["conductor:policy", "acme:conductor:sent"])
def test_what_the_service_trims_itself_shortens_no_range(
    valkey_url: str, client: redis.Redis, name: str
) -> None:
    add(client, *((ms, 0, name, b"") for ms in range(1, 9)), (1, 0, SYNC, b""))
    pipeline(client, [("XTRIM", name, "MAXLEN", 2)])
    with closing(StreamRange(valkey_url, ("acme",), "-", "+")) as stream_range:
        assert stream_range.begins_ms == 0


def test_a_range_has_the_time_of_redis_at_which_it_was_opened(
    valkey_url: str, client: redis.Redis
) -> None:
    def time_ms() -> int:
        [(seconds, micros)] = pipeline(client, [("TIME",)])
        return int(seconds) * 1000 + int(micros) // 1000

    before_ms = time_ms()
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        assert before_ms <= stream_range.now_ms <= time_ms()


@pytest.mark.parametrize(
    ("length", "is_cut"), [(ENTRIES_PER_PAGE, False), (ENTRIES_PER_PAGE - 1, True), (0, True)]
)
def test_a_stream_that_is_trimmed_while_it_is_read_is_reported(
    length: int, is_cut: bool, valkey_url: str, client: redis.Redis
) -> None:
    add(client, *((ms, 0, SYNC, b"") for ms in range(2 * ENTRIES_PER_PAGE)[1:]), (1, 1, CHAT, b""))
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        chunks = stream_range.chunks()
        next(chunks)
        pipeline(client, [("XTRIM", SYNC, "MAXLEN", length)])
        for _ in chunks:
            pass
        assert stream_range.trimmed == ({SYNC} if is_cut else set())


def test_without_access_to_xinfo_entries_are_read_and_trimming_is_unknown(
    valkey_url: str, client: redis.Redis
) -> None:
    add(client, (5, 0, SYNC, b""))
    rules = ("on", "nopass", "~*", "+@all", "-xinfo")
    pipeline(client, [("ACL", "SETUSER", "reader", "reset", *rules)])
    try:
        url = valkey_url.replace("//", "//reader:any@")
        with closing(StreamRange(url, (), "-", "+")) as stream_range:
            assert stream_range.begins_ms is None
            assert list(stream_range.chunks()) == [[(5, 0, SYNC, b"")]]
            assert not stream_range.trimmed
    finally:
        pipeline(client, [("ACL", "DELUSER", "reader")])


def test_at_most_a_page_of_each_name_is_in_memory(valkey_url: str, client: redis.Redis) -> None:
    add(
        client,
        *((ms, 0, name, b"") for ms in range(1, 3 * ENTRIES_PER_PAGE) for name in (SYNC, CHAT)),
    )
    with closing(StreamRange(valkey_url, (), "-", "+")) as stream_range:
        assert max(map(len, stream_range.chunks())) <= 2 * ENTRIES_PER_PAGE


def test_a_url_may_name_a_unix_socket() -> None:
    with pytest.raises(Unavailable, match="No such file"):
        read_range("unix:///tmp/there-is-no-such.socket", (), "-", "+")

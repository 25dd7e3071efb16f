"""Recorded events, from files of any quality and from the streams of a real Valkey."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.recordings import read_file, read_streams
from conductor_actors.adapters.redis_client import open_client
from conductor_actors.domain.intake import Entry
from conductor_actors.errors import ConfigError, Unavailable
from tests.hostile import CHAT, SYNC, VOTE

GOOD = b'{"id":"5-1","name":"sync-events","data":{"a":1}}'
ENTRY: Entry = (5, 1, SYNC, b'{"a":1}')


@pytest.fixture
def client(valkey_url: str, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    del redis_client  # for its empty database
    with closing(open_client(valkey_url)) as client:
        yield client


def a_file(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def add(client: redis.Redis, *entries: Entry) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for ms, sequence, name, body in entries:
            pipeline.xadd(name, {"data": body}, id=f"{ms}-{sequence}")
        pipeline.execute()


def test_lines_in_any_order_are_read_in_the_order_of_their_ids(tmp_path: Path) -> None:
    ids = [(7, 0, SYNC), (5, 10, CHAT), (5, 9, SYNC), (5, 10, "acme:sync-events"), (4, 0, VOTE)]
    lines = [
        json.dumps({"id": f"{ms}-{sequence}", "name": name, "data": {}}).encode()
        for ms, sequence, name in ids
    ]
    recording = read_file(a_file(tmp_path, *lines))
    assert [entry[:3] for entry in recording.entries] == sorted(ids)
    assert recording.unreadable == []


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b'{ "a" : [1, "\\u00e9"] }', b'{ "a" : [1, "\\u00e9"] }'),
        (b'{"a":"\xe9"}', b'{"a":"\xe9"}'),
        (b"null", b"null"),
        (b'"text"', b'"text"'),
        (b"[" * 500 + b"]" * 500, b"[" * 500 + b"]" * 500),
    ],
)
def test_a_body_stays_as_it_was_recorded(tmp_path: Path, data: bytes, body: bytes) -> None:
    line = b'{"id":"5-1","name":"sync-events","data":' + data + b',"more":1}'
    assert read_file(a_file(tmp_path, line)).entries == [(5, 1, SYNC, body)]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[]",
        b'"5-1"',
        GOOD[:-1],
        GOOD + b"x",
        GOOD * 2,
        b"\xef\xbb\xbf" + GOOD,
        b"\x00\xff\x1f\x8b",
        b'{"name":"sync-events","data":{}}',
        b'{"id":"5-1","data":{}}',
        b'{"id":"5-1","name":"sync-events"}',
        b'{"id":5,"name":"sync-events","data":{}}',
        b'{"id":"5-1","name":null,"data":{}}',
        b'{"id":"5-1","name":"sync-events","data":NaN}',
        b'{"id":"5-1","name":"sync-events","data":' + b"[" * 100_000 + b"}",
        *(
            b'{"id":"%s","name":"sync-events","data":{}}' % entry_id
            for entry_id in (
                *(b"", b"-", b"5-", b"-5", b"-5-1", b"5--1", b"5-1-1", b"+5-1", b" 5-1", b"5-1 "),
                *(
                    b"5_0-1",
                    b"5.0-1",
                    b"0x5-1",
                    "\u0665-1".encode(),
                    b"5-1\\n",
                    b"9" * 15,
                    b"9" * 5000,
                ),
            )
        ),
    ],
)
def test_a_line_that_is_none_is_numbered_and_stops_no_other(tmp_path: Path, line: bytes) -> None:
    recording = read_file(a_file(tmp_path, GOOD, line, b"", GOOD, line))
    assert recording.entries == [ENTRY, ENTRY]
    assert recording.unreadable == [2, 5]


def test_an_id_may_do_without_its_second_part(tmp_path: Path) -> None:
    line = b'{"id":"5","name":"sync-events","data":{}}'
    assert read_file(a_file(tmp_path, line)).entries == [(5, 0, SYNC, b"{}")]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n \r\n\t\n"])
def test_an_empty_file_has_no_entries(tmp_path: Path, content: bytes) -> None:
    assert read_file(a_file(tmp_path, content)) == ([], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_end_as_on_any_system(tmp_path: Path, end: bytes) -> None:
    assert read_file(a_file(tmp_path, GOOD + end + GOOD + end)).entries == [ENTRY, ENTRY]


def test_binary_junk_is_so_many_unreadable_lines(tmp_path: Path) -> None:
    junk = os.urandom(200_000)
    recording = read_file(a_file(tmp_path, junk, GOOD))
    assert recording.entries == [ENTRY]
    assert len(recording.unreadable) <= junk.count(b"\n") + 1


def test_a_huge_line_is_read_as_any_other(tmp_path: Path) -> None:
    body = b'{"text":"' + b"x" * 20_000_000 + b'"}'
    line = b'{"id":"5-0","name":"sync-events","data":' + body + b"}"
    recording = read_file(a_file(tmp_path, line, b"x" * 20_000_000, GOOD))
    assert recording.entries == [(5, 0, SYNC, body), ENTRY]
    assert recording.unreadable == [2]


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.jsonl: No such file or directory$"):
        read_file(tmp_path / "nothing.jsonl")
    with pytest.raises(ConfigError, match=r": Is a directory$"):
        read_file(tmp_path)
    with pytest.raises(ConfigError, match=r": Not a directory$"):
        read_file(a_file(tmp_path, GOOD) / "below")


def test_streams_are_read_in_the_order_of_their_ids(valkey_url: str, client: redis.Redis) -> None:
    log: list[Entry] = [
        (5, 0, SYNC, b"1"),
        (5, 0, CHAT, b"2"),
        (4, 9, VOTE, b"3"),
        (5, 1, "acme:sync-events", b"4"),
        (5, 1, "globex:sync-events", b"of no tenant of ours"),
    ]
    add(client, *log)
    found = list(read_streams(valkey_url, ("acme",), "-", "+"))
    assert found == [log[2], log[1], log[0], log[3]]
    assert len(list(read_streams(valkey_url, ("*",), "-", "+"))) == 5


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
    found = read_streams(valkey_url, (), first, last)
    assert [entry[0] for entry in found] == list(expected)


def test_a_whole_millisecond_is_read_when_no_sequence_is_given(
    valkey_url: str, client: redis.Redis
) -> None:
    add(client, *((5, sequence, SYNC, b"") for sequence in range(9)), (6, 0, SYNC, b""))
    assert len(list(read_streams(valkey_url, (), "5", "5"))) == 9


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000, 3500])
def test_every_page_is_read_once(valkey_url: str, client: redis.Redis, count: int) -> None:
    log: list[Entry] = [(7, sequence, SYNC, b"%d" % sequence) for sequence in range(count)]
    add(client, *log, *((8, sequence, CHAT, b"") for sequence in range(1500)))
    found = list(read_streams(valkey_url, (), "-", "+"))
    assert found[:count] == log
    assert len(found) == count + 1500


def test_without_streams_there_are_no_entries(valkey_url: str, client: redis.Redis) -> None:
    del client
    assert list(read_streams(valkey_url, ("acme", "*"), "-", "+")) == []


def test_entries_of_a_time_that_has_no_date_are_left_out(
    valkey_url: str, client: redis.Redis
) -> None:
    add(client, (5, 0, SYNC, b""), (10**18, 0, SYNC, b""))
    assert list(read_streams(valkey_url, (), "-", "+")) == [(5, 0, SYNC, b"")]


@pytest.mark.parametrize("wrong", ["", "-5", "5-", "5-5-5", "now", "(5-0", "9" * 15])
def test_an_id_that_is_none_is_refused(valkey_url: str, wrong: str) -> None:
    for first, last in ((wrong, "+"), ("-", wrong)):
        with pytest.raises(ConfigError, match=r"is no stream entry id, e\.g\. 1767528000000-0"):
            list(read_streams(valkey_url, (), first, last))


def test_a_name_taken_by_another_key_is_an_error_of_the_operator(
    valkey_url: str, client: redis.Redis
) -> None:
    client.set(SYNC, "x")
    with pytest.raises(ConfigError, match="must be streams"):
        list(read_streams(valkey_url, (), "-", "+"))


def test_a_redis_that_is_away_is_unavailable() -> None:
    for tenants in ((), ("*",)):
        with pytest.raises(Unavailable, match="Connection refused"):
            list(read_streams("redis://127.0.0.1:1/0", tenants, "-", "+"))

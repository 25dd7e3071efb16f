"""Recorded events in files, some of them damaged."""

import json
import os
from pathlib import Path

import pytest

from conductor_actors.adapters.recordings.event_file import read_event_file
from conductor_actors.domain.entries import Entry
from conductor_actors.errors import ConfigError
from tests.support.event_samples import CHAT, SYNC, VOTE

GOOD = b'{"id":"5-1","name":"sync-events","data":{"a":1}}'
ENTRY: Entry = (5, 1, SYNC, b'{"a":1}')


def write_file(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def test_lines_in_any_order_are_read_in_the_order_of_their_ids(tmp_path: Path) -> None:
    ids = [(7, 0, SYNC), (5, 10, CHAT), (5, 9, SYNC), (5, 10, "acme:sync-events"), (4, 0, VOTE)]
    lines = [
        json.dumps({"id": f"{ms}-{sequence}", "name": name, "data": {}}).encode()
        for ms, sequence, name in ids
    ]
    recording = read_event_file(write_file(tmp_path, *lines))
    assert [entry[:3] for entry in recording.entries] == sorted(ids)
    assert recording.invalid_lines == []


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b'{ "a" : [1, "\\u00e9"] }', b'{ "a" : [1, "\\u00e9"] }'),
        (b'{"a":"\xe9"}', b'{"a":"\xe9"}'),
        (b"null", b"null"),
        (b'"text"', b'"text"'),
        (b"[" * 500 + b"]" * 500, b"[" * 500 + b"]" * 500),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_body_stays_as_it_was_recorded(tmp_path: Path, data: bytes, body: bytes) -> None:
    line = b'{"id":"5-1","name":"sync-events","data":' + data + b',"more":1}'
    assert read_event_file(write_file(tmp_path, line)).entries == [(5, 1, SYNC, body)]


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
    ids=lambda line: repr(line[:60]),
)
def test_an_invalid_line_is_reported_by_its_number_and_the_others_are_read(
    tmp_path: Path, line: bytes
) -> None:
    recording = read_event_file(write_file(tmp_path, GOOD, line, b"", GOOD, line))
    assert recording.entries == [ENTRY, ENTRY]
    assert recording.invalid_lines == [2, 5]


def test_an_id_without_a_sequence_number_has_sequence_0(tmp_path: Path) -> None:
    line = b'{"id":"5","name":"sync-events","data":{}}'
    assert read_event_file(write_file(tmp_path, line)).entries == [(5, 0, SYNC, b"{}")]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n \r\n\t\n"])
def test_an_empty_file_has_no_entries(tmp_path: Path, content: bytes) -> None:
    assert read_event_file(write_file(tmp_path, content)) == ([], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_may_end_with_lf_or_crlf(tmp_path: Path, end: bytes) -> None:
    assert read_event_file(write_file(tmp_path, GOOD + end + GOOD + end)).entries == [ENTRY, ENTRY]


def test_binary_data_is_read_as_invalid_lines(tmp_path: Path) -> None:
    junk = os.urandom(200_000)
    recording = read_event_file(write_file(tmp_path, junk, GOOD))
    assert recording.entries == [ENTRY]
    assert len(recording.invalid_lines) <= junk.count(b"\n") + 1


def test_a_line_of_20_mb_is_read(tmp_path: Path) -> None:
    body = b'{"text":"' + b"x" * 20_000_000 + b'"}'
    line = b'{"id":"5-0","name":"sync-events","data":' + body + b"}"
    recording = read_event_file(write_file(tmp_path, line, b"x" * 20_000_000, GOOD))
    assert recording.entries == [(5, 0, SYNC, body), ENTRY]
    assert recording.invalid_lines == [2]


def test_the_error_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.jsonl: No such file or directory$"):
        read_event_file(tmp_path / "nothing.jsonl")
    with pytest.raises(ConfigError, match=r": Is a directory$"):
        read_event_file(tmp_path)
    with pytest.raises(ConfigError, match=r": Not a directory$"):
        read_event_file(write_file(tmp_path, GOOD) / "below")

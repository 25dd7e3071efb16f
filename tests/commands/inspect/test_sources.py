"""Lines as they come: from a pipe, from a file that grows and is rotated, from Redis."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.key_names import LOG_KEY
from conductor_actors.adapters.redis.log_stream import RedisLog
from conductor_actors.commands.inspect.sources import (
    TAIL_BYTES,
    Cutter,
    FileSource,
    LogStreamSource,
    PipeSource,
    Source,
)
from conductor_actors.errors import ConfigError


def whole(source: Source) -> list[bytes]:
    """Read until all is read."""
    lines = [*source.read()]
    while not source.has_all:
        lines += source.read()
    return lines


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_come_out_whole_however_they_are_cut(parts: list[bytes], longest: int) -> None:
    data = b"\n".join(parts)
    cutter = Cutter()
    found = [line for part in cutter.cut(data) for line in [part]]
    pieces = [data[at : at + longest] for at in range(0, len(data), longest)]
    again = Cutter()
    assert [line for piece in pieces for line in again.cut(piece)] == found
    assert again.rest() == cutter.rest() == (data.split(b"\n")[-1])
    assert found == [line for line in data.split(b"\n")[:-1] if line.strip()]


def test_a_line_without_an_end_takes_no_more_memory_than_the_longest() -> None:
    cutter = Cutter(longest=100)
    for _ in range(1000):
        assert cutter.cut(b"x" * 90) == []
    long, short = cutter.cut(b"\nshort\n")
    assert (len(long), short) == (101, b"short")


@pytest.fixture
def pipe() -> Iterator[tuple[PipeSource, int]]:
    reading, writing = os.pipe()
    yield PipeSource(reading), writing
    os.close(reading)


def test_a_pipe_gives_what_is_there_and_never_waits(pipe: tuple[PipeSource, int]) -> None:
    source, writing = pipe
    assert (source.read(), source.has_all) == ([], False)
    os.write(writing, b"first\nsec")
    assert source.read() == [b"first"]
    os.write(writing, b"ond\nlast without an end")
    assert source.read() == [b"second"]
    os.close(writing)
    assert source.read() == [b"last without an end"]
    assert (source.has_all, source.is_over, source.read()) == (True, True, [])
    assert source.trouble == "the pipe has ended"


def test_a_file_gives_what_it_has_and_what_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"first\nsecond\nthi")
    with closing(FileSource(path)) as source:
        assert whole(source) == [b"first", b"second"]
        with path.open("ab") as file:
            file.write(b"rd\n")
        assert whole(source) == [b"third"]
        assert (source.read(), source.has_all, source.is_over) == ([], True, False)


def test_of_a_long_file_the_end_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    lines = [b"%09d" % number for number in range(2 * TAIL_BYTES // 10)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with closing(FileSource(path)) as source:
        found = whole(source)
    assert found == lines[-len(found) :]
    assert TAIL_BYTES * 0.9 < 10 * len(found) <= TAIL_BYTES


def test_after_a_rotation_the_new_file_of_that_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"old\n")
    with closing(FileSource(path)) as source:
        assert whole(source) == [b"old"]
        path.rename(tmp_path / "service.log.1")
        assert whole(source) == []  # there is none of that name
        path.write_bytes(b"new\n")
        assert whole(source) == [b"new"]


def test_a_file_that_was_cut_off_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"a long first line\n")
    with closing(FileSource(path)) as source:
        assert whole(source) == [b"a long first line"]
        path.write_bytes(b"short\n")
        assert whole(source) == [b"short"]


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_what_is_no_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file|Is a directory"):
        FileSource(tmp_path / name)


def test_a_stream_gives_its_history_and_what_comes(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisLog(valkey_url)) as log, closing(LogStreamSource(valkey_url, 10)) as source:
        log.append([f"{number}" for number in range(1500)])
        assert len(whole(source)) == 1500
        log.append(["later"])
        assert whole(source) == [b"later"]
        redis_client.delete(LOG_KEY)
        assert whole(source) == []


def test_while_redis_is_away_it_is_said_and_nothing_comes() -> None:
    with closing(LogStreamSource(f"redis://127.0.0.1:{free_port()}", 10)) as source:
        assert source.read() == ()
        assert "refused" in source.trouble
        assert not source.has_all

"""Lines from a pipe, from a file that grows and is rotated, and from Redis."""

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
from conductor_actors.commands.inspect.log_sources import (
    TAIL_BYTES,
    FileSource,
    LineSplitter,
    LogSource,
    LogStreamSource,
    PipeSource,
)
from conductor_actors.errors import ConfigError


def read_all(source: LogSource) -> list[bytes]:
    """Return all lines that the source has."""
    lines = [*source.read()]
    while not source.has_all:
        lines += source.read()
    return lines


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_are_complete_however_the_bytes_are_split(parts: list[bytes], longest: int) -> None:
    data = b"\n".join(parts)
    splitter = LineSplitter()
    found = [line for part in splitter.split(data) for line in [part]]
    pieces = [data[at : at + longest] for at in range(0, len(data), longest)]
    again = LineSplitter()
    assert [line for piece in pieces for line in again.split(piece)] == found
    assert again.pop_rest() == splitter.pop_rest() == (data.split(b"\n")[-1])
    assert found == [line for line in data.split(b"\n")[:-1] if line.strip()]


def test_a_line_without_an_end_takes_bounded_memory() -> None:
    splitter = LineSplitter(max_bytes=100)
    for _ in range(1000):
        assert splitter.split(b"x" * 90) == []
    long, short = splitter.split(b"\nshort\n")
    assert (len(long), short) == (101, b"short")


@pytest.fixture
def pipe() -> Iterator[tuple[PipeSource, int]]:
    reading, writing = os.pipe()
    yield PipeSource(reading), writing
    os.close(reading)


def test_a_pipe_returns_the_lines_it_has_and_never_blocks(
    pipe: tuple[PipeSource, int],
) -> None:
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


def test_a_file_returns_its_lines_and_those_written_later(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"first\nsecond\nthi")
    with closing(FileSource(path)) as source:
        assert read_all(source) == [b"first", b"second"]
        with path.open("ab") as file:
            file.write(b"rd\n")
        assert read_all(source) == [b"third"]
        assert (source.read(), source.has_all, source.is_over) == ([], True, False)


def test_a_long_file_is_read_from_the_first_complete_line_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    lines = [b"%09d" % number for number in range(2 * TAIL_BYTES // 10)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with closing(FileSource(path)) as source:
        found = read_all(source)
    assert found == lines[-len(found) :]
    assert TAIL_BYTES * 0.9 < 10 * len(found) <= TAIL_BYTES


def test_after_a_rotation_the_new_file_of_that_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"old\n")
    with closing(FileSource(path)) as source:
        assert read_all(source) == [b"old"]
        path.rename(tmp_path / "service.log.1")
        assert read_all(source) == []  # there is none of that name
        path.write_bytes(b"new\n")
        assert read_all(source) == [b"new"]


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"a long first line\n")
    with closing(FileSource(path)) as source:
        assert read_all(source) == [b"a long first line"]
        path.write_bytes(b"short\n")
        assert read_all(source) == [b"short"]


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_a_path_that_is_not_a_file_is_a_config_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file|Is a directory"):
        FileSource(tmp_path / name)


def test_a_stream_returns_its_history_and_new_lines(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    with closing(RedisLog(valkey_url)) as log, closing(LogStreamSource(valkey_url, 10)) as source:
        log.append([f"{number}" for number in range(1500)])
        assert len(read_all(source)) == 1500
        log.append(["later"])
        assert read_all(source) == [b"later"]
        redis_client.delete(LOG_KEY)
        assert read_all(source) == []


def test_during_an_outage_of_redis_the_source_has_no_lines_and_reports_why() -> None:
    with closing(LogStreamSource(f"redis://127.0.0.1:{free_port()}", 10)) as source:
        assert source.read() == ()
        assert "refused" in source.trouble
        assert not source.has_all

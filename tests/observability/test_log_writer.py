"""Whoever logs never waits for the reader of the log, and what is dropped is counted."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from structlog.testing import capture_logs

from conductor_actors.observability.log_writer import DROPS_REPORT_INTERVAL_S, QueuedOutput
from tests.support.fakes.fake_clock import FakeClock
from tests.support.waiting import wait_until

LINE = "x" * 99


class Pipe:
    """A pipe that nobody reads until `read_all`."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.stream: TextIO = os.fdopen(writing, "w", encoding="utf-8")

    def fill(self) -> None:
        os.set_blocking(self.stream.fileno(), False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.stream.fileno(), b"\n" * 4096)
        os.set_blocking(self.stream.fileno(), True)

    def read_all(self) -> list[str]:
        """Read up to the end of the output that has the pipe."""
        self.stream.close()
        with os.fdopen(self._reading, encoding="utf-8") as reading:
            return [line for line in reading.read().splitlines() if line]


@contextmanager
def reading(pipe: Pipe) -> Iterator[list[str]]:
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_all()))
    reader.start()
    yield lines
    reader.join()


def test_lines_arrive_in_order_and_those_that_wait_at_the_end_too() -> None:
    pipe = Pipe()
    output = QueuedOutput(pipe.stream)
    with reading(pipe) as lines:
        for number in range(5000):
            output.write_line(f"{number} ü")
        output.close()
    assert lines == [f"{number} ü" for number in range(5000)]


def test_a_full_pipe_blocks_nobody_and_drops_are_reported_at_once_and_every_30_s() -> None:
    pipe, clock = Pipe(), FakeClock()
    pipe.fill()
    output = QueuedOutput(pipe.stream, limit_bytes=1000, clock=clock)
    with capture_logs() as lines:
        for _ in range(3000):
            output.write_line(LINE)
        clock.advance(DROPS_REPORT_INTERVAL_S)
        output.write_line(LINE)
        [first, _] = lines
        with reading(pipe) as arrived:
            wait_until(lambda: len(lines) == 2 and not output._queue)
            output.close()
    assert (first["event"], first["lines"], first["output"]) == ("log_lines_dropped", 1, "stdout")
    assert sum(line["lines"] for line in lines) + len(arrived) == 3001
    assert set(arrived) == {LINE}


def test_what_was_dropped_is_reported_when_lines_are_written_again() -> None:
    pipe = Pipe()
    pipe.fill()
    output = QueuedOutput(pipe.stream, limit_bytes=1000, clock=FakeClock())
    with capture_logs() as lines:
        for _ in range(100):
            output.write_line(LINE)
        with reading(pipe) as arrived:
            wait_until(lambda: len(lines) == 2)
            output.close()
    assert sum(line["lines"] for line in lines) + len(arrived) == 100


def test_an_end_does_not_wait_for_a_reader() -> None:
    pipe = Pipe()
    pipe.fill()
    output = QueuedOutput(pipe.stream)
    output.write_line(LINE)
    output.close()
    assert output._thread.is_alive()
    pipe.read_all()


def test_a_reader_that_goes_away_stops_nobody() -> None:
    pipe = Pipe()
    output = QueuedOutput(pipe.stream)
    os.close(pipe._reading)
    for _ in range(3):
        output.write_line(LINE)
    output.close()
    assert not output._thread.is_alive()
    pipe.stream.close()

"""The program as a subprocess: its log lines as they arrive, and waits with a deadline."""

import csv
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from conductor_actors.domain.rows import COLUMNS
from tests.support.processes import Process, start

# A tick a second and short windows, so that seconds show what takes minutes.
QUICK: Final = {
    "CONDUCTOR_TICK_S": "1",
    "CONDUCTOR_WINDOW_S": "10",
    "CONDUCTOR_SESSION_TIMEOUT_S": "60",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": "60",
    "CONDUCTOR_START": "earliest",
}
COMMAND_WITHIN_S: Final = 600.0  # a replay of a fault's full length; tests have their own timeout

Line = dict[str, Any]
Row = tuple[str, ...]  # the columns of a replay's CSV, as text: equal text is equal bits


class Completed(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def run_to_end(*arguments: str, cwd: Path, stdin: str | None = None, **variables: str) -> Completed:
    """Run a command to its end."""
    with running(*arguments, cwd=cwd, stdin=stdin, **variables) as program:
        return program.finish(COMMAND_WITHIN_S)


def assert_refused(ended: Completed, *parts: str) -> None:
    """Check that it ended with 2 and one line that has these parts."""
    assert ended.exit_code == 2, ended
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("conductor_actors: ")
    for part in parts:
        assert part in ended.stderr


def replay_rows(source: str, cwd: Path, **variables: str) -> list[Row]:
    """Return the rows of a replay of a source."""
    ended = run_to_end("replay", source, "--csv", "-", cwd=cwd, **variables)
    assert ended.exit_code == 0, ended.stderr
    header, *records = csv.reader(ended.stdout.splitlines())
    assert tuple(header) == COLUMNS
    return sorted(map(tuple, records))


def select_rows(url: str, *, only_unmarked: bool = False) -> list[Row]:
    """Return the rows of a database, or those that are not marked with a gap."""
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    query = sql.SQL("SELECT {} FROM engagement_metrics").format(columns)
    if only_unmarked:
        query += sql.SQL(" WHERE metadata->'gap' IS NULL")
    with psycopg.connect(url) as connection:
        records = connection.execute(query).fetchall()
    return sorted((_iso(at), *map(str, values)) for at, *values in records)


def assert_same_rows(one: list[Row], other: list[Row]) -> list[Row]:
    """Check that two histories are equal up to the earlier end; return the rows until then."""
    last = min(one[-1][0], other[-1][0])
    assert rows_until(last, one) == rows_until(last, other)
    return rows_until(last, one)


def rows_until(last: str, rows: Iterable[Row]) -> list[Row]:
    """Return the rows up to a tick."""
    return [row for row in rows if row[0] <= last]


class Program:
    """A running program. Its `lines` grow; `wait_for` reads each of them once, in order."""

    def __init__(self, process: Process, stdout: int, stderr: int) -> None:
        self._process = process
        self._grew = Condition()
        self._read_count = 0
        self._open_pipes = 2
        self.output: list[str] = []
        self.errors: list[str] = []
        self._readers = [self._reader(stdout, self.output), self._reader(stderr, self.errors)]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[Line]:
        with self._grew:
            return [json.loads(text) for text in self.output if text.startswith("{")]

    def all(self, event: str, **keys: object) -> list[Line]:
        """Return the lines of this event that were written so far."""
        return [line for line in self.lines if _is(line, event, keys)]

    def wait_for(self, event: str, deadline_s: float = 15.0, **keys: object) -> Line:
        """Wait for the next line of this event with these keys; lines before it are skipped."""
        found: list[Line] = []

        def look() -> bool:
            while self._read_count < len(self.output) and not found:
                text = self.output[self._read_count]
                self._read_count += 1
                if text.startswith("{") and _is(line := json.loads(text), event, keys):
                    found.append(line)
            return bool(found) or self.has_ended

        self._wait(look, deadline_s, f"{event} {keys}")
        assert found, f"ended without {event} {keys}: {self._last_lines()}"
        return found[0]

    def wait_for_text(self, count: int, deadline_s: float = 15.0) -> list[str]:
        """Wait for a number of lines of any kind."""
        self._wait(lambda: len(self.output) >= count, deadline_s, f"{count} lines")
        return self.output[:]

    @property
    def has_ended(self) -> bool:
        return not self._open_pipes

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Interrupt the whole group, as a terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def finish(self, deadline_s: float = 20.0) -> Completed:
        """Wait for the end of the program."""
        exit_code = self._process.wait(deadline_s)
        for reader in self._readers:
            reader.join(deadline_s)
        return Completed(exit_code, "".join(self.output), "".join(self.errors))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self.finish()

    def _wait(self, is_there: Callable[[], bool], deadline_s: float, what: str) -> None:
        until_s = monotonic() + deadline_s
        with self._grew:
            while not is_there():
                left_s = until_s - monotonic()
                assert left_s > 0, f"not within {deadline_s} s: {what}: {self._last_lines()}"
                self._grew.wait(left_s)

    def _reader(self, pipe: int, into: list[str]) -> Thread:
        def read() -> None:
            with os.fdopen(pipe, encoding="utf-8") as lines:
                for text in lines:
                    with self._grew:
                        into.append(text)
                        self._grew.notify_all()
            with self._grew:
                self._open_pipes -= 1
                self._grew.notify_all()

        reader = Thread(target=read, daemon=True)
        reader.start()
        return reader

    def _last_lines(self) -> str:
        return "".join(["\n", *self.output[-40:], *self.errors[-40:]])


@contextmanager
def running(
    *arguments: str, cwd: Path, stdin: str | None = None, **variables: str
) -> Iterator[Program]:
    """Run the program until the block ends."""
    (stdout, out), (stderr, error), given = os.pipe(), os.pipe(), _input(stdin)
    try:
        process = start(arguments, cwd, variables, (given, out, error))
    finally:
        for each in (given, out, error):
            os.close(each)
    program = Program(process, stdout, stderr)
    try:
        yield program
    finally:
        program.kill()


def _input(text: str | None) -> int:
    """Return a descriptor to read from: the null device, or a pipe with this text."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY)
    ours, theirs = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(theirs, "w", encoding="utf-8") as pipe:
            pipe.write(text)

    Thread(target=write, daemon=True).start()
    return ours


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _is(line: Line, event: str, keys: Mapping[str, object]) -> bool:
    return line["event"] == event and all(line.get(key) == keys[key] for key in keys)

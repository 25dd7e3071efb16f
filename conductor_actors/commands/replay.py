"""`replay`: score the recorded events of a file or of Redis into CSV or the database."""

import gc
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import chain
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.recordings.csv_rows import CsvRows
from conductor_actors.adapters.recordings.event_file import read_event_file
from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.server_urls import without_password
from conductor_actors.app.collector import GC_THRESHOLDS
from conductor_actors.commands.terminal import STDERR, print_stderr, printable
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.replayer import Replayer, Rules, Summary
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import from_iso, to_iso, to_ms
from conductor_actors.ports import WriteResult
from conductor_actors.settings import Settings

FILE_CHUNK_ENTRIES: Final = 10_000  # after which the progress bar is updated
MAX_WRITES_IN_FLIGHT: Final = 2  # one is written while the next one is scored

_ENTRY_ID: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")
_EXAMPLE: Final = '{"id": "1767528000003-0", "name": "sync-events", "data": {…}}'


class Recording(NamedTuple):
    """Entries in order, and how complete they are.

    They begin at `first_ms`, as asked for (None: with the first there is). From `complete_from_ms`
    on none was trimmed away, and all before `until_ms` are there: those of `tenants`, if known.
    """

    chunks: Iterable[Sequence[Entry]]
    total: int | None
    first_ms: int | None
    complete_from_ms: int
    until_ms: int
    tenants: Sequence[str] | None = None


@contextmanager
def open_recording(source: str, settings: Settings, first: str, last: str) -> Iterator[Recording]:
    """Open a file or the streams of a Redis; print on stderr what is wrong with the recording."""
    first, last = _entry_id(first, "-"), _entry_id(last, "+")
    if "://" not in source:
        yield _file_recording(source, first, last)
        return
    with closing(StreamRange(source, settings.tenants, first, last)) as stream_range:
        try:
            yield _stream_recording(stream_range, settings.tenants, first, last)
        finally:
            for name in sorted(stream_range.trimmed):
                print_stderr(f"{name} was trimmed while it was read: entries may be missing")


def run(
    recording: Recording, settings: Settings, write: Callable[[Sequence[ScoreRow]], None]
) -> Summary:
    """Score the entries; show the progress and print the result on stderr."""
    gc.set_threshold(*GC_THRESHOLDS)
    rules = Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())
    entries = chain.from_iterable(_with_progress(recording))
    summary = Replayer(rules, write).run(entries)
    _print_summary(summary)
    return summary


def to_csv(recording: Recording, settings: Settings, file_name: str) -> None:
    """Score the entries into a CSV file; `-` is stdout, whose reader may close it early."""
    to_stdout = file_name == "-"
    target = sys.stdout.fileno() if to_stdout else file_name
    try:
        with open(target, "w", encoding="utf-8", newline="", closefd=not to_stdout) as file:
            run(recording, settings, CsvRows(file).write)
    except BrokenPipeError:
        return
    except OSError as error:
        raise ConfigError(f"--csv {without_password(file_name)}: {error.strerror}") from None


def to_database(recording: Recording, settings: Settings, url: str) -> None:
    """Score the entries into the database; rows that it has already stay as they are."""
    migrations.migrate(url)
    with closing(PostgresRowStore(url)) as store, ThreadPoolExecutor(1) as thread:
        writer = _BatchWriter(store, thread, settings.batch_rows)
        run(recording, settings, writer.add)
        writer.finish()


class _BatchWriter:
    """Writes rows in batches on a thread: one is written while the next one is scored."""

    def __init__(
        self, store: PostgresRowStore, thread: ThreadPoolExecutor, batch_rows: int
    ) -> None:
        self._store = store
        self._thread = thread
        self._batch_rows = batch_rows
        self._buffer: list[ScoreRow] = []
        self._in_flight: deque[Future[WriteResult]] = deque()

    def add(self, rows: Sequence[ScoreRow]) -> None:
        self._buffer.extend(rows)
        while len(self._buffer) >= self._batch_rows:
            self._submit()

    def finish(self) -> None:
        while self._buffer:
            self._submit()
        while self._in_flight:
            self._await_oldest()

    def _submit(self) -> None:
        if len(self._in_flight) == MAX_WRITES_IN_FLIGHT:
            self._await_oldest()
        batch = self._buffer[: self._batch_rows]
        del self._buffer[: self._batch_rows]
        self._in_flight.append(self._thread.submit(self._store.write, batch))

    def _await_oldest(self) -> None:
        for row, reason in self._in_flight.popleft().result().refused:
            print_stderr(f"refused: {printable(str(row.key))}: {reason}")


def _file_recording(name: str, first: str, last: str) -> Recording:
    """Read a file, which counts as complete until its last entry or the given end."""
    file = read_event_file(Path(name))
    if file.invalid_lines:
        print_stderr(
            f"{name}: {len(file.invalid_lines)} lines are no recorded event, "
            f"the first is line {file.invalid_lines[0]}"
        )
        if not file.entries:
            raise ConfigError(f"{name}: no line is a recorded event, e.g. {_EXAMPLE}")
    lowest, highest = _position(first, 0), _position(last, inf)
    entries = [entry for entry in file.entries if lowest <= entry[:2] <= highest]
    starts = range(0, len(entries), FILE_CHUNK_ENTRIES)
    chunks = (entries[start : start + FILE_CHUNK_ENTRIES] for start in starts)
    until_ms = _end_ms(last) or (entries[-1][0] if entries else 0)
    return Recording(chunks, len(entries), _first_ms(first), 0, until_ms)


def _stream_recording(
    stream_range: StreamRange, tenants: Sequence[str], first: str, last: str
) -> Recording:
    if stream_range.begins_ms is None:
        print_stderr("can't check for trimmed entries: grant +xinfo|stream to the Redis user")
    until_ms = min(stream_range.now_ms, _end_ms(last) or stream_range.now_ms)
    known = None if EVERY_TENANT in tenants else [DEFAULT_TENANT, *tenants]
    begins_ms = stream_range.begins_ms or 0
    if begins_ms:
        print_stderr(f"the streams were trimmed: entries before {to_iso(begins_ms)} are missing")
    return Recording(stream_range.chunks(), None, _first_ms(first), begins_ms, until_ms, known)


def _entry_id(text: str, open_end: str) -> str:
    """Return the entry id that a text names, as an id or as a time in ISO 8601."""
    if text == open_end or _ENTRY_ID.fullmatch(text):
        return text
    try:
        return str(to_ms(from_iso(text)))
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a stream entry id nor a time, e.g. 2026-01-04T12:00:00Z"
        ) from None


def _position(entry_id: str, sequence: float) -> tuple[float, float]:
    """Return the position of an end of a range: like XRANGE, an id without a sequence is all."""
    if entry_id in ("-", "+"):
        return (-inf if entry_id == "-" else inf), sequence
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number) if number else sequence


def _first_ms(first: str) -> int | None:
    return None if first == "-" else int(first.partition("-")[0])


def _end_ms(last: str) -> int | None:
    """Return the millisecond before which the given end omits nothing; None for an open end."""
    if last == "+":
        return None
    ms, _, sequence = last.partition("-")
    return int(ms) + (not sequence)


def _with_progress(recording: Recording) -> Iterator[Sequence[Entry]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=STDERR) as progress:
        task = progress.add_task("", total=recording.total)
        for chunk in recording.chunks:
            yield chunk
            progress.advance(task, len(chunk))


def _print_summary(summary: Summary) -> None:
    invalid = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.invalid.items()))
    print_stderr(
        f"{summary.events} events, {summary.skipped} skipped, {summary.invalid.total()} invalid"
        f"{f' ({invalid})' if invalid else ''}: {summary.rows} rows"
    )
    for (tenant, reason), events in sorted(summary.refused.items()):
        print_stderr(f"{events} events of tenant {tenant} were refused: {reason}")
    if summary.failed:
        print_stderr(
            f"{summary.failed} events or rows were left out: their handler raised, which is a bug"
        )

"""`replay`: recorded events from a file or from Redis, rows to CSV or to the database."""

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

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.score_store import PostgresScoreStore
from conductor_actors.adapters.recordings.csv_rows import CsvRows
from conductor_actors.adapters.recordings.event_file import read_file
from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.adapters.server_urls import without_password
from conductor_actors.app.collector import GC_THRESHOLDS
from conductor_actors.commands.terminal import printable
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.replayer import Replayer, Rules, Summary
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import from_iso, to_iso, to_ms
from conductor_actors.ports import Written
from conductor_actors.settings import Settings

_stderr = Console(stderr=True)

CHUNK: Final = 10_000  # entries of a file, between two looks at the progress bar
BATCHES_AT_ONCE: Final = 2  # one is written while the next one is scored

_ENTRY_ID: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")
_EXAMPLE: Final = '{"id": "1767528000003-0", "name": "sync-events", "data": {…}}'


class Recorded(NamedTuple):
    """Entries in order, and what is known of their completeness.

    From `first_ms` on they were asked for (None: from the beginning), since `begins_ms` none was
    trimmed away, and all that come before `until_ms` are there; all of these `tenants`, if known.
    """

    chunks: Iterable[Sequence[Entry]]
    total: int | None
    first_ms: int | None
    begins_ms: int
    until_ms: int
    tenants: Sequence[str] | None = None


@contextmanager
def opened(source: str, settings: Settings, first: str, last: str) -> Iterator[Recorded]:
    """Open a recording, saying on stderr what is wrong with it."""
    first, last = _entry_id(first, "-"), _entry_id(last, "+")
    if "://" not in source:
        yield _file(source, first, last)
        return
    with closing(StreamRange(source, settings.tenants, first, last)) as stream_range:
        try:
            yield _streams(stream_range, settings.tenants, first, last)
        finally:
            for name in sorted(stream_range.cut):
                say(f"{name} was trimmed while it was read: entries may be missing")


def run(
    recorded: Recorded, settings: Settings, write: Callable[[Sequence[ScoreRow]], None]
) -> Summary:
    """Score the entries, showing on stderr how far it is and what it came to."""
    gc.set_threshold(*GC_THRESHOLDS)
    rules = Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())
    entries = chain.from_iterable(_with_progress(recorded))
    summary = Replayer(rules, write).run(entries)
    _report(summary)
    return summary


def to_csv(recorded: Recorded, settings: Settings, file_name: str) -> None:
    """Score the entries into a CSV file; `-` is stdout, and whoever reads it may leave."""
    to_stdout = file_name == "-"
    target = sys.stdout.fileno() if to_stdout else file_name
    try:
        with open(target, "w", encoding="utf-8", newline="", closefd=not to_stdout) as file:
            run(recorded, settings, CsvRows(file).write)
    except BrokenPipeError:
        return
    except OSError as error:
        raise ConfigError(f"--csv {without_password(file_name)}: {error.strerror}") from None


def to_database(recorded: Recorded, settings: Settings, url: str) -> None:
    """Score the entries into the database; rows that are there already stay as they are."""
    migrations.migrate(url)
    with closing(PostgresScoreStore(url)) as store, ThreadPoolExecutor(1) as thread:
        writer = _Writer(store, thread, settings.batch_rows)
        run(recorded, settings, writer.add)
        writer.finish()


def say(text: str) -> None:
    """Print a line for the operator on stderr."""
    _stderr.out(text, highlight=False)


class _Writer:
    """Write in batches on a thread: while the database has one, the next one is scored."""

    def __init__(
        self, store: PostgresScoreStore, thread: ThreadPoolExecutor, batch_rows: int
    ) -> None:
        self._store = store
        self._thread = thread
        self._batch_rows = batch_rows
        self._waiting: list[ScoreRow] = []
        self._under_way: deque[Future[Written]] = deque()

    def add(self, rows: Sequence[ScoreRow]) -> None:
        self._waiting.extend(rows)
        while len(self._waiting) >= self._batch_rows:
            self._write()

    def finish(self) -> None:
        while self._waiting:
            self._write()
        while self._under_way:
            self._settle()

    def _write(self) -> None:
        if len(self._under_way) == BATCHES_AT_ONCE:
            self._settle()
        batch = self._waiting[: self._batch_rows]
        del self._waiting[: self._batch_rows]
        self._under_way.append(self._thread.submit(self._store.write, batch))

    def _settle(self) -> None:
        for row, reason in self._under_way.popleft().result().refused:
            say(f"refused: {printable(str(row.key))}: {reason}")


def _file(name: str, first: str, last: str) -> Recorded:
    """Read a file, which counts as complete until its last entry or the given end."""
    recording = read_file(Path(name))
    if recording.unreadable:
        say(
            f"{name}: {len(recording.unreadable)} lines are no recorded event, "
            f"the first is line {recording.unreadable[0]}"
        )
        if not recording.entries:
            raise ConfigError(f"{name}: no line is a recorded event, e.g. {_EXAMPLE}")
    lowest, highest = _position(first, 0), _position(last, inf)
    found = [entry for entry in recording.entries if lowest <= entry[:2] <= highest]
    chunks = (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))
    until_ms = _end_ms(last) or (found[-1][0] if found else 0)
    return Recorded(chunks, len(found), _first_ms(first), 0, until_ms)


def _streams(stream_range: StreamRange, tenants: Sequence[str], first: str, last: str) -> Recorded:
    if stream_range.begins_ms is None:
        say("whether entries were trimmed can't be told: grant +xinfo|stream to the Redis user")
    until_ms = min(stream_range.now_ms, _end_ms(last) or stream_range.now_ms)
    known = None if EVERY_TENANT in tenants else [DEFAULT_TENANT, *tenants]
    begins_ms = stream_range.begins_ms or 0
    if begins_ms:
        say(f"the streams were trimmed: entries before {to_iso(begins_ms)} are missing")
    return Recorded(stream_range.chunks(), None, _first_ms(first), begins_ms, until_ms, known)


def _entry_id(text: str, open_end: str) -> str:
    """Read an entry id, or a time in ISO 8601, which is UTC unless it says otherwise."""
    if text == open_end or _ENTRY_ID.fullmatch(text):
        return text
    try:
        return str(to_ms(from_iso(text)))
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a stream entry id nor a time, e.g. 2026-01-04T12:00:00Z"
        ) from None


def _position(entry_id: str, sequence: float) -> tuple[float, float]:
    """Cut as XRANGE does: both ends belong to it, an id without a sequence means all of them."""
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


def _with_progress(recorded: Recorded) -> Iterator[Sequence[Entry]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr) as progress:
        task = progress.add_task("", total=recorded.total)
        for chunk in recorded.chunks:
            yield chunk
            progress.advance(task, len(chunk))


def _report(summary: Summary) -> None:
    invalid = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.invalid.items()))
    say(
        f"{summary.events} events, {summary.skipped} skipped, {summary.invalid.total()} invalid"
        f"{f' ({invalid})' if invalid else ''}: {summary.rows} rows"
    )
    for (tenant, reason), events in sorted(summary.refused.items()):
        say(f"{events} events of {tenant!r} were refused: {reason}")
    if summary.failed:
        say(f"{summary.failed} events or rows were left out: their handler raised, a bug")

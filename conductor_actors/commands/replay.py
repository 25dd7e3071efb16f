"""The `replay` command: score a recording again and write the rows to files or the database."""

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import chain
from typing import Final, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.recordings.anomaly_lines import AnomalyLines
from conductor_actors.adapters.recordings.csv_rows import CsvRows
from conductor_actors.app.collector import GC_THRESHOLDS
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.output_files import OutputFile, OutputFiles
from conductor_actors.commands.recording import Recording, open_recording
from conductor_actors.commands.terminal import STDERR, print_stderr, printable
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.replayer import Replayer, Rules, Summary
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.ports import WriteResult
from conductor_actors.settings import Settings

MAX_BATCHES_IN_FLIGHT: Final = 2  # one is being written, the other is ready


class Outputs(NamedTuple):
    """The files to write rows and anomalies to, if any; `-` is stdout."""

    csv: str | None = None
    anomalies: str | None = None


def replay_recording(source: str, first: str, last: str, outputs: Outputs) -> None:
    """Score the recorded events into files, if any is named, else into the database."""
    if outputs == ("-", "-"):
        raise ConfigError("--csv - and --anomalies -: only one can be stdout")
    settings = configure(sys.stderr)
    with open_recording(source, settings, first, last) as recording:
        if any(outputs):
            replay_to_files(recording, settings, outputs)
            return
        with open_servers(settings, redis=False) as urls:
            replay_to_database(recording, settings, urls.database)


def score_recording(
    recording: Recording, settings: Settings, write: Callable[[Sequence[ScoreRow]], None]
) -> Summary:
    """Score the entries and write the rows of each tick; show progress and a summary on stderr."""
    gc.set_threshold(*GC_THRESHOLDS)
    rules = Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())
    entries = chain.from_iterable(_chunks_with_progress(recording))
    summary = Replayer(rules, write).run(entries)
    _print_summary(summary)
    return summary


def replay_to_files(recording: Recording, settings: Settings, outputs: Outputs) -> None:
    """Write rows as CSV and anomalies as JSON lines, each if a file is named.

    It is no error if the reader of stdout closes it early.
    """
    writers = ("--csv", outputs.csv, CsvRows), ("--anomalies", outputs.anomalies, AnomalyLines)
    with ExitStack() as closed_at_end, suppress(BrokenPipeError):
        files = []
        for option, name, make_writer in writers:
            if name is not None:
                files.append(OutputFile(option, name, make_writer))
                closed_at_end.callback(files[-1].close)
        score_recording(recording, settings, OutputFiles(files).write)


def replay_to_database(recording: Recording, settings: Settings, url: str) -> None:
    """Write the rows to the database; rows that it already has stay as they are."""
    migrations.migrate(url)
    with closing(PostgresRowStore(url)) as store, ThreadPoolExecutor(1) as thread:
        writer = _BatchWriter(store, thread, settings.batch_rows)
        score_recording(recording, settings, writer.add)
        writer.finish()


class _BatchWriter:
    """Writes rows in batches on a thread, so that the next batch is scored meanwhile."""

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
        if len(self._in_flight) == MAX_BATCHES_IN_FLIGHT:
            self._await_oldest()
        batch = self._buffer[: self._batch_rows]
        del self._buffer[: self._batch_rows]
        self._in_flight.append(self._thread.submit(self._store.write, batch))

    def _await_oldest(self) -> None:
        for row, reason in self._in_flight.popleft().result().refused:
            print_stderr(f"refused: {printable(str(row.key))}: {reason}")


def _chunks_with_progress(recording: Recording) -> Iterator[Sequence[Entry]]:
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
        print_stderr(f"tenant {tenant}: {events} events refused: {reason}")
    if summary.failed:
        print_stderr(
            f"{summary.failed} events or rows skipped: an exception was raised, which is a bug"
        )

"""`replay`: recorded events from a file or from Redis, rows to CSV or to the database."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conductor_actors.adapters import migrations
from conductor_actors.adapters.recordings import read_file, read_streams
from conductor_actors.adapters.rows_csv import CsvRows
from conductor_actors.adapters.timescale import TimescaleStore
from conductor_actors.domain.batching import Batch
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.replay import Replay, Rules, Summary
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings

_stderr = Console(stderr=True)


def entries(source: str, settings: Settings, first: str, last: str) -> Iterable[Entry]:
    """Give the entries of a recording, in order, showing on stderr how far it is read."""
    if "://" in source:
        found: Iterable[Entry] = read_streams(
            source, settings.tenants, _entry_id(first, "-"), _entry_id(last, "+")
        )
    else:
        recording = read_file(Path(source))
        if recording.unreadable:
            _stderr.print(
                f"{source}: {len(recording.unreadable)} lines are no recorded event, "
                f"the first is line {recording.unreadable[0]}",
                highlight=False,
            )
        found = recording.entries
    return _with_progress(found)


def to_csv(found: Iterable[Entry], settings: Settings, file_name: str) -> None:
    """Score the entries into a CSV file; `-` is stdout."""
    with ExitStack() as stack:
        try:
            file: TextIO = sys.stdout
            if file_name != "-":
                file = stack.enter_context(Path(file_name).open("w", encoding="utf-8", newline=""))
        except OSError as error:
            raise ConfigError(f"--csv {file_name}: {error.strerror}") from None
        _report(Replay(_rules(settings), CsvRows(file).write).run(found))


def to_database(found: Iterable[Entry], settings: Settings, url: str) -> None:
    """Score the entries into the database; rows that are there already stay as they are."""
    migrations.migrate(url)
    store = TimescaleStore(url)
    batch: Batch[ScoreRow] = Batch(settings.batch_rows, max_age_s=0)

    def write_full(rows: Sequence[ScoreRow]) -> None:
        for row in rows:
            batch.add(row, 0)
        while len(batch) >= settings.batch_rows:
            _write_next(batch, store)

    summary = Replay(_rules(settings), write_full).run(found)
    while len(batch):
        _write_next(batch, store)
    store.close()
    _report(summary)


def _write_next(batch: Batch[ScoreRow], store: TimescaleStore) -> None:
    rows = batch.next()
    for row, reason in store.write(rows).refused:
        _stderr.print(f"refused: {row.tenant_id}/{row.session_id}: {reason}", highlight=False)
    batch.done(len(rows))


def _rules(settings: Settings) -> Rules:
    return Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())


def _entry_id(text: str, open_end: str) -> str:
    """Read an entry id, or a time in ISO 8601."""
    if text == open_end or text.replace("-", "", 1).isdigit():
        return text
    try:
        return str(int(datetime.fromisoformat(text).timestamp() * 1000))
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a stream entry id nor a time, e.g. 2026-01-04T12:00:00Z"
        ) from None


def _with_progress(found: Iterable[Entry]) -> Iterable[Entry]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr) as progress:
        total = len(found) if isinstance(found, Sequence) else None
        yield from progress.track(found, total=total)


def _report(summary: Summary) -> None:
    invalid = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.invalid.items()))
    _stderr.print(
        f"{summary.events} events, {summary.skipped} skipped, {summary.invalid.total()} invalid"
        f"{f' ({invalid})' if invalid else ''}: {summary.rows} rows",
        highlight=False,
    )

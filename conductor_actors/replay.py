"""`replay`: recorded events from a file or from Redis, rows to CSV or to the database."""

import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final

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

_ENTRY_ID: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")
_EXAMPLE: Final = '{"id": "1767528000003-0", "name": "sync-events", "data": {…}}'


def entries(source: str, settings: Settings, first: str, last: str) -> Iterable[Entry]:
    """Give the entries of a recording, in order, showing on stderr how far it is read."""
    first, last = _entry_id(first, "-"), _entry_id(last, "+")
    if "://" in source:
        return _with_progress(read_streams(source, settings.tenants, first, last))
    recording = read_file(Path(source))
    if recording.unreadable:
        _say(
            f"{source}: {len(recording.unreadable)} lines are no recorded event, "
            f"the first is line {recording.unreadable[0]}"
        )
        if not recording.entries:
            raise ConfigError(f"{source}: no line is a recorded event, e.g. {_EXAMPLE}")
    return _with_progress(_between(recording.entries, first, last))


def to_csv(found: Iterable[Entry], settings: Settings, file_name: str) -> None:
    """Score the entries into a CSV file; `-` is stdout, and whoever reads it may leave."""
    to_stdout = file_name == "-"
    target = sys.stdout.fileno() if to_stdout else file_name
    try:
        with open(target, "w", encoding="utf-8", newline="", closefd=not to_stdout) as file:
            summary = Replay(_rules(settings), CsvRows(file).write).run(found)
    except BrokenPipeError:
        return
    except OSError as error:
        raise ConfigError(f"--csv {file_name}: {error.strerror}") from None
    _report(summary)


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

    with closing(store):
        summary = Replay(_rules(settings), write_full).run(found)
        while len(batch):
            _write_next(batch, store)
    _report(summary)


def _write_next(batch: Batch[ScoreRow], store: TimescaleStore) -> None:
    rows = batch.next()
    for row, reason in store.write(rows).refused:
        _say(f"refused: {row.tenant_id}/{row.session_id!r}: {reason}")
    batch.done(len(rows))


def _rules(settings: Settings) -> Rules:
    return Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())


def _entry_id(text: str, open_end: str) -> str:
    """Read an entry id, or a time in ISO 8601, which is UTC unless it says otherwise."""
    if text == open_end or _ENTRY_ID.fullmatch(text):
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a stream entry id nor a time, e.g. 2026-01-04T12:00:00Z"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return str(round(at.timestamp() * 1000))


def _between(found: Sequence[Entry], first: str, last: str) -> Sequence[Entry]:
    """Cut as XRANGE does: both ends belong to it, an id without a sequence means all of them."""
    lowest, highest = _position(first, 0), _position(last, inf)
    return [entry for entry in found if lowest <= entry[:2] <= highest]


def _position(entry_id: str, sequence: float) -> tuple[float, float]:
    if entry_id in ("-", "+"):
        return (-inf if entry_id == "-" else inf), sequence
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number) if number else sequence


def _with_progress(found: Iterable[Entry]) -> Iterable[Entry]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr) as progress:
        total = len(found) if isinstance(found, Sequence) else None
        yield from progress.track(found, total=total)


def _report(summary: Summary) -> None:
    invalid = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.invalid.items()))
    _say(
        f"{summary.events} events, {summary.skipped} skipped, {summary.invalid.total()} invalid"
        f"{f' ({invalid})' if invalid else ''}: {summary.rows} rows"
    )


def _say(text: str) -> None:
    _stderr.out(text, highlight=False)

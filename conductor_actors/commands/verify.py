"""`replay --against`: compare the rows that a replay computes with the stored ones."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer

from conductor_actors.adapters.postgres import stored_rows
from conductor_actors.adapters.recordings import csv_rows
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.recording import Recording, open_recording
from conductor_actors.commands.replay import score_recording
from conductor_actors.commands.terminal import print_stderr, printable
from conductor_actors.domain.comparison import Comparison, Coverage, Difference, StoredRows
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import COLUMNS
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso
from conductor_actors.settings import Settings

_KEY_COLUMNS: Final = ("time", *SessionKey._fields)  # equal in both rows


def verify_recording(source: str, first: str, last: str, against: str, *, cold_start: bool) -> bool:
    """Compare with the rows of the `database` or of a CSV file; return whether they are equal."""
    settings = configure(sys.stderr)
    with open_recording(source, settings, first, last) as recording:
        if against != "database":
            stored = read_csv_rows(recording, against)
            return _print_comparison(compare(recording, settings, stored, cold_start=cold_start))
        with open_servers(settings, redis=False) as urls:
            stored = read_database_rows(recording, urls.database)
            return _print_comparison(compare(recording, settings, stored, cold_start=cold_start))


def _print_comparison(comparison: Comparison) -> bool:
    for line in result_lines(comparison):
        typer.echo(line)
    return comparison.is_equal


def read_database_rows(recording: Recording, url: str) -> StoredRows:
    """Return a function that reads the rows of a database."""
    until_ms, tenants = recording.until_ms, recording.tenants
    return lambda first_ms: stored_rows.read_rows(url, first_ms, until_ms, tenants)


def read_csv_rows(recording: Recording, name: str) -> StoredRows:
    """Return a function that reads the rows of a CSV file, as `--csv` writes them."""
    return lambda first_ms: csv_rows.read_rows(Path(name), first_ms, recording.until_ms)


def compare(
    recording: Recording, settings: Settings, stored: StoredRows, *, cold_start: bool
) -> Comparison:
    """Score the recording and compare its rows with the stored ones.

    Print on stderr which rows are not compared, and why. Raise `ConfigError` if no row can be.
    """
    coverage = coverage_of(recording, settings, cold_start=cold_start)
    comparison = Comparison(stored, coverage)
    summary = score_recording(recording, settings, comparison.add_tick)
    if summary.last_tick_ms is not None:
        comparison.finish(summary.last_tick_ms)
    for line in _uncovered_lines(comparison, coverage):
        print_stderr(f"not compared: {line}")
    if comparison.uncovered.total() == summary.rows:
        raise ConfigError(
            "no row can be compared: the recording covers no tick; choose an earlier --from, a "
            "later --to, or a longer recording"
        )
    return comparison


def coverage_of(recording: Recording, settings: Settings, *, cold_start: bool) -> Coverage:
    """Return the ticks whose scores depend only on events in the recording.

    A session without a row for the presence timeout begins within the recording; any other may
    depend on earlier events. After a cold start the service had no earlier events either, so one
    window is enough.
    """
    rules, first_ms = settings.session_rules(), recording.first_ms or 0
    if recording.complete_from_ms <= first_ms and (cold_start or not first_ms):
        warm_up_ms = rules.window_s * 1000 if first_ms else 0
        return Coverage(first_ms + warm_up_ms, recording.until_ms)
    from_ms = max(first_ms, recording.complete_from_ms)
    forgotten_after_ms = (rules.presence_timeout_s + settings.intake_rules().tick_s) * 1000
    from_ms += forgotten_after_ms
    return Coverage(from_ms, recording.until_ms, False, forgotten_after_ms)  # noqa: FBT003


def result_lines(comparison: Comparison) -> Iterator[str]:
    """Return the result as lines of text."""
    yield f"compared    {comparison.compared}"
    yield f"missing     {comparison.missing}"
    yield f"different   {comparison.different}"
    yield f"unexpected  {comparison.unexpected}"
    if comparison.first is not None:
        yield from _difference_lines(comparison.first)


def _difference_lines(difference: Difference) -> Iterator[str]:
    at_ms, key = difference.row
    yield f"first difference: session {printable(str(key))}, tick {to_iso(at_ms)}"
    yield f"  {'column':20}{'stored':26}replayed"
    no_row = ["(no row)"] * len(COLUMNS)
    stored, replayed = ([*map(_value_text, row)] if row else no_row for row in difference)
    for name, *values in zip(COLUMNS, stored, replayed, strict=True):
        if name not in _KEY_COLUMNS and values[0] != values[1]:
            yield f"  {name:20}{values[0]:26}{values[1]}"


def _value_text(value: object) -> str:
    """Return a number with all digits, or text that is safe to print."""
    return printable(value) if isinstance(value, str) else repr(value)


def _uncovered_lines(comparison: Comparison, coverage: Coverage) -> Iterator[str]:
    uncovered = comparison.uncovered
    from_time = to_iso(coverage.from_ms)
    if uncovered.before_coverage:
        yield (
            f"{uncovered.before_coverage} rows before {from_time}: they may depend on events "
            "before the recording"
        )
    if uncovered.older_sessions:
        yield (
            f"{uncovered.older_sessions} rows of sessions that were active before {from_time}: "
            "they may have begun before the recording"
        )
    if uncovered.after_coverage:
        yield (
            f"{uncovered.after_coverage} rows after {to_iso(coverage.until_ms)}: they may depend "
            "on events after the recording"
        )
    if comparison.other_sessions:
        yield f"{comparison.other_sessions} stored rows of sessions that are not in the recording"

"""`replay --against`: find out whether the rows that were kept are those the events give."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from conductor_actors.adapters.postgres import stored_rows
from conductor_actors.adapters.recordings import csv_rows
from conductor_actors.commands.replay import Recorded, run, say
from conductor_actors.commands.terminal import printable
from conductor_actors.domain.comparison import Comparison, Difference, Kept, Known
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import COLUMNS
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso
from conductor_actors.settings import Settings

_ROW: Final = ("time", *SessionKey._fields)


def in_database(recorded: Recorded, url: str) -> Kept:
    """Return the reader of a database's rows."""
    until_ms, tenants = recorded.until_ms, recorded.tenants
    return lambda first_ms: stored_rows.read_rows(url, first_ms, until_ms, tenants)


def in_file(recorded: Recorded, name: str) -> Kept:
    """Return the reader of a CSV file's rows, as `--csv` writes them."""
    return lambda first_ms: csv_rows.read_rows(Path(name), first_ms, recorded.until_ms)


def compare(recorded: Recorded, settings: Settings, kept: Kept, *, cold_start: bool) -> Comparison:
    """Score the entries and compare; say on stderr which rows can't be, and why."""
    known = known_of(recorded, settings, cold_start=cold_start)
    comparison = Comparison(kept, known)
    summary = run(recorded, settings, comparison.take)
    if summary.last_tick_ms is not None:
        comparison.finish(summary.last_tick_ms)
    for line in _not_compared(comparison, known):
        say(f"not compared: {line}")
    if comparison.unknown.total() == summary.rows:
        raise ConfigError(
            "no row can be compared: choose other events, an earlier begin, a later end"
        )
    return comparison


def known_of(recorded: Recorded, settings: Settings, *, cold_start: bool) -> Known:
    """Judge from when on the entries tell all about a row.

    After the session timeout, whatever is new has begun anew; what lives on since before may have
    a past that the entries do not show. After a cold start the service knew no more than they do.
    """
    rules, first_ms = settings.session_rules(), recorded.first_ms or 0
    if recorded.begins_ms <= first_ms and (cold_start or not first_ms):
        warm_up_ms = rules.window_s * 1000 if first_ms else 0
        return Known(first_ms + warm_up_ms, recorded.until_ms)
    from_ms = max(first_ms, recorded.begins_ms)
    from_ms += (rules.timeout_s + settings.intake_rules().tick_s) * 1000
    return Known(from_ms, recorded.until_ms, with_sessions_before=False)


def report(comparison: Comparison) -> Iterator[str]:
    """Return the result, line by line."""
    yield f"compared    {comparison.compared}"
    yield f"missing     {comparison.missing}"
    yield f"different   {comparison.different}"
    yield f"unexpected  {comparison.unexpected}"
    if comparison.first is not None:
        yield from _described(comparison.first)


def _described(difference: Difference) -> Iterator[str]:
    at_ms, key = difference.row
    yield f"first difference: session {printable(str(key))}, tick {to_iso(at_ms)}"
    yield f"  {'column':20}{'stored':26}replayed"
    nothing = ["(no row)"] * len(COLUMNS)
    stored, replayed = ([*map(_shown, row)] if row else nothing for row in difference)
    for name, *values in zip(COLUMNS, stored, replayed, strict=True):
        if name not in _ROW and values[0] != values[1]:
            yield f"  {name:20}{values[0]:26}{values[1]}"


def _shown(value: object) -> str:
    """Return all digits of a number, and text made safe."""
    return printable(value) if isinstance(value, str) else repr(value)


def _not_compared(comparison: Comparison, known: Known) -> Iterator[str]:
    unknown = comparison.unknown
    if unknown.too_early:
        yield f"{unknown.too_early} rows before {to_iso(known.from_ms)}, while it warms up"
    if unknown.older_sessions:
        yield (
            f"{unknown.older_sessions} rows of sessions that lived before {to_iso(known.from_ms)}, "
            "so that they may have begun before the first entry"
        )
    if unknown.too_late:
        yield (
            f"{unknown.too_late} rows after {to_iso(known.until_ms)}: "
            "events may come before them that were not read"
        )
    if comparison.elsewhere:
        yield f"{comparison.elsewhere} stored rows of sessions that none of the events is of"

"""`replay --against`: compare the rows and anomalies of a replay with the stored ones."""

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import typer

from conductor_actors.adapters.postgres import stored_rows
from conductor_actors.adapters.recordings import csv_rows
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.recording import Recording, open_recording
from conductor_actors.commands.replay import score_recording
from conductor_actors.commands.terminal import print_stderr, printable
from conductor_actors.domain.comparisons.anomaly_comparison import (
    AnomalyColumns,
    AnomalyComparison,
    StoredAnomalies,
)
from conductor_actors.domain.comparisons.intervention_comparison import (
    InterventionColumns,
    InterventionComparison,
    StoredInterventions,
)
from conductor_actors.domain.comparisons.row_comparison import (
    Comparison,
    Coverage,
    Difference,
    StoredRows,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.rows import COLUMNS
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso
from conductor_actors.settings import Settings

_KEY_COLUMNS: Final = ("time", *SessionKey._fields)  # equal in both rows
_CHANGE_KEY_COLUMNS: Final = ("timestamp", *SessionKey._fields)


class Comparisons(NamedTuple):
    """What is compared. A CSV file has neither anomalies nor interventions."""

    rows: Comparison
    anomalies: AnomalyComparison | None = None
    interventions: InterventionComparison | None = None

    @property
    def are_equal(self) -> bool:
        """Whether both sides have the same."""
        return all(each.is_equal for each in self._used())

    def add_tick(self, rows: Sequence[ScoreRow]) -> None:
        """Compare the replayed rows of one tick."""
        for each in self._used():
            each.add_tick(rows)

    def finish(self, last_tick_ms: int) -> None:
        """Compare what is left, up to the last tick of the replay."""
        for each in self._used():
            each.finish(last_tick_ms)

    def _used(self) -> list[Comparison | AnomalyComparison | InterventionComparison]:
        return [each for each in self if each is not None]


class Stored(NamedTuple):
    """Functions that read what is stored. A CSV file has neither anomalies nor interventions."""

    rows: StoredRows
    anomalies: StoredAnomalies | None = None
    interventions: StoredInterventions | None = None


def verify_recording(source: str, first: str, last: str, against: str, *, cold_start: bool) -> bool:
    """Compare with the rows of the `database` or of a CSV file; return whether they are equal."""
    settings = configure(sys.stderr)
    with open_recording(source, settings, first, last) as recording:
        if against != "database":
            stored = read_csv_rows(recording, against)
            return _print_comparison(compare(recording, settings, stored, cold_start=cold_start))
        with open_servers(settings, redis=False) as urls:
            stored = read_database(recording, urls.database)
            return _print_comparison(compare(recording, settings, stored, cold_start=cold_start))


def _print_comparison(comparisons: Comparisons) -> bool:
    for line in result_lines(comparisons):
        typer.echo(line)
    return comparisons.are_equal


def read_database(recording: Recording, url: str) -> Stored:
    """Return the functions that read a database."""
    until_ms, tenants = recording.until_ms, recording.tenants
    return Stored(
        lambda first_ms: stored_rows.read_rows(url, first_ms, until_ms, tenants),
        lambda first_ms, last_ms: stored_rows.read_anomalies(url, first_ms, last_ms, tenants),
        lambda first_ms, last_ms: stored_rows.read_interventions(url, first_ms, last_ms, tenants),
    )


def read_csv_rows(recording: Recording, name: str) -> Stored:
    """Return a function that reads the rows of a CSV file, as `--csv` writes them."""
    return Stored(lambda first_ms: csv_rows.read_rows(Path(name), first_ms, recording.until_ms))


def compare(
    recording: Recording, settings: Settings, stored: Stored, *, cold_start: bool
) -> Comparisons:
    """Score the recording and compare its rows and anomalies with the stored ones.

    Print on stderr which rows are not compared, and why. Raise `ConfigError` if no row can be.
    """
    coverage = coverage_of(recording, settings, cold_start=cold_start)
    anomalies = None
    if stored.anomalies is not None:
        anomalies = AnomalyComparison(stored.anomalies, coverage)
    interventions = None
    if stored.interventions is not None and coverage.has_older_sessions:
        interventions = InterventionComparison(stored.interventions, coverage)
    comparisons = Comparisons(Comparison(stored.rows, coverage), anomalies, interventions)
    summary = score_recording(recording, settings, comparisons.add_tick)
    if summary.last_tick_ms is not None:
        comparisons.finish(summary.last_tick_ms)
    for line in _uncovered_lines(comparisons.rows, coverage):
        print_stderr(f"not compared: {line}")
    if stored.interventions is not None and interventions is None:
        print_stderr("not compared: interventions, which also depend on earlier commands")
    if interventions is not None and interventions.uncovered:
        print_stderr(
            f"not compared: {interventions.uncovered} interventions that were decided by versions "
            "of the policy that are not in the recording"
        )
    if comparisons.rows.uncovered.total() == summary.rows:
        raise ConfigError(
            "no row can be compared: the recording covers no tick; choose an earlier --from, a "
            "later --to, or a longer recording"
        )
    return comparisons


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


def result_lines(comparisons: Comparisons) -> Iterator[str]:
    """Return the result as lines of text."""
    rows, anomalies, interventions = comparisons
    yield f"compared    {rows.compared}"
    yield f"missing     {rows.missing}"
    yield f"different   {rows.different}"
    yield f"unexpected  {rows.unexpected}"
    if anomalies is not None:
        yield f"anomalies   {_counts(anomalies)}"
    if interventions is not None:
        yield f"interventions {_counts(interventions)}"
    if rows.first is not None:
        yield from _difference_lines(rows.first)
    if anomalies is not None and anomalies.first is not None:
        what = "anomalies", "(no anomaly)", AnomalyColumns._fields
        yield from _change_difference_lines(*what, *anomalies.first)
    if interventions is not None and interventions.first is not None:
        kind = "interventions", "(no intervention)", InterventionColumns._fields
        yield from _change_difference_lines(*kind, *interventions.first)


def _counts(compared: AnomalyComparison | InterventionComparison) -> str:
    return (
        f"{compared.compared} compared, {compared.missing} missing, "
        f"{compared.different} different, {compared.unexpected} unexpected"
    )


def _change_difference_lines(
    what: str,
    absent: str,
    names: Sequence[str],
    stored: AnomalyColumns | InterventionColumns | None,
    replayed: AnomalyColumns | InterventionColumns | None,
) -> Iterator[str]:
    record = stored or replayed
    assert record is not None  # noqa: S101 - one side has it
    key = printable(str(record.key))
    yield f"first difference of {what}: session {key}, tick {to_iso(record.timestamp)}"
    none = [absent] * len(names)
    values = ([*map(_value_text, each)] if each else none for each in (stored, replayed))
    yield from _column_lines(names, _CHANGE_KEY_COLUMNS, *values)


def _difference_lines(difference: Difference) -> Iterator[str]:
    at_ms, key = difference.row
    yield f"first difference: session {printable(str(key))}, tick {to_iso(at_ms)}"
    no_row = ["(no row)"] * len(COLUMNS)
    stored, replayed = ([*map(_value_text, row)] if row else no_row for row in difference)
    yield from _column_lines(COLUMNS, _KEY_COLUMNS, stored, replayed)


def _column_lines(
    columns: Sequence[str], keys: Collection[str], stored: Sequence[str], replayed: Sequence[str]
) -> Iterator[str]:
    yield f"  {'column':20}{'stored':26}replayed"
    for name, *values in zip(columns, stored, replayed, strict=True):
        if name not in keys and values[0] != values[1]:
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

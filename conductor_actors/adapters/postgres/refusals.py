"""Store what a server accepts of a batch, and find the rows that it refuses.

A refused row is lost to the table, while a server that refuses every row is an outage, in which
rows wait until an operator ends it. So a row is refused only on evidence that it is at fault:

1. An error of the classes 22 and 23 (data, constraints) names the row as its cause.
2. Any other error (raised by a trigger, by row-level security, by a limit) does not. If an INSERT
   without rows is refused too, the cause is the table, a grant or the statement.
3. Otherwise halves of the batch are tried, and each row that is refused alone is tried once more:
   the cause of a refusal may have lasted for a moment. (A session whose last row was refused is
   tried once.)
4. Right after a row is refused again, the server must accept another row, which is rolled back: the
   row that it accepted last, or one of the rows that wait. The former gets a time as late as that
   of the refused row, because a server may refuse every row of a new day, as when it can't create
   a chunk. The latter end a batch of refused rows that nothing was accepted before. Both get an
   anomaly if the refused row has one, and an intervention, and are the last if it is.

Without this evidence the error is raised, and every row that is not stored waits.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import psycopg
from msgspec.structs import replace

from conductor_actors.adapters.postgres.connection import StatementRefused, primary_message
from conductor_actors.adapters.postgres.metrics_table import MetricsTable
from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.conductor.interventions import (
    Choice,
    Intervention,
    MeasuredOutcome,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import RefusedRow, WriteResult

MAX_REFUSED_SESSIONS: Final = 10_000  # that are remembered

# Raised by the server for a row, or by the driver for a value that it can't send.
_ROW_ERRORS: Final = (
    StatementRefused,
    psycopg.DataError,
    psycopg.IntegrityError,
    UnicodeEncodeError,
    OverflowError,
)

_ANY_ANOMALY: Final = (
    AnomalyBegan(str(UUID(int=0)), "SUDDEN_DROP", "WARNING", 0.0, 0.0, 0.0, 0, ""),
)
_ANY_INTERVENTION: Final = (
    Intervention(
        str(UUID(int=0)),
        *(0, "", "HOLD", "hold", "HELD", 0.0, "", 0.0),
        choice=Choice(str(UUID(int=0)), "SUDDEN_DROP", 0, {}, 0.0),
        outcome=MeasuredOutcome(0, 0.0, 0.0),
    ),
)


class _Refusal(NamedTuple):
    """A row that was refused alone."""

    row: ScoreRow
    error: Exception

    def has_named_row(self) -> bool:
        """Check whether the error names the row as its cause."""
        return not isinstance(self.error, StatementRefused)


class RefusalFinder:
    """Stores batches by the rule of this module.

    It remembers the row that was accepted last, and the sessions of refused rows: their next rows
    are tried one by one, so that no search is needed to store the others.
    """

    def __init__(self) -> None:
        self._accepted: ScoreRow | None = None
        self._refused_sessions: dict[SessionKey, None] = {}  # oldest first

    def write(
        self, table: MetricsTable, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow]
    ) -> WriteResult:
        """Store the rows; `waiting` are some of the rows to be stored later."""
        suspects, trusted = self._split(rows) if self._refused_sessions else ([], rows)
        stored, refusals = self._add(table, trusted) if trusted else (0, [])
        suspects += [refusal.row for refusal in refusals if not refusal.has_named_row()]
        refused = [refusal for refusal in refusals if refusal.has_named_row()]
        for row in suspects:
            stored_now, refusals = self._confirm(table, row, waiting)
            stored += stored_now
            refused += refusals
            if not refusals:
                self._refused_sessions.pop(row.key, None)
        if any(row.anomalies for row in suspects):
            table.end_anomalies(rows)
        if refused:
            table.forget_sessions([refusal.row for refusal in refused])
            self._remember_sessions(refused)
        return WriteResult(stored, tuple(RefusedRow(row, _reason(error)) for row, error in refused))

    def _split(self, rows: Sequence[ScoreRow]) -> tuple[list[ScoreRow], list[ScoreRow]]:
        """Return the rows of sessions whose last row was refused, and the others."""
        suspects, trusted = list[ScoreRow](), list[ScoreRow]()
        for row in rows:
            (suspects if row.key in self._refused_sessions else trusted).append(row)
        return suspects, trusted

    def _remember_sessions(self, refused: Sequence[_Refusal]) -> None:
        for refusal in refused:
            self._refused_sessions[refusal.row.key] = None
        while len(self._refused_sessions) > MAX_REFUSED_SESSIONS:
            del self._refused_sessions[next(iter(self._refused_sessions))]

    def _add(self, table: MetricsTable, rows: Sequence[ScoreRow]) -> tuple[int, list[_Refusal]]:
        """Store what can be stored, halving the rows to find those that can't."""
        try:
            stored = table.add(rows)
        except _ROW_ERRORS as error:
            if len(rows) == 1:
                return 0, [_Refusal(rows[0], error)]
            if isinstance(error, StatementRefused):
                table.test_privileges(rows)
        else:
            self._accepted = rows[-1]
            return stored, []
        middle = len(rows) // 2
        first_stored, first_refusals = self._add(table, rows[:middle])
        second_stored, second_refusals = self._add(table, rows[middle:])
        return first_stored + second_stored, [*first_refusals, *second_refusals]

    def _confirm(
        self, table: MetricsTable, suspect: ScoreRow, waiting: Sequence[ScoreRow]
    ) -> tuple[int, list[_Refusal]]:
        """Store the row after all, or raise its error unless the server accepts another row."""
        stored, refusals = self._add(table, [suspect])
        for again in refusals:
            if not again.has_named_row():
                self._require_another_accepted(table, again, waiting)
        return stored, refusals

    def _require_another_accepted(
        self, table: MetricsTable, refusal: _Refusal, waiting: Sequence[ScoreRow]
    ) -> None:
        errors: list[Exception] = []
        like_refused = {
            "anomalies": _ANY_ANOMALY if refusal.row.anomalies else (),
            "interventions": _ANY_INTERVENTION if refusal.row.interventions else (),
            "is_last": refusal.row.is_last,
        }
        if self._accepted is not None:
            at_ms = max(self._accepted.at_ms, refusal.row.at_ms) + 1  # not that of a stored row
            if _is_accepted(table, replace(self._accepted, at_ms=at_ms, **like_refused), errors):
                return
        for row in waiting:
            if _is_accepted(table, replace(row, **like_refused), errors):
                self._accepted = row
                return
        raise (*errors, refusal.error)[0]


def _is_accepted(table: MetricsTable, row: ScoreRow, errors: list[Exception]) -> bool:
    """Test a row; add an error that does not name the row as its cause to `errors`."""
    try:
        table.test([row])
    except StatementRefused as error:
        errors.append(error)
    except _ROW_ERRORS:
        pass
    else:
        return True
    return False


def _reason(error: Exception) -> str:
    match error:
        case StatementRefused():
            return error.reason
        case psycopg.Error():
            return primary_message(error)
    return str(error)

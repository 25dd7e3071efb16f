"""Rows in memory."""

from collections.abc import Sequence
from typing import NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.conductor.interventions import STATUS_RANKS, Intervention
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import RefusedRow, WriteResult

_MAX_BIGINT = 2**63 - 1


class StoredAnomaly(NamedTuple):
    row: ScoreRow
    begun: AnomalyBegan
    ended_ms: int | None = None


class MemoryStore:
    """Store rows in `rows`, by key; refuse what no database can store.

    `anomalies` are stored by id and the tick at which they began, `interventions` by id and the
    tick of their decision, and `trials` as they were when they were measured.

    While `outage` is set, it is raised by every write.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], ScoreRow] = {}
        self.anomalies: dict[tuple[str, int], StoredAnomaly] = {}
        self.interventions: dict[tuple[str, int], tuple[ScoreRow, Intervention]] = {}
        self.trials: dict[str, tuple[ScoreRow, Intervention]] = {}
        self.outage: Exception | None = None
        self.closed = False

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        del waiting
        if self.outage is not None:
            raise self.outage
        before = len(self.rows)
        refused = []
        for row in rows:
            if _is_storable(row):
                self.rows.setdefault((row.tenant_id, row.session_id, row.at_ms), row)
            else:
                refused.append(RefusedRow(row, "no database can store this"))
        self._store_anomalies(list(filter(_is_storable, rows)))
        self._store_interventions(list(filter(_is_storable, rows)))
        return WriteResult(len(self.rows) - before, refused)

    def _store_anomalies(self, rows: Sequence[ScoreRow]) -> None:
        changes = [(row, change) for row in rows for change in row.anomalies]
        for row, change in changes:
            if isinstance(change, AnomalyBegan):
                self.anomalies.setdefault((change.id, row.at_ms), StoredAnomaly(row, change))
        for row, change in changes:
            if isinstance(change, AnomalyEnded):
                key = change.id, change.began_ms
                stored = self.anomalies.get(key)
                if stored is not None and stored.ended_ms is None:
                    self.anomalies[key] = stored._replace(ended_ms=row.at_ms)

    def _store_interventions(self, rows: Sequence[ScoreRow]) -> None:
        for row, record in [(each, record) for each in rows for record in each.interventions]:
            known = self.interventions.setdefault((record.id, record.at_ms), (row, record))
            if known[0].key == row.key:
                if _rank(known[1]) < _rank(record):
                    self.interventions[record.id, record.at_ms] = row, record
                if record.is_learnt:
                    self.trials.setdefault(record.id, (row, record))

    def close(self) -> None:
        self.closed = True


def _rank(record: Intervention) -> tuple[int, bool]:
    return STATUS_RANKS[record.status], record.outcome is not None


def _is_storable(row: ScoreRow) -> bool:
    text = row.tenant_id + row.session_id + row.event_id + row.category
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and row.signals.total_users <= _MAX_BIGINT

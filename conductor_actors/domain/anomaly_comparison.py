"""Compare the anomalies that a replay finds with the stored ones.

They are few: all are in memory until the replay has ended.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from msgspec.structs import astuple

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.comparison import Coverage
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow


class AnomalyColumns(NamedTuple):
    """An anomaly as columns, with its times in milliseconds since 1970.

    `timestamp` is the tick at which it began, and `ended_at` None while it is open. Only one that
    another program stored lacks `onset` or `reason`.
    """

    timestamp: int
    tenant_id: str
    session_id: str
    id: str
    event_id: str
    anomaly_type: str
    severity: str
    anomaly_score: float
    current_engagement: float
    expected_engagement: float
    deviation: float
    signals: tuple[float, ...]
    onset: int | None
    reason: str | None
    ended_at: int | None = None

    @property
    def key(self) -> SessionKey:
        """The session that has the anomaly."""
        return SessionKey(self.tenant_id, self.session_id)


# Returns the stored anomalies that began in a range of ticks, both ends included.
StoredAnomalies: TypeAlias = Callable[[int, int], Iterable[AnomalyColumns]]


class AnomalyDifference(NamedTuple):
    """An anomaly that differs between the two sides, or that one side lacks."""

    stored: AnomalyColumns | None
    replayed: AnomalyColumns | None


class AnomalyComparison:
    """Compares anomalies by id, of the ticks that the recording covers, and counts the differences.

    Not compared are sessions with a row before the coverage: what was expected of them may depend
    on events before the recording. An end after the coverage counts as none.
    """

    def __init__(self, stored: StoredAnomalies, coverage: Coverage) -> None:
        self._stored = stored
        self._coverage = coverage
        self._older_sessions: dict[SessionKey, int] = {}  # and the tick of the last row
        self._replayed: dict[str, AnomalyColumns] = {}
        self._replayed_sessions: set[SessionKey] = set()
        self.compared = self.missing = self.different = self.unexpected = 0
        self.first: AnomalyDifference | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both sides have the same anomalies."""
        return self.first is None

    def add_tick(self, rows: Sequence[ScoreRow]) -> None:
        """Add the replayed rows of one tick."""
        if rows and rows[0].at_ms < self._coverage.from_ms:
            self._older_sessions |= dict.fromkeys((row.key for row in rows), rows[0].at_ms)
        elif rows and rows[0].at_ms <= self._coverage.until_ms:
            self._replayed_sessions.update(row.key for row in rows)
            for row in rows if self._older_sessions else ():
                self._age(row)
            for row in rows:
                if row.anomalies and row.key not in self._older_sessions:
                    self._add(row)

    def finish(self, last_tick_ms: int) -> None:
        """Compare with the stored anomalies, up to the last tick of the replay."""
        until_ms = min(last_tick_ms, self._coverage.until_ms)
        missing = dict(self._replayed)
        for stored in self._stored(self._coverage.from_ms, until_ms):
            if stored.key in self._replayed_sessions and stored.key not in self._older_sessions:
                self._compare(self._covered(stored), missing.pop(stored.id, None))
        for replayed in missing.values():
            self._compare(None, replayed)

    def _age(self, row: ScoreRow) -> None:
        """Record the row of an older session, unless the session was forgotten and began anew."""
        last_ms = self._older_sessions.get(row.key)
        if last_ms is None:
            return
        if 0 < self._coverage.forgotten_after_ms < row.at_ms - last_ms:
            del self._older_sessions[row.key]
        else:
            self._older_sessions[row.key] = row.at_ms

    def _add(self, row: ScoreRow) -> None:
        for change in row.anomalies:
            match change:
                case AnomalyBegan():
                    self._replayed[change.id] = anomaly_record(row, change)
                case AnomalyEnded():
                    begun = self._replayed.get(change.id)
                    if begun is not None:
                        self._replayed[change.id] = begun._replace(ended_at=row.at_ms)

    def _covered(self, stored: AnomalyColumns) -> AnomalyColumns:
        is_later = stored.ended_at is not None and stored.ended_at > self._coverage.until_ms
        return stored._replace(ended_at=None) if is_later else stored

    def _compare(self, stored: AnomalyColumns | None, replayed: AnomalyColumns | None) -> None:
        if stored is None:
            self.missing += 1
        elif replayed is None:
            self.unexpected += 1
        else:
            self.compared += 1
            if stored == replayed:
                return
            self.different += 1
        difference = AnomalyDifference(stored, replayed)
        if self.first is None or _order(difference) < _order(self.first):
            self.first = difference


def anomaly_record(row: ScoreRow, begun: AnomalyBegan) -> AnomalyColumns:
    """Return an anomaly that begins with the row as columns."""
    return AnomalyColumns(
        row.at_ms,
        row.tenant_id,
        row.session_id,
        begun.id,
        row.event_id,
        begun.type,
        begun.severity,
        begun.anomaly_score,
        row.score,
        begun.expected_engagement,
        begun.deviation,
        astuple(row.signals),
        begun.onset_ms,
        begun.reason,
    )


def _order(difference: AnomalyDifference) -> tuple[int, str, str, str]:
    record = difference.stored or difference.replayed
    assert record is not None  # noqa: S101 - one side has it
    return record[:4]

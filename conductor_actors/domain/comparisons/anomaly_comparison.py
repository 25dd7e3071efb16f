"""Compare the anomalies that a replay finds with the stored ones."""

from typing import NamedTuple, TypeAlias

from msgspec.structs import astuple

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.comparisons.change_comparison import (
    ChangeComparison,
    ChangeDifference,
    StoredChanges,
)
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


StoredAnomalies: TypeAlias = StoredChanges[AnomalyColumns]
AnomalyDifference: TypeAlias = ChangeDifference[AnomalyColumns]


class AnomalyComparison(ChangeComparison[AnomalyColumns]):
    """Compares anomalies. An end after the coverage counts as none."""

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

"""Rows to store, for tests that care about few of their values."""

from msgspec.structs import replace

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyEnded
from conductor_actors.domain.rows import ScoreRecord, record_of
from conductor_actors.domain.scoring import Contributions, ScoreRow, Signals
from conductor_actors.wire.updates import Update, encode_update

AT_MS = 1_767_528_000_000

ANOMALY_ID = "00000000-0000-5000-8000-000000000001"

SIGNALS = Signals(12.0, 0.4, 31, 50, 9.0, 0.02)

_ROW = ScoreRow(
    AT_MS,
    "default",
    "session",
    "event",
    0.6018,
    "HIGH",
    SIGNALS,
    Contributions(0.2527, 0.1, 0.155, 0.096, -0.002),
)


def row(session_id: str = "session", at_ms: int = AT_MS, **changes: object) -> ScoreRow:
    return replace(_ROW, session_id=session_id, at_ms=at_ms, **changes)


def record(row: ScoreRow) -> ScoreRecord[int]:
    return record_of(row, row.at_ms)


def began(anomaly_id: str = ANOMALY_ID, **changes: object) -> AnomalyBegan:
    begun = AnomalyBegan(
        anomaly_id,
        "SUDDEN_DROP",
        "CRITICAL",
        0.9,
        0.7,
        -0.0982,
        AT_MS - 9_000,
        "2 events in 9 s, 14 were expected.",
    )
    return replace(begun, **changes)


def ended(anomaly_id: str = ANOMALY_ID, began_ms: int = AT_MS) -> AnomalyEnded:
    return AnomalyEnded(anomaly_id, "SUDDEN_DROP", began_ms)


def with_body(update: Update) -> tuple[Update, bytes]:
    """Return an update and its body, as they are received."""
    return update, encode_update(update)

"""Rows as CSV: the columns of `engagement_metrics` but `metadata`."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec

from conductor_actors.domain.scoring import ScoreRow, Signals

COLUMNS: Final = (
    *("time", "tenant_id", "session_id", "event_id", "engagement_score", "category"),
    *Signals.__struct_fields__,
)


class CsvRows:
    """Writes rows as they come; times in ISO 8601 UTC, numbers so that they read back exactly."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write one line a row."""
        self._writer.writerows(map(_record, rows))


def _record(row: ScoreRow) -> tuple[object, ...]:
    return (
        datetime.fromtimestamp(row.at_ms / 1000, UTC).isoformat(),
        row.tenant_id,
        row.session_id,
        row.event_id,
        row.score,
        row.category,
        *msgspec.structs.astuple(row.signals),
    )

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
        self._plain = csv.writer(file, lineterminator="\n")
        # The plain writer leaves a carriage return bare, which reads back as the end of a line.
        self._quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._plain.writerow(COLUMNS)

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write one line a row."""
        for row in rows:
            has_return = "\r" in row.session_id or "\r" in row.event_id
            (self._quoting if has_return else self._plain).writerow(_record(row))


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

"""Rows in memory."""

from collections.abc import Sequence

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import RefusedRow, WriteResult

_MAX_BIGINT = 2**63 - 1


class MemoryStore:
    """Store rows in `rows`, by key; refuse what no database can store.

    While `outage` is set, it is raised by every write.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], ScoreRow] = {}
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
        return WriteResult(len(self.rows) - before, refused)

    def close(self) -> None:
        self.closed = True


def _is_storable(row: ScoreRow) -> bool:
    text = row.tenant_id + row.session_id + row.event_id + row.category
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and row.signals.total_users <= _MAX_BIGINT

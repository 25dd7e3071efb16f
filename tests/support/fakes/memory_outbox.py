"""An outbox in memory."""

from collections.abc import Sequence

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import OutboxPage


class MemoryOutbox:
    """Store rows in `entries`, by id.

    While `outage` is set, it is raised by every call; while `refusal` is set, by `append`.
    """

    def __init__(self, entry_rows: int = 500) -> None:
        self._entry_rows = entry_rows
        self.entries: dict[str, Sequence[ScoreRow]] = {}
        self.outage: Exception | None = None
        self.refusal: Exception | None = None
        self._appended = 0

    @property
    def rows(self) -> list[ScoreRow]:
        return [row for rows in self.entries.values() for row in rows]

    def append(self, rows: Sequence[ScoreRow]) -> None:
        self._meet_outage()
        if self.refusal is not None:
            raise self.refusal
        for first in range(0, len(rows), self._entry_rows):
            self._appended += 1
            self.entries[f"{self._appended}-0"] = rows[first : first + self._entry_rows]

    def read_oldest(self, count: int) -> OutboxPage:
        self._meet_outage()
        ids = list(self.entries)[: max(1, count // self._entry_rows)]
        return OutboxPage([row for each in ids for row in self.entries[each]], ids)

    def delete(self, page: OutboxPage) -> None:
        self._meet_outage()
        for each in page.ids:
            self.entries.pop(each, None)

    def count_entries(self) -> int:
        self._meet_outage()
        return len(self.entries)

    def close(self) -> None:
        pass

    def _meet_outage(self) -> None:
        if self.outage is not None:
            raise self.outage

"""A feed and a dead-letter box that remember: for tests of whoever announces."""

from collections.abc import Sequence

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import DeadLetter


class ListFeed:
    """Keep what was announced in `batches` and `letters`.

    While `outage` is set, it is raised by every call.
    """

    def __init__(self) -> None:
        self.batches: list[list[ScoreRow]] = []
        self.letters: list[DeadLetter] = []
        self.outage: Exception | None = None
        self.closed = False

    @property
    def rows(self) -> list[ScoreRow]:
        return [row for batch in self.batches for row in batch]

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        self._meet_outage()
        self.batches.append(list(rows))

    def add(self, letters: Sequence[DeadLetter]) -> None:
        self._meet_outage()
        self.letters.extend(letters)

    def close(self) -> None:
        self.closed = True

    def _meet_outage(self) -> None:
        if self.outage is not None:
            raise self.outage

"""Published updates in memory."""

from collections.abc import Sequence

from conductor_actors.domain.scoring import ScoreRow


class MemoryUpdatePublisher:
    """Record the rows of each call in `batches`. While `outage` is set, every call raises it."""

    def __init__(self) -> None:
        self.batches: list[list[ScoreRow]] = []
        self.outage: Exception | None = None
        self.closed = False

    @property
    def rows(self) -> list[ScoreRow]:
        return [row for batch in self.batches for row in batch]

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        if self.outage is not None:
            raise self.outage
        self.batches.append(list(rows))

    def close(self) -> None:
        self.closed = True

"""Rows that are let go of, as numbers."""


class MemoryRetention:
    """Say that `dropped` went; remember what was asked in `asked`. `outage` is raised if set."""

    def __init__(self, dropped: int = 0) -> None:
        self.dropped = dropped
        self.asked: list[float] = []
        self.outage: Exception | None = None

    def retain(self, days: float) -> int:
        self.asked.append(days)
        if self.outage is not None:
            raise self.outage
        return self.dropped

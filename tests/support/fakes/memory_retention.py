"""Retention of rows, as numbers."""


class MemoryRetention:
    """Record the days of each call in `calls`, and return `dropped`. `outage` is raised if set."""

    def __init__(self, dropped: int = 0) -> None:
        self.dropped = dropped
        self.calls: list[float] = []
        self.outage: Exception | None = None

    def apply_retention(self, days: float) -> int:
        self.calls.append(days)
        if self.outage is not None:
            raise self.outage
        return self.dropped

"""A countdown that sessions share: the last of them reports that all are done."""

from itertools import count


class Latch:
    """Detects the last of `total` sessions, whichever threads they run on.

    `began_s` and `lag_s` are figures of a tick, for the session that reports it.
    """

    __slots__ = ("_count", "began_s", "lag_s", "total")

    def __init__(self, total: int, began_s: float, lag_s: float) -> None:
        self.total = total
        self.began_s = began_s
        self.lag_s = lag_s
        self._count = count(1)

    def is_last(self) -> bool:
        """Count a session, and return whether it was the last.

        `next` of a count is one step of the interpreter, so no lock is needed.
        """
        return next(self._count) == self.total

"""Dead letters in memory."""

from collections.abc import Sequence

from conductor_actors.ports import DeadLetter


class MemoryDeadLetterQueue:
    """Store dead letters in `letters`. While `outage` is set, every call raises it."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.outage: Exception | None = None

    def add(self, letters: Sequence[DeadLetter]) -> None:
        if self.outage is not None:
            raise self.outage
        self.letters.extend(letters)

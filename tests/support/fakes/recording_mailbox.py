"""A mailbox that nobody empties but the test."""

import queue
from typing import TypeVar

from conductor_actors.actors.messages import Scored
from conductor_actors.domain.scoring import ScoreRow

PATIENCE_S = 5.0

M = TypeVar("M")


class RecordingMailbox:
    """Keep what was told in `messages`; `take` waits for the next one and removes it."""

    def __init__(self) -> None:
        self._mail: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.messages: list[object] = []

    def tell(self, message: object) -> None:
        self.messages.append(message)
        self._mail.put(message)

    def remind(self, message: object) -> None:
        self.tell(message)

    def add(self, row: ScoreRow) -> None:
        self.tell(Scored([row]))

    def depth(self) -> int:
        return self._mail.qsize()

    def take(self, kind: type[M]) -> M:
        message = self._mail.get(timeout=PATIENCE_S)
        assert isinstance(message, kind), message
        return message

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, kind)]

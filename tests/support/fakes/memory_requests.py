"""A desk in memory."""

import threading
from collections.abc import Sequence

from conductor_actors.domain.introspection_protocol import Answer, Request
from tests.support.fakes.recording_mailbox import PATIENCE_S

QUIET_S = 0.005


class MemoryRequests:
    """Take what was `ask`ed, and keep answers by id. `outage` is raised while it is set."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: list[Request] = []
        self._answers: dict[str, list[Answer]] = {}
        self._is_heard = False
        self.outage: Exception | None = None

    def ask(self, request: Request) -> int:
        """Ask, as `RedisAsker` does; return how many will answer: who has listened once."""
        with self._changed:
            if self._is_heard:
                self._asked.append(request)
                self._changed.notify_all()
            return int(self._is_heard)

    def next_answer(self, request: Request, timeout_s: float = PATIENCE_S) -> Answer | None:
        with self._changed:
            self._changed.wait_for(lambda: self._answers.get(request.id), timeout_s)
            answers = self._answers.get(request.id)
            return answers.pop(0) if answers else None

    def take(self) -> Sequence[Request]:
        with self._changed:
            self._meet_outage()
            self._is_heard = True
            self._changed.wait_for(lambda: self._asked, QUIET_S)
            asked, self._asked = self._asked, []
            return asked

    def answer(self, answer: Answer) -> None:
        with self._changed:
            self._meet_outage()
            self._answers.setdefault(answer.id, []).append(answer)
            self._changed.notify_all()

    def close(self) -> None:
        pass

    def _meet_outage(self) -> None:
        if self.outage is not None:
            raise self.outage

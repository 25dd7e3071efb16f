"""An introspection channel in memory: both ends of it."""

import threading
from collections.abc import Sequence

from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from tests.support.fakes.recording_mailbox import PATIENCE_S

READ_WAIT_S = 0.005


class MemoryIntrospectionChannel:
    """The collector's end. `outage` is raised while it is set; `client` is the requester's end."""

    def __init__(self) -> None:
        self.client = MemoryIntrospectionClient()
        self.outage: Exception | None = None

    def read(self) -> Sequence[IntrospectionRequest]:
        with self.client.changed:
            self._meet_outage()
            self.client.has_collector = True
            self.client.changed.wait_for(lambda: self.client.requests, READ_WAIT_S)
            requests, self.client.requests = self.client.requests, []
            return requests

    def send(self, answer: IntrospectionAnswer) -> None:
        with self.client.changed:
            self._meet_outage()
            self.client.answers.setdefault(answer.id, []).append(answer)
            self.client.changed.notify_all()

    def close(self) -> None:
        pass

    def _meet_outage(self) -> None:
        if self.outage is not None:
            raise self.outage


class MemoryIntrospectionClient:
    """The requester's end; its collector receives requests from its first read on."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests: list[IntrospectionRequest] = []
        self.answers: dict[str, list[IntrospectionAnswer]] = {}
        self.has_collector = False

    def send(self, request: IntrospectionRequest) -> int:
        with self.changed:
            if self.has_collector:
                self.requests.append(request)
                self.changed.notify_all()
            return int(self.has_collector)

    def next_answer(
        self, request: IntrospectionRequest, wait_s: float = PATIENCE_S
    ) -> IntrospectionAnswer | None:
        with self.changed:
            self.changed.wait_for(lambda: self.answers.get(request.id), wait_s)
            answers = self.answers.get(request.id)
            return answers.pop(0) if answers else None

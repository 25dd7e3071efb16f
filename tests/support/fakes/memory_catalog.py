"""A catalog of sessions in memory."""

from collections.abc import Sequence

from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.catalog_port import FinishedSession


class MemoryCatalog:
    """Live sessions by the time of their newest row, and ended ones that have no figures yet.

    While `outage` is set, it is raised by every call.
    """

    def __init__(self, live: dict[SessionKey, int] | None = None) -> None:
        self.live = live or {}
        self.ended: dict[SessionKey, int] = {}
        self.unsummarised: list[FinishedSession] = []
        self.summarised: list[FinishedSession] = []
        self.outage: Exception | None = None
        self.adoption_outage: Exception | None = None
        self.adoptions = 0
        self.closed = False

    def adopt(self) -> int:
        self._check()
        self.adoptions += 1
        if self.adoption_outage is not None:
            raise self.adoption_outage
        return 0

    def find_lost(self, before_ms: int) -> Sequence[FinishedSession]:
        self._check()
        return [
            FinishedSession(key, at_ms) for key, at_ms in self.live.items() if at_ms < before_ms
        ]

    def end(self, sessions: Sequence[FinishedSession]) -> int:
        self._check()
        for key, at_ms in sessions:
            del self.live[key]
            self.ended[key] = at_ms
            self.unsummarised.append(FinishedSession(key, at_ms))
        return len(sessions)

    def find_unsummarised(self, limit: int) -> Sequence[FinishedSession]:
        self._check()
        return self.unsummarised[:limit]

    def summarise(self, session: FinishedSession) -> bool:
        self._check()
        self.unsummarised.remove(session)
        self.summarised.append(session)
        return True

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.outage is not None:
            raise self.outage

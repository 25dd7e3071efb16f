"""Checkpoints in memory."""

from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Checkpoint


class MemoryCheckpoints:
    """Store the last one as `header` and `sessions`. Every call raises `outage`, if set."""

    def __init__(self) -> None:
        self.header: bytes | None = None
        self.sessions: dict[SessionKey, bytes] = {}
        self.commits: list[Checkpoint] = []
        self.outage: Exception | None = None
        self.closed = False

    def load(self) -> Checkpoint | None:
        self._meet_outage()
        if self.header is None:
            return None
        return Checkpoint(self.header, dict(self.sessions), is_full=True)

    def commit(self, checkpoint: Checkpoint) -> bool:
        self._meet_outage()
        if self.header is None and not checkpoint.is_full:
            return False
        if checkpoint.is_full:
            self.sessions.clear()
        for key in checkpoint.ended:
            self.sessions.pop(key, None)
        self.sessions.update(checkpoint.sessions)
        self.header = checkpoint.header
        self.commits.append(checkpoint)
        return True

    def close(self) -> None:
        self.closed = True

    def _meet_outage(self) -> None:
        if self.outage is not None:
            raise self.outage

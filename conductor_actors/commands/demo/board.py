"""The state of the scoreboard: live sessions, their newest updates and their last minute."""

from collections import deque
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Signals

MEMORY: Final = timedelta(minutes=1)  # what a trend looks back on; who is silent longer is gone


class BoardUpdate(msgspec.Struct, frozen=True, rename="camel"):
    """One session's score at one tick, as published."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    tenant_id: str
    session_id: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    category: str
    signals: Signals


_update = msgspec.json.Decoder(BoardUpdate)


class BoardLine:
    """One session: its updates of the last minute, oldest first, at least one."""

    def __init__(self, update: BoardUpdate) -> None:
        self._updates = deque([update])

    @property
    def newest(self) -> BoardUpdate:
        """The update to be shown."""
        return self._updates[-1]

    @property
    def trend(self) -> float:
        """By how much the score has changed in the last minute."""
        return self.newest.score - self._updates[0].score

    def add(self, update: BoardUpdate) -> bool:
        """Add an update; return False if it is not newer than the others."""
        if update.timestamp <= self.newest.timestamp:
            return False
        self._updates.append(update)
        while self._updates[0].timestamp < update.timestamp - MEMORY:
            self._updates.popleft()
        return True

    def score_ago(self, ago: timedelta) -> float | None:
        """Return the score so many seconds before the newest; None if there was none yet."""
        at = self.newest.timestamp - ago
        return next((one.score for one in reversed(self._updates) if one.timestamp <= at), None)


class Scoreboard:
    """The sessions that had an update in the minute before the last tick."""

    def __init__(self) -> None:
        self._lines: dict[SessionKey, BoardLine] = {}
        self.last_tick_at: datetime | None = None
        self.is_connected = True

    def update(self, body: bytes) -> BoardUpdate | None:
        """Add an update and return it; None if it can't be read or is not new."""
        try:
            update = _update.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        key = SessionKey(update.tenant_id, update.session_id)
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = BoardLine(update)
        elif not line.add(update):
            return None
        self._go_on_to(update.timestamp)
        return update

    @property
    def worst_first(self) -> list[BoardLine]:
        """The lines in the order in which they need attention."""
        lines = self._lines.items()
        return [line for _, line in sorted(lines, key=lambda one: (one[1].newest.score, one[0]))]

    @property
    def has_tenants(self) -> bool:
        """Whether there is more than one tenant."""
        return len({tenant for tenant, _ in self._lines}) > 1

    def _go_on_to(self, tick_at: datetime) -> None:
        if self.last_tick_at is None or tick_at > self.last_tick_at:
            self.last_tick_at = tick_at
            lines = self._lines.items()
            self._lines = {k: line for k, line in lines if tick_at - line.newest.timestamp < MEMORY}

"""The state of the scoreboard: live sessions, their newest updates and their last minute."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import PublishedMessage
from conductor_actors.updates import Update, decode_update

MEMORY: Final = timedelta(minutes=1)  # the time of a trend; a session silent for longer is over


class BoardLine:
    """One session: its updates of the last minute, oldest first, at least one."""

    def __init__(self, update: Update) -> None:
        self._updates = deque([update])

    @property
    def newest(self) -> Update:
        """The newest update."""
        return self._updates[-1]

    @property
    def trend(self) -> float:
        """The change of the score in the last minute."""
        return self.newest.score - self._updates[0].score

    def add(self, update: Update) -> bool:
        """Add an update; return False if it is not newer than the others."""
        if update.at <= self.newest.at:
            return False
        self._updates.append(update)
        while update.at - self._updates[0].at > MEMORY:
            self._updates.popleft()
        return True

    def score_ago(self, ago: timedelta) -> float | None:
        """Return the score that long before the newest; None if there was none yet."""
        newest_at = self.newest.at
        earlier = (one.score for one in reversed(self._updates) if newest_at - one.at >= ago)
        return next(earlier, None)


class Scoreboard:
    """The sessions that had an update in the minute before the last tick."""

    def __init__(self) -> None:
        self._lines: dict[SessionKey, BoardLine] = {}
        self.last_tick_at: datetime | None = None
        self.is_connected = True

    def add(self, message: PublishedMessage) -> Update | None:
        """Add an update and return it; return None if it is invalid or not new."""
        update = decode_update(message.tenant, message.body)
        if update is None:
            return None
        key = SessionKey(update.tenant_id, update.session_id)
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = BoardLine(update)
        elif not line.add(update):
            return None
        self._advance_to(update.at)
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

    def _advance_to(self, tick_at: datetime) -> None:
        if self.last_tick_at is None or tick_at > self.last_tick_at:
            self.last_tick_at = tick_at
            lines = self._lines.items()
            self._lines = {k: line for k, line in lines if tick_at - line.newest.at < MEMORY}

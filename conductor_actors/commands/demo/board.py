"""The state of the scoreboard: live sessions, their last minute, open anomalies, and decisions."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from conductor_actors.commands.demo.decision_news import (
    DecisionNews,
    LastDecisions,
    decode_decision,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import (
    ANOMALIES,
    ANOMALIES_ENDED,
    SESSION_EVENTS_BEGIN,
    PublishedMessage,
)
from conductor_actors.wire.anomaly_messages import (
    Anomaly,
    AnomalyEnd,
    AnomalyMessage,
    decode_anomaly,
    decode_anomaly_end,
)
from conductor_actors.wire.updates import Update, decode_update

News: TypeAlias = Update | AnomalyMessage | DecisionNews

MEMORY: Final = timedelta(minutes=1)  # the time of a trend; a session silent for longer is over
MAX_DECISIONS: Final = 3  # of all sessions


class BoardLine:
    """One session: its updates of the last minute, oldest first, at least one."""

    def __init__(self, update: Update) -> None:
        self._updates = deque([update])
        self.anomaly: Anomaly | None = None  # the open one

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
        self._anomalies: dict[SessionKey, Anomaly] = {}
        self._last_decisions = LastDecisions()
        self.decisions: deque[DecisionNews] = deque(maxlen=MAX_DECISIONS)  # oldest first
        self.last_tick_at: datetime | None = None
        self.is_connected = True

    def add(self, message: PublishedMessage) -> News | None:
        """Add a message and return it; return None if it is invalid or not new."""
        tenant, name, body = message
        if name.startswith(SESSION_EVENTS_BEGIN):
            return self._decide(decode_decision(message))
        if name == ANOMALIES:
            return self._begin(decode_anomaly(tenant, body))
        if name == ANOMALIES_ENDED:
            return self._end(decode_anomaly_end(tenant, body))
        return self._update(decode_update(tenant, body))

    @property
    def worst_first(self) -> list[BoardLine]:
        """The lines in the order in which they need attention."""
        for key, line in self._lines.items():
            line.anomaly = self._anomalies.get(key)
        lines = sorted(self._lines.items(), key=lambda one: (one[1].newest.score, one[0]))
        return [line for _, line in sorted(lines, key=lambda one: one[1].anomaly is None)]

    @property
    def has_tenants(self) -> bool:
        """Whether there is more than one tenant."""
        return len({tenant for tenant, _ in self._lines}) > 1

    def _update(self, update: Update | None) -> Update | None:
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

    def _begin(self, anomaly: Anomaly | None) -> Anomaly | None:
        if anomaly is not None and isinstance(anomaly.id, str):  # without an id, it has no end
            self._anomalies[SessionKey(anomaly.tenant_id, anomaly.session_id)] = anomaly
        return anomaly

    def _end(self, end: AnomalyEnd | None) -> AnomalyEnd | None:
        if end is not None:
            self._anomalies.pop(SessionKey(end.tenant_id, end.session_id), None)
        return end

    def _decide(self, news: DecisionNews | None) -> DecisionNews | None:
        if news is None or not self._last_decisions.add(news):
            return None
        self.decisions.append(news)
        return news

    def _advance_to(self, tick_at: datetime) -> None:
        if self.last_tick_at is None or tick_at > self.last_tick_at:
            self.last_tick_at = tick_at
            lines = self._lines.items()
            self._lines = {k: line for k, line in lines if tick_at - line.newest.at < MEMORY}

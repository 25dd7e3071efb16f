"""A session's last five minutes without a gap: received points, and stored ones between them."""

import asyncio
from collections.abc import Callable
from typing import Final

from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.scores.live_sessions import HISTORY_S, LiveSessions
from conductor_actors.dashboard.scores.upstreams import StoredHistory
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.ports.score_port import StoredScore
from conductor_actors.wire.updates import encode_update, update_of

MAX_CONCURRENT_QUERIES: Final = 32
MAX_FILLED_SESSIONS: Final = 20_000  # of a tenant; others follow with their next updates
SESSIONS_PER_YIELD: Final = 256  # before other tasks of the event loop run


class RecentHistory:
    """Joins live sessions with the database; one query serves all clients that wait for it."""

    def __init__(
        self, live: LiveSessions, history: StoredHistory, scoring: Scoring, clocks: Clocks
    ) -> None:
        self._live = live
        self._history = history
        self._scoring = scoring
        self._clocks = clocks
        self._reads: dict[SessionKey, asyncio.Task[list[bytes]]] = {}
        self._queries = asyncio.Semaphore(MAX_CONCURRENT_QUERIES)

    def request(self, key: SessionKey, deliver: Callable[[list[bytes]], None]) -> None:
        """Call `deliver` with the points, oldest first, as soon as they are read."""
        task = self._reads.get(key)
        if task is None:
            task = self._reads[key] = asyncio.create_task(self.read(key))
            task.add_done_callback(lambda _: self._reads.pop(key))
        task.add_done_callback(lambda done: None if done.cancelled() else deliver(done.result()))

    async def read(self, key: SessionKey) -> list[bytes]:
        """Return the points, oldest first; without the database, those that were received."""
        session = self._live.get(key)
        now_s = self._clocks.monotonic()
        if session is not None and not session.should_query(now_s):
            return self._live.points(key)
        if session is not None:
            session.record_query(now_s)
        try:
            async with self._queries:
                stored = await self._stored(key)
        except (Unavailable, Overloaded):
            return self._live.points(key)
        session = self._live.get(key)
        newest_ms = 0
        if session is not None:
            session.fill(stored, self._clocks.monotonic())
            newest_ms = session.newest_ms
        # A stored score that is newer is not added to the live session: its update may yet arrive.
        return self._live.points(key) + [stored[ms] for ms in sorted(stored) if ms > newest_ms]

    async def fill(self, tenant: str) -> list[SessionKey]:
        """Add the live sessions of a tenant that are not known; return them.

        Without the database, return none.
        """
        now_ms = round(self._clocks.wall() * 1000)
        try:
            rows = await self._history.live(tenant, now_ms - HISTORY_S * 1000, MAX_FILLED_SESSIONS)
        except (Unavailable, Overloaded):
            return []
        filled = []
        for number, (session_id, row) in enumerate(rows.items(), 1):
            key = SessionKey(tenant, session_id)
            if self._live.get(key) is None:
                update = update_of(score_row(key, row, self._scoring))
                age_s = (now_ms - row.at_ms) / 1000
                if self._live.add_stored(update, encode_update(update), age_s):
                    filled.append(key)
            if number % SESSIONS_PER_YIELD == 0:
                await asyncio.sleep(0)
        return filled

    async def _stored(self, key: SessionKey) -> dict[int, bytes]:
        now_ms = round(self._clocks.wall() * 1000)
        rows = await self._history.rows(key, now_ms - HISTORY_S * 1000, now_ms + 1)
        updates = (update_of(score_row(key, row, self._scoring)) for row in rows)
        return {update.at_ms: encode_update(update) for update in updates}


def score_row(key: SessionKey, stored: StoredScore, scoring: Scoring) -> ScoreRow:
    """Return the row that the collector stored; its contributions follow from its signals."""
    return ScoreRow(
        stored.at_ms,
        key.tenant_id,
        key.session_id,
        stored.event_id,
        stored.score,
        stored.category,
        stored.signals,
        scoring.contributions(stored.signals),
        is_audience_known=stored.is_audience_known,
        expected=stored.expected,
    )

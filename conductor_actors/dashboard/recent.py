"""A session's last five minutes without a hole: what was heard, and what the database has."""

import asyncio
from collections.abc import Callable
from typing import Final

from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.hub import HISTORY_S, Hub
from conductor_actors.dashboard.upstreams import StoredHistory
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.errors import Unavailable
from conductor_actors.ports import StoredScore
from conductor_actors.updates import encode_update, update_of

AT_ONCE: Final = 32  # sessions that the database is asked about at the same time


class Recent:
    """Joins the hub and the database; one question per session, however many ask."""

    def __init__(self, hub: Hub, history: StoredHistory, scoring: Scoring, clocks: Clocks) -> None:
        self._hub = hub
        self._history = history
        self._scoring = scoring
        self._clock = clocks.monotonic
        self._now = clocks.wall
        self._asking: dict[SessionKey, asyncio.Task[list[bytes]]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def send(self, key: SessionKey, give: Callable[[list[bytes]], None]) -> None:
        """Call `give` with the points, oldest first: soon, or when the database has answered."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self.points(key))
            task.add_done_callback(lambda _: self._asking.pop(key))
        task.add_done_callback(lambda done: None if done.cancelled() else give(done.result()))

    async def points(self, key: SessionKey) -> list[bytes]:
        """Return the points, oldest first; without the database, those that were received."""
        track = self._hub.track(key)
        if track is not None and not track.lacks_points(self._clock()):
            return self._hub.points(key)
        if track is not None:
            track.asks(self._clock())
        try:
            async with self._turns:
                stored = await self._stored(key)
        except Unavailable:
            return self._hub.points(key)
        track = self._hub.track(key)
        newest_ms = 0
        if track is not None:
            track.fill(stored, self._clock())
            newest_ms = track.newest_ms
        # What is newer than all that was heard stays out of the hub: it may yet be announced.
        return self._hub.points(key) + [stored[ms] for ms in sorted(stored) if ms > newest_ms]

    async def _stored(self, key: SessionKey) -> dict[int, bytes]:
        now_ms = round(self._now() * 1000)
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
    )

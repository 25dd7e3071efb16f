"""The stored scores of sessions that are in several databases."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain

from conductor_actors.adapters.several_databases.placement import Placed
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.score_port import HistoryReader, HistoryStep, StoredScore, TickScore


class PlacedHistoryReader:
    """A `HistoryReader`."""

    def __init__(self, placed: Placed[HistoryReader]) -> None:
        self._placed = placed

    async def open(self) -> None:
        """Open the pools of connections; the first read connects."""
        await self._placed.ask_all(lambda port: port.open())

    async def close(self) -> None:
        """Close every connection."""
        await self._placed.ask_all(lambda port: port.close())

    async def count_live(self) -> int:
        """Return how many sessions are live; it shows that scores can be read everywhere."""
        return sum(await self._placed.ask_all(lambda port: port.count_live()))

    async def live(self, tenant: str, since_ms: int, limit: int) -> Mapping[str, StoredScore]:
        """Return the last score of each live session of a tenant that has one since an instant."""
        found: dict[str, StoredScore] = {}
        for one in await self._placed.ask_all(lambda port: port.live(tenant, since_ms, limit)):
            found |= one
        return found

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> Sequence[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""
        return await self._placed.of(key).rows(key, first_ms, until_ms)

    async def scores(
        self, tenant: str, session_ids: Sequence[str], first_ms: int, until_ms: int
    ) -> Mapping[str, Sequence[TickScore]]:
        """Return the scores of several sessions in `[first_ms, until_ms)`, oldest first."""
        found: dict[str, Sequence[TickScore]] = {}
        for port, ids in self._placed.by_port(tenant, session_ids):
            found |= await port.scores(tenant, ids, first_ms, until_ms)
        return found

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, or None."""
        return await self._placed.of(key).newest(key)

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> Sequence[HistoryStep]:
        """Return the steps of `[first_ms, until_ms)`, oldest first; both must be whole steps."""
        return await self._placed.of(key).steps(key, first_ms, until_ms, step)

    async def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session, or None if it has no row."""
        return await self._placed.of(key).event_of(key)

    async def sessions_of_events(
        self, tenant: str, event_ids: Sequence[str], limit: int
    ) -> Sequence[str]:
        """Return the ids of the sessions of some events: of each database at most `limit`."""
        found = await self._placed.ask_all(
            lambda port: port.sessions_of_events(tenant, event_ids, limit)
        )
        return [*chain.from_iterable(found)]

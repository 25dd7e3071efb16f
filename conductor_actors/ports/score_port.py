"""The port through which the dashboard reads the stored scores of sessions, as a Protocol."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Signals


class StoredScore(NamedTuple):
    """The score of a session at one tick, as stored in the database."""

    at_ms: int
    event_id: str
    score: float
    category: str
    signals: Signals
    is_audience_known: bool = True
    expected: ExpectedScore | None = None


class TickScore(NamedTuple):
    """The score of a session at one tick, without its signals."""

    at_ms: int
    score: float
    category: str


class HistoryStep(NamedTuple):
    """The ticks of a session within one step, aggregated. `at_ms` is the start of the step."""

    at_ms: int
    score: float
    min_score: float
    max_score: float
    max_active_users: int
    max_total_users: int
    ticks: int


class HistoryReader(Protocol):
    """Read the stored scores of sessions, on one event loop, between `open` and `close`.

    Every read may raise `Unavailable`, or `ConfigError` for what the operator must change.
    """

    async def open(self) -> None:
        """Open the pool of connections; the first read connects."""

    async def close(self) -> None:
        """Close every connection."""

    async def count_live(self) -> int:
        """Return how many sessions are live, of all tenants; it shows that scores can be read."""

    async def live(self, tenant: str, since_ms: int, limit: int) -> Mapping[str, StoredScore]:
        """Return the last score of each live session of a tenant that has one since an instant.

        Of more than `limit`, return those that started last.
        """

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> Sequence[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""

    async def scores(
        self, tenant: str, session_ids: Sequence[str], first_ms: int, until_ms: int
    ) -> Mapping[str, Sequence[TickScore]]:
        """Return the scores of several sessions in `[first_ms, until_ms)`, oldest first.

        It is one read. Sessions without a score are absent.
        """

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, or None."""

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> Sequence[HistoryStep]:
        """Return the steps of `[first_ms, until_ms)`, oldest first; both must be whole steps."""

    async def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session, or None if it has no row."""

    async def sessions_of_events(
        self, tenant: str, event_ids: Sequence[str], limit: int
    ) -> Sequence[str]:
        """Return the ids of the sessions of some events, the newest first."""

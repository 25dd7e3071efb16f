"""The sources of the dashboard, across outages: published updates and stored scores."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from random import random
from typing import Final, NamedTuple, TypeVar

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.scores.database_calls import DatabaseCalls
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Overloaded, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import (
    CommandWriter,
    PublishedMessage,
    SubscriptionHandlers,
    UpdateSubscriber,
)
from conductor_actors.ports.anomaly_port import AnomalyStore
from conductor_actors.ports.conductor_port import InterventionStore
from conductor_actors.ports.history_port import HistoryPorts
from conductor_actors.ports.score_port import HistoryReader, HistoryStep, StoredScore, TickScore

T = TypeVar("T")

MAX_RECONNECT_DELAY_S: Final = 2.0


class Upstreams(NamedTuple):
    """The ports of the dashboard."""

    updates: UpdateSubscriber
    history: HistoryReader
    anomalies: AnomalyStore
    interventions: InterventionStore
    commands: CommandWriter
    histories: HistoryPorts


class UpdateStream:
    """Calls `receive` for messages, `refused` for tenants, and `on_resume` after each outage."""

    def __init__(
        self,
        subscriber: UpdateSubscriber,
        receive: Callable[[Sequence[PublishedMessage]], None],
        refused: Callable[[str, Exception], None],
        on_resume: Callable[[], None],
        outage: Outage,
    ) -> None:
        self._subscriber = subscriber
        self._handlers = SubscriptionHandlers(self._record_connection, receive, refused)
        self._on_resume = on_resume
        self._outage = outage
        self._was_connected = False

    async def run(self) -> None:
        """Receive messages until cancelled; reconnect within two seconds after a failure."""
        while True:
            try:
                await self._subscriber.listen(self._handlers)
            except (Unavailable, ConfigError) as error:
                self._outage.record_failure(error)
            await asyncio.sleep(random() * MAX_RECONNECT_DELAY_S)  # noqa: S311 - jitter

    def _record_connection(self) -> None:
        self._outage.record_success()
        if self._was_connected:
            self._on_resume()
        self._was_connected = True


class StoredHistory:
    """Reads stored scores. While the database is away every read raises `Unavailable` at once.

    Too many reads at once raise `Overloaded`, and are no outage.
    """

    def __init__(self, reader: HistoryReader, metrics: DashboardMetrics, outage: Outage) -> None:
        self._reader = reader
        self._metrics = metrics
        self._calls = DatabaseCalls(outage)
        self.live_count = 0  # of all tenants, when the database was checked last

    async def run(self) -> None:
        """Hold connections and check the database at intervals, until cancelled."""
        await self._reader.open()
        try:
            while True:
                with suppress(Unavailable, Overloaded):  # the outage was reported
                    self.live_count = await self._calls.attempt(self._reader.count_live())
                await asyncio.sleep(self._calls.retry_interval_s)
        finally:
            await self._reader.close()

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> Sequence[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""
        return await self._read(lambda: self._reader.rows(key, first_ms, until_ms))

    async def scores(
        self, tenant: str, session_ids: Sequence[str], first_ms: int, until_ms: int
    ) -> Mapping[str, Sequence[TickScore]]:
        """Return the scores of several sessions in `[first_ms, until_ms)`, oldest first."""
        return await self._read(
            lambda: self._reader.scores(tenant, session_ids, first_ms, until_ms)
        )

    async def live(self, tenant: str, since_ms: int, limit: int) -> Mapping[str, StoredScore]:
        """Return the last score of each live session of a tenant that has one since an instant."""
        return await self._read(lambda: self._reader.live(tenant, since_ms, limit))

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, if there is one."""
        return await self._read(lambda: self._reader.newest(key))

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> Sequence[HistoryStep]:
        """Return `[first_ms, until_ms)` in steps, oldest first; both must be whole steps."""
        return await self._read(lambda: self._reader.steps(key, first_ms, until_ms, step))

    async def event_of(self, key: SessionKey) -> str | None:
        """Return the event of a session; None if it has no row."""
        return await self._read(lambda: self._reader.event_of(key))

    async def sessions_of_events(
        self, tenant: str, event_ids: Sequence[str], limit: int
    ) -> Sequence[str]:
        """Return the ids of the sessions of some events, the newest first."""
        return await self._read(lambda: self._reader.sessions_of_events(tenant, event_ids, limit))

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        with self._metrics.history_seconds.time():
            return await self._calls.call(read)

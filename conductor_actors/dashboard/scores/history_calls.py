"""Calls of the history ports across outages of the database."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.scores.database_calls import DatabaseCalls
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports.history_port import HistoryConnections

T = TypeVar("T")


class HistoryCalls:
    """Calls the history ports. While the database is away, every call raises `Unavailable` at once.

    Too many calls at once, or one that takes too long, raise `Overloaded`, and are no outage.
    """

    def __init__(self, connections: HistoryConnections, metrics: DashboardMetrics) -> None:
        self._connections = connections
        self._metrics = metrics
        self._calls = DatabaseCalls(Outage("database histories"))
        self._writes = DatabaseCalls(Outage("database titles"))

    async def run(self) -> None:
        """Hold connections and check the database at intervals, until cancelled."""
        await self._connections.open()
        try:
            while True:
                with suppress(Unavailable, Overloaded):  # the outage was reported
                    await self._calls.attempt(self._connections.check())
                await asyncio.sleep(self._calls.retry_interval_s)
        finally:
            await self._connections.close()

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call of one of the ports returns."""
        with self._metrics.past_query_seconds.time():
            return await self._calls.call(call)

    async def write(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call that writes returns; if it is refused, the others go on."""
        return await self._writes.attempt(call())

"""Run the queries of histories, reports and exports, apart from those of the live page.

They read many rows. So they have connections and a deadline of their own, and each uses one core of
the database; a tenant that sends many of them delays no other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from conductor_actors.adapters.postgres.query_pool import (
    MAX_QUERY_WAIT_S,
    Query,
    QueryLimits,
    QueryPool,
    Records,
    Values,
)
from conductor_actors.errors import Overloaded

MAX_HISTORY_QUERIES: Final = 8  # connections
MAX_WAITING_QUERIES_PER_TENANT: Final = 16  # more are refused at once
HISTORY_TIMEOUT_MS: Final = 10_000  # by which the server ends a query
HISTORY_DEADLINE_S: Final = 12.0  # by which it is known that the server does not answer

_SELECT_ANY_ROW: Final = "SELECT 1 FROM engagement_metrics LIMIT 1"


class HistoryQueries:
    """A pool of connections, of which each tenant uses at most `max_per_tenant` at once.

    Every query may raise `Unavailable`, `ConfigError` for what the operator must change, and
    `Overloaded` if it takes too long, or if too many are waiting or wait for too long.
    """

    def __init__(self, url: str, max_per_tenant: int = 4) -> None:
        limits = QueryLimits(HISTORY_TIMEOUT_MS, HISTORY_DEADLINE_S)
        self._pool = QueryPool(url, MAX_HISTORY_QUERIES, "histories", limits)
        self._max_per_tenant = max_per_tenant
        self._slots: dict[str, _Slots] = {}  # of tenants with queries that run or wait

    async def open(self) -> None:
        """Open the pool of connections; the first query connects."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def check(self) -> None:
        """Return normally if the database can be queried."""
        await self._pool.run(_SELECT_ANY_ROW)

    async def run(
        self,
        tenant: str,
        query: Query,
        values: Values = (),
        *,
        writes: bool = False,
        max_wait_s: float = MAX_QUERY_WAIT_S,
    ) -> Records:
        """Run a query of a tenant, in a transaction of its own; return its records.

        It waits `max_wait_s` at most for its turn, among those of the tenant and then among all.
        """
        async with self._slot(tenant, max_wait_s):
            return await self._pool.run(query, values, writes=writes, max_wait_s=max_wait_s)

    @asynccontextmanager
    async def _slot(self, tenant: str, max_wait_s: float) -> AsyncIterator[None]:
        slots = self._slots.setdefault(tenant, _Slots(self._max_per_tenant))
        slots.users += 1
        try:
            if slots.users > self._max_per_tenant + MAX_WAITING_QUERIES_PER_TENANT:
                raise Overloaded("too many requests of this tenant for histories at once")
            await slots.acquire_within(max_wait_s)
            try:
                yield
            finally:
                slots.free.release()
        finally:
            slots.users -= 1
            if not slots.users:
                del self._slots[tenant]


class _Slots:
    """The queries that one tenant may run at once. `users` run or wait."""

    def __init__(self, count: int) -> None:
        self.free = asyncio.Semaphore(count)
        self.users = 0

    async def acquire_within(self, max_wait_s: float) -> None:
        try:
            await asyncio.wait_for(self.free.acquire(), max_wait_s)
        except TimeoutError:
            raise Overloaded("too many requests of this tenant for histories at once") from None

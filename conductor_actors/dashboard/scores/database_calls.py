"""Calls of the database across its outages; clients do not see their errors."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from conductor_actors.errors import ConfigError, TablesMissing, Unavailable
from conductor_actors.outages import Outage

T = TypeVar("T")

DATABASE_CHECK_INTERVAL_S: Final = 5.0
DATABASE_RETRY_INTERVAL_S: Final = 1.0  # while the database is away
MIGRATION_TIMEOUT_S: Final = 10.0  # for the tables to be created at the first start


class OpenedStore(Protocol):
    """A store that holds connections."""

    async def open(self) -> None:
        """Begin to hold connections."""

    async def close(self) -> None:
        """Close every connection."""


class DatabaseCalls:
    """Records whether calls succeed. Too many at once raise `Overloaded`, and are no outage."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._migrated_by_s = time.monotonic() + MIGRATION_TIMEOUT_S

    @property
    def retry_interval_s(self) -> float:
        """The time until the database should be called again, to find out how it is."""
        is_ok = self._outage.state == "ok"
        return DATABASE_CHECK_INTERVAL_S if is_ok else DATABASE_RETRY_INTERVAL_S

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return a call's result; while the database is away, raise `Unavailable` at once."""
        if self._outage.state == "away":
            raise Unavailable("the database can't be asked now")
        return await self.attempt(call())

    async def attempt(self, call: Awaitable[T]) -> T:
        """Return a call's result, and record its outcome."""
        try:
            result = await call
        except (Unavailable, ConfigError) as error:
            if not self._is_being_migrated(error):
                self._outage.record_failure(error)
            raise Unavailable("the database can't be asked now") from None
        self._outage.record_success()
        return result

    def _is_being_migrated(self, error: Exception) -> bool:
        """Return whether the tables are missing because the collector is about to create them."""
        return isinstance(error, TablesMissing) and time.monotonic() < self._migrated_by_s

    async def refresh_at_intervals(
        self, store: OpenedStore, refresh: Callable[[], Awaitable[bool]], interval_s: float
    ) -> None:
        """Hold a store's connections and refresh from it, until cancelled.

        What could not be refreshed is tried again when the database may be back.
        """
        await store.open()
        try:
            while True:
                is_refreshed = await refresh()
                await asyncio.sleep(interval_s if is_refreshed else self.retry_interval_s)
        finally:
            await store.close()

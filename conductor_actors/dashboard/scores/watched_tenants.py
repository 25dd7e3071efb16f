"""The tenants that somebody watches: only their messages are received, and their scores known."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from conductor_actors.outages import Outage
from conductor_actors.ports import Clock, UpdateSubscriber

WATCH_HOLD_S: Final = 300.0  # after the last request, and after the last client has gone
SUBSCRIBE_TIMEOUT_S: Final = 1.0  # then the database is read without waiting for Redis
WATCH_TIMEOUT_S: Final = 3.0  # then a request is answered with what is known
REFILL_DELAY_S: Final = 10.0  # what was published before the subscription is stored by then
REFUSED_RETRY_S: Final = 30.0
MAX_WATCHED_TENANTS: Final = 10_000  # without clients, the one used longest ago makes room


class TenantScores(Protocol):
    """What is live of tenants."""

    async def fill(self, tenant: str) -> None:
        """Add what the database has of a tenant's live sessions."""

    def forget(self, tenant: str) -> None:
        """Remove all that is known of a tenant."""


class WatchRules(NamedTuple):
    """How many clients a tenant has, and a monotonic clock."""

    count_clients: Callable[[str], int]
    clock: Clock


class _Watched:
    """A tenant that is watched."""

    def __init__(self, tenant: str, now_s: float) -> None:
        self.used_s = self.began_s = now_s
        self.refused_s: float | None = None
        self.outage = Outage(f"redis updates of {tenant}")
        self.known = asyncio.Event()  # when what the database has was added
        self.task: asyncio.Task[None]


class WatchedTenants:
    """Subscribes to the messages of a tenant when it is used, and unsubscribes some time after.

    It subscribes first and reads the database then, so nothing is lost between both: what was
    published before and stored after is found by a second reading.
    """

    def __init__(
        self, subscriber: UpdateSubscriber, scores: TenantScores, rules: WatchRules
    ) -> None:
        self._subscriber = subscriber
        self._scores = scores
        self._rules = rules
        self._watched: dict[str, _Watched] = {}
        self._subscribing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._watched)

    def tenants(self) -> list[str]:
        """Return the tenants that are watched."""
        return list(self._watched)

    def began_s(self, tenant: str) -> float:
        """Return since when a tenant is watched, by the clock; now if it is not."""
        watched = self._watched.get(tenant)
        return self._rules.clock() if watched is None else watched.began_s

    async def watch(self, tenant: str) -> None:
        """Return when a tenant's live scores are known, or can't be read soon."""
        watched = self._watched.get(tenant)
        if watched is None:
            watched = self._watched[tenant] = _Watched(tenant, self._rules.clock())
            watched.task = asyncio.create_task(self._begin(tenant, watched))
            await self._make_room()
        watched.used_s = self._rules.clock()
        if not watched.known.is_set():
            waiting = asyncio.ensure_future(watched.known.wait())
            await asyncio.wait({waiting}, timeout=WATCH_TIMEOUT_S)
            waiting.cancel()

    def refuse(self, tenant: str, error: Exception) -> None:
        """Record that Redis refuses the messages of a tenant; that is retried."""
        if (watched := self._watched.get(tenant)) is not None:
            watched.refused_s = self._rules.clock()
            watched.outage.record_failure(error)

    async def refill(self) -> None:
        """Read the database again for all tenants, as after an outage of Redis."""
        for tenant in self.tenants():
            await self._scores.fill(tenant)

    async def release_unused(self) -> None:
        """Unsubscribe from the tenants that nobody uses, and retry what was refused."""
        now_s = self._rules.clock()
        for tenant, watched in list(self._watched.items()):
            if self._rules.count_clients(tenant):
                watched.used_s = now_s
            if now_s - watched.used_s >= WATCH_HOLD_S:
                await self._release(tenant)
            elif watched.refused_s is not None and now_s - watched.refused_s >= REFUSED_RETRY_S:
                self._subscribe(tenant, watched)

    async def _begin(self, tenant: str, watched: _Watched) -> None:
        await asyncio.wait({self._subscribe(tenant, watched)}, timeout=SUBSCRIBE_TIMEOUT_S)
        await self._scores.fill(tenant)
        watched.known.set()
        await asyncio.sleep(REFILL_DELAY_S)
        await self._scores.fill(tenant)

    def _subscribe(self, tenant: str, watched: _Watched) -> asyncio.Task[None]:
        """Subscribe in a task of its own, which nothing cancels while it sends a command."""
        task = asyncio.create_task(self._try_to_subscribe(tenant, watched))
        self._subscribing.add(task)
        task.add_done_callback(self._subscribing.discard)
        return task

    async def _try_to_subscribe(self, tenant: str, watched: _Watched) -> None:
        watched.refused_s = None
        await self._subscriber.subscribe(tenant)
        if watched.refused_s is None:
            watched.outage.record_success()

    async def _make_room(self) -> None:
        if len(self._watched) > MAX_WATCHED_TENANTS:
            unused = [each for each in self._watched if not self._rules.count_clients(each)]
            if unused:
                await self._release(min(unused, key=lambda each: self._watched[each].used_s))

    async def _release(self, tenant: str) -> None:
        watched = self._watched.pop(tenant)
        watched.task.cancel()
        watched.known.set()
        self._scores.forget(tenant)
        await self._subscriber.unsubscribe(tenant)

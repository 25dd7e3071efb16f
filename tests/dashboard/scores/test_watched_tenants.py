"""Tenants are subscribed to while somebody uses them, and nothing is lost in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from conductor_actors.dashboard.scores import watched_tenants
from conductor_actors.dashboard.scores.watched_tenants import (
    REFUSED_RETRY_S,
    WATCH_HOLD_S,
    WatchedTenants,
    WatchRules,
)
from conductor_actors.errors import ConfigError
from conductor_actors.ports import SubscriptionHandlers

pytestmark = pytest.mark.anyio


class World:
    """A subscriber and the scores of tenants, which record what is done in which order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.now_s = 1000.0
        self.clients = Counter[str]()
        self.answers = asyncio.Event()
        self.answers.set()
        rules = WatchRules(lambda tenant: self.clients[tenant], lambda: self.now_s)
        self.watched = WatchedTenants(self, self, rules)

    async def listen(self, handlers: SubscriptionHandlers) -> None:
        raise NotImplementedError

    async def subscribe(self, tenant: str) -> None:
        await self.answers.wait()
        self.done.append(f"subscribe {tenant}")

    async def unsubscribe(self, tenant: str) -> None:
        self.done.append(f"unsubscribe {tenant}")

    async def fill(self, tenant: str) -> None:
        self.done.append(f"fill {tenant}")

    def forget(self, tenant: str) -> None:
        self.done.append(f"forget {tenant}")

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        await self.watched.release_unused()
        await asyncio.sleep(0)


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    world = World()
    yield world
    world.answers.set()
    await world.pass_s(2 * WATCH_HOLD_S)


async def test_a_tenant_is_subscribed_to_before_the_database_is_read() -> None:
    async with opened() as world:
        await asyncio.gather(*(world.watched.watch("acme") for _ in range(3)))
        assert world.done == ["subscribe acme", "fill acme"]
        await world.watched.watch("acme")
        assert len(world.done) == 2
        assert world.watched.tenants() == ["acme"]


async def test_what_was_stored_after_the_first_reading_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched_tenants, "REFILL_DELAY_S", 0.01)
    async with opened() as world:
        await world.watched.watch("acme")
        await asyncio.sleep(0.1)
        assert world.done == ["subscribe acme", "fill acme", "fill acme"]


async def test_a_tenant_is_held_for_minutes_after_its_last_request_or_client() -> None:
    async with opened() as world:
        await world.watched.watch("acme")
        await world.pass_s(WATCH_HOLD_S - 1)
        await world.watched.watch("acme")
        await world.pass_s(WATCH_HOLD_S - 1)
        world.clients["acme"] = 1
        await world.pass_s(10 * WATCH_HOLD_S)
        world.clients["acme"] = 0
        await world.pass_s(WATCH_HOLD_S - 1)
        assert world.watched.tenants() == ["acme"]
        await world.pass_s(1)
        assert world.watched.tenants() == []
        assert world.done[2:] == ["forget acme", "unsubscribe acme"]
        await world.watched.watch("acme")
        assert world.done[4:] == ["subscribe acme", "fill acme"]


async def test_a_request_does_not_wait_for_a_redis_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched_tenants, "SUBSCRIBE_TIMEOUT_S", 0.01)
    async with opened() as world:
        world.answers.clear()
        await asyncio.wait_for(world.watched.watch("acme"), 5)
        assert world.done == ["fill acme"]


async def test_a_tenant_that_is_refused_is_reported_and_tried_again() -> None:
    async with opened() as world:
        await world.watched.watch("acme")
        with capture_logs() as lines:
            world.watched.refuse("acme", ConfigError("grant it"))
            await world.pass_s(REFUSED_RETRY_S - 1)
            assert world.done.count("subscribe acme") == 1
            await world.pass_s(1)
            await asyncio.sleep(0)
        assert world.done.count("subscribe acme") == 2
        events = [(line["event"], line["service"]) for line in lines]
        assert events == [
            ("outage_began", "redis updates of acme"),
            ("outage_ended", "redis updates of acme"),
        ]


async def test_of_too_many_tenants_the_one_used_longest_ago_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched_tenants, "MAX_WATCHED_TENANTS", 3)
    async with opened() as world:
        world.clients["a"] = 1
        for tenant in "abcd":
            world.now_s += 1
            await world.watched.watch(tenant)
        assert world.watched.tenants() == ["a", "c", "d"]


async def test_after_an_outage_of_redis_all_are_read_again() -> None:
    async with opened() as world:
        for tenant in ("acme", "globex"):
            await world.watched.watch(tenant)
        await world.watched.refill()
        assert world.done[-2:] == ["fill acme", "fill globex"]

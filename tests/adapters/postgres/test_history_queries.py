"""The queries of histories have connections, deadlines and a limit for each tenant."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from conductor_actors.adapters.postgres import query_pool
from conductor_actors.adapters.postgres.history import history_queries
from conductor_actors.adapters.postgres.history.history_queries import (
    MAX_WAITING_QUERIES_PER_TENANT,
    HistoryQueries,
)
from conductor_actors.errors import Overloaded, Unavailable

pytestmark = pytest.mark.anyio

READ = "SELECT count(*) FROM engagement_metrics"


@asynccontextmanager
async def opened(url: str, max_per_tenant: int = 2) -> AsyncIterator[HistoryQueries]:
    queries = HistoryQueries(url, max_per_tenant)
    await queries.open()
    try:
        yield queries
    finally:
        await queries.close()


async def test_a_tenant_with_its_most_queries_is_refused_and_delays_no_other(
    shared_plain_database: str,
) -> None:
    async with opened(shared_plain_database) as queries:
        with psycopg.connect(shared_plain_database) as blocker:
            blocker.execute("LOCK TABLE engagement_metrics")
            blocked = [asyncio.create_task(queries.run("acme", READ)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="this tenant"):
                await queries.run("acme", "SELECT 1", max_wait_s=0.05)
            assert await queries.run("globex", "SELECT 1", max_wait_s=0.05) == [(1,)]
        assert [await each for each in blocked] == [[(0,)], [(0,)]]
        assert await queries.run("acme", "SELECT 1", max_wait_s=0.05) == [(1,)]


async def test_a_tenant_can_not_queue_more_than_its_share(shared_plain_database: str) -> None:
    async with opened(shared_plain_database, 1) as queries:
        with psycopg.connect(shared_plain_database) as blocker:
            blocker.execute("LOCK TABLE engagement_metrics")
            waiting = [
                asyncio.create_task(queries.run("acme", READ))
                for _ in range(1 + MAX_WAITING_QUERIES_PER_TENANT)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="this tenant"):
                await queries.run("acme", READ, max_wait_s=60)
        assert await asyncio.gather(*waiting) == [[(0,)]] * len(waiting)


async def test_a_query_that_takes_too_long_is_ended_and_is_no_outage(
    shared_plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_queries, "HISTORY_TIMEOUT_MS", 100)
    async with opened(shared_plain_database) as queries:
        with pytest.raises(Overloaded, match="too long"):
            await queries.run("acme", "SELECT pg_sleep(60)")
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
        with psycopg.connect(shared_plain_database) as server:
            assert server.execute(running + " AND state = 'active'").fetchone() == (0,)


async def test_a_server_that_does_not_answer_is_unavailable_in_time(
    shared_plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_queries, "HISTORY_DEADLINE_S", 0.1)
    async with opened(shared_plain_database) as queries:
        with pytest.raises(Unavailable, match="did not answer within"):
            await queries.run("acme", "SELECT pg_sleep(60)")


async def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_pool, "QUERY_CONNECT_S", 0.2)
    async with opened("postgresql://nobody:secret@127.0.0.1:9/none") as queries:
        with pytest.raises(Unavailable) as caught:
            await queries.check()
    assert "secret" not in str(caught.value)


async def test_a_query_uses_one_core_and_writes_only_if_it_says_so(
    shared_plain_database: str,
) -> None:
    async with opened(shared_plain_database) as queries:
        assert await queries.run("acme", "SHOW max_parallel_workers_per_gather") == [("0",)]
        assert await queries.run("acme", "SHOW transaction_read_only") == [("on",)]
        found = await queries.run("acme", "SHOW transaction_read_only", writes=True)
        assert found == [("off",)]

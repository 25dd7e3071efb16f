"""More histories at once than the database serves: the surplus is refused as what it is."""

import asyncio
from collections import Counter

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from conductor_actors.adapters.postgres.history_reader import MAX_HISTORY_CONNECTIONS
from conductor_actors.adapters.postgres.query_pool import MAX_WAITING_QUERIES
from tests.dashboard.conftest import Serve

pytestmark = pytest.mark.anyio

REQUESTS = 100
SURPLUS = REQUESTS - MAX_HISTORY_CONNECTIONS - MAX_WAITING_QUERIES
PATH = "/api/v1/sessions/room/history"
MANY = httpx.Limits(max_connections=REQUESTS)


async def test_surplus_histories_get_429_and_are_no_outage(
    serve: Serve, shared_database: str
) -> None:
    dashboard = serve()
    with capture_logs() as lines, psycopg.connect(shared_database) as blocker:
        blocker.execute("LOCK TABLE engagement_metrics")
        async with httpx.AsyncClient(base_url=dashboard.address, limits=MANY, timeout=60) as client:
            requests = [asyncio.create_task(client.get(PATH)) for _ in range(REQUESTS)]
            refused = []
            for request in asyncio.as_completed(requests):
                refused.append(await request)
                if len(refused) == SURPLUS:
                    break
            blocker.rollback()
            responses = await asyncio.gather(*requests)
    found = Counter(response.status_code for response in responses)
    assert found[200] >= MAX_HISTORY_CONNECTIONS
    assert found == {200: found[200], 429: REQUESTS - found[200]}
    for response in refused:
        assert response.headers["Retry-After"] == "1"
        assert response.json()["error"] == {
            "code": "too_many_requests",
            "message": "too many requests for histories at once",
        }
    assert [line for line in lines if line["event"] == "outage_began"] == []
    async with httpx.AsyncClient(base_url=dashboard.address, timeout=60) as client:
        assert (await client.get(PATH)).status_code == 200

"""Dashboards on real servers, and Socket.IO clients."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing
from typing import Any, Protocol
from uuid import uuid4

import httpx
import psycopg
import pytest

from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.adapters.postgres.history.history_ports import make_history_ports
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.intervention_store import PostgresInterventionStore
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.scores.upstreams import Upstreams
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.ports.report_port import ReportRules
from tests.dashboard.clients import Client
from tests.support.fences import take_ownership

WITHIN_S = 10.0
WATCHED = ("default", "acme", "globex")


class Addressed(Protocol):
    address: str


class Serve(Protocol):
    def __call__(self, watched: Sequence[str] = ..., **options: Any) -> Dashboard: ...


class Connect(Protocol):
    async def __call__(self, dashboard: Addressed, **options: Any) -> Client: ...


def upstreams(
    redis_url: str,
    database_url: str,
    scoring: Scoring = Scoring(),  # noqa: B008 - a value
) -> Upstreams:
    """Return the real ports of a dashboard."""
    return Upstreams(
        RedisUpdateSubscriber(redis_url),
        PostgresHistoryReader(database_url),
        PostgresAnomalyStore(database_url),
        PostgresInterventionStore(database_url),
        RedisCommandWriter(redis_url),
        make_history_ports(database_url, ReportRules(scoring, 5, 60)),
    )


@pytest.fixture
def serve(valkey_url: str, shared_database: str) -> Iterator[Serve]:
    """Start dashboards, each on a port of its own, that receive the updates of some tenants."""
    with ExitStack() as stack:

        def start(watched: Sequence[str] = WATCHED, **options: Any) -> Dashboard:
            dashboard = Dashboard(
                Options(**{"port": 0, **options}), upstreams(valkey_url, shared_database)
            )
            dashboard.start()
            stack.callback(dashboard.stop)
            wait_ready(dashboard)
            watch(dashboard, *watched)
            return dashboard

        yield start


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect Socket.IO clients, and close them at the end."""
    async with AsyncExitStack() as stack:

        async def open_client(dashboard: Addressed, **options: Any) -> Client:
            client = Client(options.pop("namespace", "/events"))
            stack.push_async_callback(client.close)
            await client.open(dashboard.address, **options)
            return client

        yield open_client


@pytest.fixture
def publish(valkey_url: str) -> Iterator[Callable[..., None]]:
    """Publish rows as the collector does."""
    with closing(RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))) as publisher:

        def publish_rows(*rows: ScoreRow) -> None:
            publisher.publish(rows)

        yield publish_rows


@pytest.fixture
def store(shared_database: str) -> Iterator[Callable[..., None]]:
    """Store rows as the collector does."""
    with closing(PostgresRowStore(shared_database)) as row_store:

        def write(*rows: ScoreRow) -> None:
            assert not row_store.write(rows).refused

        yield write
    end_sessions(shared_database)


@pytest.fixture
def session_id() -> str:
    return f"session-{uuid4().hex}"


@pytest.fixture
def own_tenant() -> str:
    """Return a tenant of which the database has nothing."""
    return f"tenant-{uuid4().hex}"


def this_tick_ms(ticks_ago: int = 0) -> int:
    return int(time.time() // 5 - ticks_ago) * 5000


def wait_ready(dashboard: Dashboard) -> None:
    until_s = time.monotonic() + WITHIN_S
    while httpx.get(f"{dashboard.address}ready").status_code != 200:
        assert time.monotonic() < until_s, "not ready in time"


def end_sessions(database_url: str) -> None:
    """End all sessions in a database, so that the lists of other tests have none of them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE sessions SET ended_at = now() WHERE ended_at IS NULL")


def watch(dashboard: Dashboard, *tenants: str) -> None:
    """Let a dashboard receive the updates of tenants, as a request of one does."""
    for tenant in tenants:
        watching = dashboard._app.watched.watch(tenant)
        asyncio.run_coroutine_threadsafe(watching, dashboard._loop).result(WITHIN_S)


def metric(dashboard: Dashboard, name: str, **labels: str) -> float:
    """Return the value of a metric of a running dashboard."""
    full = f"conductor_dashboard_{name}"
    return dashboard._metrics.registry.get_sample_value(full, labels) or 0.0

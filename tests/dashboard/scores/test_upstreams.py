"""Outages of the dashboard's sources are reported once, and it recovers from them."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest
from structlog.testing import capture_logs

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.scores import database_calls, upstreams
from conductor_actors.dashboard.scores.upstreams import StoredHistory, UpdateStream
from conductor_actors.errors import ConfigError, TablesMissing, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import PublishedMessage, SubscriptionHandlers
from conductor_actors.ports.score_port import HistoryReader

pytestmark = pytest.mark.anyio

MESSAGE = PublishedMessage("acme", "engagement:update", b"{}")


class FailingSubscriber:
    """Subscribes and raises each error; after that it delivers one message and stays open."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = [*errors]

    async def listen(self, handlers: SubscriptionHandlers) -> None:
        handlers.connected()
        if self._errors:
            raise self._errors.pop(0)
        handlers.receive([MESSAGE])
        await asyncio.Event().wait()

    async def subscribe(self, tenant: str) -> None:
        pass

    async def unsubscribe(self, tenant: str) -> None:
        pass


@pytest.mark.parametrize("error", [Unavailable("redis: gone"), ConfigError("REDIS_URL: refused")])
async def test_after_an_outage_the_stream_subscribes_again_and_calls_on_resume(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "MAX_RECONNECT_DELAY_S", 0)
    received: asyncio.Queue[PublishedMessage] = asyncio.Queue()
    resumed: list[None] = []
    stream = UpdateStream(
        FailingSubscriber(error, error),
        lambda messages: received.put_nowait(messages[0]),
        lambda *_: None,
        lambda: resumed.append(None),
        Outage("redis updates"),
    )
    with capture_logs() as lines:
        task = asyncio.create_task(stream.run())
        assert await asyncio.wait_for(received.get(), 10) == MESSAGE
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert len(resumed) == 2
    assert [line["event"] for line in lines] == ["outage_began", "outage_ended"] * 2
    assert lines[0]["error"] == str(error)


class ReaderWithoutTables:
    """A history whose tables are missing."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def count_live(self) -> int:
        raise TablesMissing("run: python -m conductor_actors migrate")


@pytest.mark.parametrize(("migration_timeout_s", "is_reported"), [(60.0, False), (0.0, True)])
async def test_missing_tables_are_reported_once_the_first_start_had_time_to_create_them(
    migration_timeout_s: float, *, is_reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_calls, "MIGRATION_TIMEOUT_S", migration_timeout_s)
    monkeypatch.setattr(database_calls, "DATABASE_RETRY_INTERVAL_S", 0.01)
    outage = Outage("database history")
    history = StoredHistory(
        cast("HistoryReader", ReaderWithoutTables()), DashboardMetrics(), outage
    )
    with capture_logs() as lines:
        task = asyncio.create_task(history.run())
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [line["event"] for line in lines] == ["outage_began"] * is_reported
    assert outage.state == ("away" if is_reported else "unknown")

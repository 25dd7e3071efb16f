"""A history has no gap, even if updates were not received."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis

from conductor_actors.dashboard import app
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.scores import upstreams as sources
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.scoring import Scoring
from conductor_actors.instants import from_iso, to_ms
from tests.dashboard.conftest import Connect, Serve, this_tick_ms, upstreams, wait_ready
from tests.support.score_rows import SIGNALS, row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]

TICK_MS = 5000
SCORING = Scoring()


def scored(session_id: str, ticks_ago: int) -> Any:
    """Make a row as the collector does: its contributions follow from its signals."""
    added = SCORING.contributions(SIGNALS)
    return row(session_id, this_tick_ms(ticks_ago), contributions=added)


def ages(history: Any) -> list[int]:
    instants_ms = [to_ms(from_iso(point["timestamp"])) for point in history["points"]]
    return [(this_tick_ms() - at_ms) // TICK_MS for at_ms in instants_ms]


async def test_a_history_contains_scores_from_before_the_start(
    serve: Serve, connect: Connect, store: Write, session_id: str
) -> None:
    store(*(scored(session_id, age) for age in range(1, 80)))
    client = await connect(serve())
    await client.subscribe(session_id)
    found = ages(await client.body("engagement:history"))
    assert found == sorted(found, reverse=True)
    assert set(range(2, 59)) <= set(found) <= set(range(62))


async def test_a_stored_point_is_the_same_as_the_published_one(
    serve: Serve, connect: Connect, store: Write, publish: Write, session_id: str
) -> None:
    store(scored(session_id, 3))
    client = await connect(serve())
    await client.subscribe(session_id)
    stored = (await client.body("engagement:history"))["points"]
    other = f"{session_id} live"
    await client.subscribe(other)
    await client.body("engagement:history")
    publish(scored(other, 3))
    announced = await client.body("engagement:update")
    assert stored == [{**announced, "sessionId": session_id}]


async def test_stored_points_fill_the_gaps_between_received_ones(
    serve: Serve, connect: Connect, store: Write, publish: Write, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.subscribe(session_id)
    await client.body("engagement:history")
    store(*(scored(session_id, age) for age in range(40)))
    for age in (30, 20, 10):
        publish(scored(session_id, age))
        await client.body("engagement:update")
    another = await connect(dashboard)
    await another.subscribe(session_id)
    found = ages(await another.body("engagement:history"))
    assert found == sorted(set(found), reverse=True)
    assert set(range(2, 39)) <= set(found)


async def test_a_client_that_reconnects_gets_the_history_again(
    serve: Serve, connect: Connect, publish: Write, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.subscribe(session_id)
    assert (await client.body("engagement:history"))["points"] == []
    for age in (3, 2, 1):
        publish(scored(session_id, age))
        await client.body("engagement:update")
    await client.close()
    again = await connect(dashboard)
    for _ in range(2):
        await again.subscribe(session_id)
        assert len(ages(await again.body("engagement:history"))) == 3


async def test_after_an_outage_of_redis_subscribers_get_the_history_again(
    serve: Serve,
    connect: Connect,
    store: Write,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MAX_RECONNECT_DELAY_S", 0.1)
    monkeypatch.setattr(app, "RESUME_DELAY_S", 0.1)
    session_id = "s-away"
    client = await connect(serve())
    await client.subscribe(session_id)
    assert (await client.body("engagement:history"))["points"] == []
    store(*(scored(session_id, age) for age in (3, 2)))
    redis_client.client_kill_filter(_type="pubsub")
    assert len((await client.body("engagement:history"))["points"]) == 2


async def test_without_a_database_updates_and_received_points_are_sent(
    valkey_url: str, connect: Connect, publish: Write, session_id: str
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    dashboard = Dashboard(Options(port=0), upstreams(valkey_url, nowhere))
    dashboard.start()
    try:
        wait_ready(dashboard)
        client = await connect(dashboard)
        await client.subscribe(session_id)
        await client.body("engagement:history")
        publish(scored(session_id, 1))
        update = await client.body("engagement:update")
        async with asyncio.timeout(1):  # the history does not wait for a database that is away
            await client.subscribe(session_id)
            assert (await client.body("engagement:history"))["points"] == [update]
        await client.close()
    finally:
        dashboard.stop()

"""What the first request of a tenant is answered, whose updates nobody has received so far."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis

from conductor_actors.dashboard.scores import watched_tenants
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.wire.updates import Update, timestamp
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Connect, Serve, metric, this_tick_ms
from tests.support.score_rows import began, row
from tests.support.waiting import wait_until

Write = Callable[..., None]


@pytest.fixture
def dashboard(serve: Serve) -> Dashboard:
    return serve(watched=(), jwt_secret=SECRET)


def get(dashboard: Dashboard, path: str, tenant: str) -> Any:
    headers = {"Authorization": f"Bearer {token(tenant)}"}
    response = httpx.get(f"{dashboard.address}api/v1/{path}", headers=headers)
    assert response.status_code == 200
    return response.json()


def subscribers(client: redis.Redis, tenant: str) -> list[int]:
    names = ("engagement:update", "anomaly:detected", "anomaly:ended")
    return [count for _, count in client.pubsub_numsub(*(f"{tenant}:{name}" for name in names))]


def test_the_first_list_is_complete(
    dashboard: Dashboard, store: Write, publish: Write, own_tenant: str, redis_client: redis.Redis
) -> None:
    now_ms = this_tick_ms()

    def of_tenant(name: str, ticks_ago: int, **more: object) -> ScoreRow:
        return row(name, now_ms - ticks_ago * 5000, tenant_id=own_tenant, **more)

    store(
        *(of_tenant("live", age, score=age / 10) for age in (3, 2, 1)),
        of_tenant("paused", 20),
        of_tenant("stopped", 70),  # without an end, as of a collector that was killed
        of_tenant("over", 2, is_last=True),
        of_tenant("dropping", 1, anomalies=(began(),)),
    )
    assert subscribers(redis_client, own_tenant) == [0, 0, 0]
    first = get(dashboard, "sessions", own_tenant)
    assert [each["sessionId"] for each in first["sessions"]] == ["dropping", "live", "paused"]
    assert [each["sessionId"] for each in first["anomalies"]] == ["dropping"]
    live = first["sessions"][1]
    assert (live["score"], live["timestamp"]) == (0.1, timestamp(now_ms - 5000))
    names = Update.__struct_encode_fields__[: len(live)]
    assert [*live] == [*names]
    assert subscribers(redis_client, own_tenant) == [1, 1, 1]
    publish(of_tenant("live", 0, score=0.9), of_tenant("new", 0))
    ids = ["dropping", "live", "new", "paused"]
    wait_until(lambda: len(get(dashboard, "sessions", own_tenant)["sessions"]) == len(ids))
    found = get(dashboard, "sessions", own_tenant)["sessions"]
    assert [each["sessionId"] for each in found] == ids
    assert found[1]["score"] == 0.9


@pytest.mark.anyio
async def test_the_first_client_gets_the_list_and_then_what_changes(
    dashboard: Dashboard, connect: Connect, store: Write, publish: Write, own_tenant: str
) -> None:
    store(row("a", this_tick_ms(1), tenant_id=own_tenant))
    client = await connect(dashboard, show=token(own_tenant))
    await client.call("subscribe:sessions")
    (listed,) = (await client.body("sessions:update"))["sessions"]
    assert listed["sessionId"] == "a"
    publish(row("a", this_tick_ms(1), tenant_id=own_tenant))  # the tick that was stored already
    publish(row("a", this_tick_ms(), tenant_id=own_tenant, score=0.7))
    while listed["score"] != 0.7:
        (listed,) = (await client.body("sessions:update"))["sessions"]


def test_the_mode_of_a_session_is_known_from_its_next_update(
    serve: Serve, store: Write, publish: Write, own_tenant: str
) -> None:
    dashboard = serve(watched=(), jwt_secret=SECRET, tick_s=1)
    off = row("a", this_tick_ms(1), tenant_id=own_tenant, agent=AgentState("OFF", "IDLE"))
    store(off)
    publish(off)  # nobody receives it
    assert get(dashboard, "sessions", own_tenant)["sessions"][0]["sessionId"] == "a"
    publish(row("a", this_tick_ms(), tenant_id=own_tenant, agent=AgentState("OFF", "IDLE")))
    assert get(dashboard, "agent/sessions/a/status", own_tenant)["mode"] == "OFF"


def test_a_session_without_updates_has_the_default_mode_after_a_tick(
    serve: Serve, store: Write, own_tenant: str
) -> None:
    dashboard = serve(watched=(), jwt_secret=SECRET, tick_s=1)
    store(row("a", this_tick_ms(1), tenant_id=own_tenant))
    began_s = time.monotonic()
    assert get(dashboard, "agent/sessions/a/status", own_tenant)["mode"] == "SEMI_AUTO"
    assert 1 < time.monotonic() - began_s < 6
    began_s = time.monotonic()
    get(dashboard, "agent/sessions/a/status", own_tenant)
    assert time.monotonic() - began_s < 1


def test_a_tenant_that_nobody_uses_any_more_is_not_received(
    dashboard: Dashboard,
    store: Write,
    own_tenant: str,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(row("a", this_tick_ms(1), tenant_id=own_tenant))
    get(dashboard, "sessions", own_tenant)
    assert metric(dashboard, "sessions") == 1
    monkeypatch.setattr(watched_tenants, "WATCH_HOLD_S", 0.1)
    wait_until(lambda: subscribers(redis_client, own_tenant) == [0, 0, 0])
    assert metric(dashboard, "sessions") == 0
    assert len(get(dashboard, "sessions", own_tenant)["sessions"]) == 1


def test_another_tenant_is_not_received(
    dashboard: Dashboard, publish: Write, own_tenant: str, redis_client: redis.Redis
) -> None:
    get(dashboard, "sessions", own_tenant)
    assert subscribers(redis_client, "acme") == [0, 0, 0]
    before = metric(dashboard, "updates_heard_total")
    publish(row("a", this_tick_ms(), tenant_id="acme"))
    publish(row("a", this_tick_ms(), tenant_id=own_tenant))
    wait_until(lambda: metric(dashboard, "updates_heard_total") > before)
    assert metric(dashboard, "updates_heard_total") == before + 1

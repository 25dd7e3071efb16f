import asyncio
import json
from collections.abc import Callable
from functools import partial

import anyio
import httpx
import pytest
import redis

from conductor_actors.dashboard.realtime.broadcast import MAX_SUBSCRIPTIONS
from tests.dashboard.clients import SECRET, Client, Refused, token
from tests.dashboard.conftest import Connect, Serve, metric, this_tick_ms
from tests.support.score_rows import row

pytestmark = pytest.mark.anyio

Publish = Callable[..., None]


@pytest.mark.parametrize("namespace", ["/", "/events"])
@pytest.mark.parametrize("transports", [("websocket",), ("polling",), ("polling", "websocket")])
async def test_a_subscriber_gets_an_acknowledgement_the_history_and_every_update(
    serve: Serve, connect: Connect, publish: Publish, namespace: str, transports: tuple[str, ...]
) -> None:
    session_id = "s"
    client = await connect(serve(), namespace=namespace, transports=transports)
    assert client.transport == transports[-1]
    assert await client.subscribe(session_id) == {"ok": True}
    assert await client.body("engagement:history") == {"sessionId": session_id, "points": []}
    for ticks_ago in (2, 1, 0):
        publish(row(session_id, this_tick_ms(ticks_ago), score=0.25))
        update = await client.body("engagement:update")
        assert (update["sessionId"], update["score"]) == (session_id, 0.25)
        assert update["signals"]["active_users"] == 31
        assert update["contributions"]["leave_rate"] == -0.002


async def test_an_update_of_the_contract_is_sent_unchanged(
    serve: Serve, connect: Connect, session_id: str, redis_client: redis.Redis
) -> None:
    signals = {
        "chat_msgs_per_min": 12.0,
        "poll_participation": 0.4,
        "active_users": 31,
        "total_users": 50,
        "reactions_per_min": 9.0,
        "user_leave_rate": 0.02,
    }
    added = (0.2527, 0.1, 0.155, 0.096, -0.002)
    names = ("chat", "poll", "active_users", "reactions", "leave_rate")
    body = {
        "timestamp": "2026-01-04T12:00:05.000Z",
        "tenantId": "default",
        "sessionId": session_id,
        "eventId": "e",
        "score": 0.6018,
        "category": "HIGH",
        "signals": signals,
        "contributions": dict(zip(names, added, strict=True)),
    }
    client = await connect(serve())
    await client.subscribe(session_id)
    await client.body("engagement:history")
    redis_client.publish("engagement:update", json.dumps(body))
    assert await client.body("engagement:update") == body


async def test_a_session_in_the_url_is_subscribed_to_at_once(
    serve: Serve, connect: Connect, publish: Publish, session_id: str
) -> None:
    client = await connect(serve(), namespace="/", query=f"?sessionId={session_id}")
    assert (await client.body("engagement:history"))["sessionId"] == session_id
    publish(row(session_id, this_tick_ms()))
    assert (await client.body("engagement:update"))["sessionId"] == session_id


async def test_a_connection_has_several_subscriptions_until_they_are_removed(
    serve: Serve, connect: Connect, publish: Publish, session_id: str
) -> None:
    client = await connect(serve())
    first, second = f"{session_id}/1", f"{session_id} 2"
    for each in (first, second):
        assert await client.subscribe(each) == {"ok": True}
        await client.body("engagement:history")
    assert await client.call("unsubscribe:engagement", sessionId=first) == {"ok": True}
    publish(row(first, this_tick_ms()), row(second, this_tick_ms()))
    assert (await client.body("engagement:update"))["sessionId"] == second


async def test_an_anomaly_reaches_the_sessions_subscribers(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    anomaly = {
        "sessionId": session_id,
        "eventId": "e",
        "tenantId": "default",
        "timestamp": "2026-01-04T12:00:05.000Z",
        "type": "SUDDEN_DROP",
        "severity": "CRITICAL",
        "anomalyScore": 3.5,
        "currentEngagement": 0.2,
        "expectedEngagement": 0.7,
        "deviation": -0.5,
        "signals": {"active_users": 3, "user_leave_rate": 0.5},
    }
    client = await connect(serve())
    await client.subscribe(session_id)
    await client.body("engagement:history")
    redis_client.publish("anomaly:detected", json.dumps(anomaly))
    assert await client.body("anomaly:detected") == anomaly


@pytest.mark.parametrize(
    "session_id", [None, 7, "", "x" * 256, "a\0b", ["a"], {"$ne": ""}, True, "\ud800"]
)
async def test_an_invalid_session_id_is_refused(
    serve: Serve, connect: Connect, session_id: object
) -> None:
    client = await connect(serve())
    answer = await client.subscribe(session_id)
    assert answer["ok"] is False
    assert "sessionId" in answer["error"]


async def test_an_unknown_request_is_refused(serve: Serve, connect: Connect) -> None:
    client = await connect(serve())
    answer = await client.call("subscribe:everything")
    assert answer == {"ok": False, "error": "not understood"}


async def test_a_client_has_at_most_a_hundred_subscriptions(serve: Serve, connect: Connect) -> None:
    client = await connect(serve())
    for number in range(MAX_SUBSCRIPTIONS):
        assert await client.subscribe(f"s{number}") == {"ok": True}
    assert (await client.subscribe("one more"))["ok"] is False
    assert await client.subscribe("s0") == {"ok": True}


async def test_a_watcher_gets_all_sessions_and_then_those_that_change(
    serve: Serve, connect: Connect, publish: Publish, own_tenant: str
) -> None:
    dashboard, shown = serve([own_tenant], jwt_secret=SECRET), token(own_tenant)
    first = await connect(dashboard, show=shown)
    await first.call("subscribe:sessions")
    assert await _names(first) == []
    of_tenant = partial(row, tenant_id=own_tenant)
    publish(of_tenant("a", this_tick_ms(1)), of_tenant("b", this_tick_ms(1)))
    assert await _names(first) == ["a", "b"]
    client = await connect(dashboard, show=shown)
    assert await client.call("subscribe:sessions") == {"ok": True}
    assert await _names(client) == ["a", "b"]
    publish(of_tenant("b", this_tick_ms()), of_tenant("c", this_tick_ms()))
    assert await _names(client) == ["b", "c"]
    assert await client.call("unsubscribe:sessions") == {"ok": True}
    publish(of_tenant("a", this_tick_ms(-1)))
    assert [await _names(first), await _names(first)] == [["b", "c"], ["a"]]
    await client.subscribe("a")
    assert (await client.next())[0] == "engagement:history"


async def test_a_watcher_gets_a_tick_of_a_thousand_sessions_in_one_message(
    serve: Serve, connect: Connect, publish: Publish, own_tenant: str
) -> None:
    dashboard = serve([own_tenant], jwt_secret=SECRET)
    client = await connect(dashboard, show=token(own_tenant))
    await client.call("subscribe:sessions")
    assert await _names(client) == []
    of_tenant = partial(row, at_ms=this_tick_ms(), tenant_id=own_tenant)
    publish(*(of_tenant(f"s{number:04}") for number in range(1000)))
    assert len(await _names(client)) == 1000


async def test_an_update_that_is_not_newer_is_not_sent(
    serve: Serve, connect: Connect, publish: Publish, session_id: str
) -> None:
    client = await connect(serve())
    await client.subscribe(session_id)
    await client.body("engagement:history")
    for ticks_ago, score in ((1, 0.1), (1, 0.2), (2, 0.3), (0, 0.4)):
        publish(row(session_id, this_tick_ms(ticks_ago), score=score))
    assert (await client.body("engagement:update"))["score"] == 0.1
    assert (await client.body("engagement:update"))["score"] == 0.4


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"no json",
        b"[]",
        b'{"sessionId": "a"}',
        b"\xff",
        b'{"timestamp": "2026-13-45T99:00:00.000Z"}',
        b'{"x":' + b"[" * 100_000,
    ],
)
async def test_an_invalid_update_is_counted_and_later_ones_are_sent(
    serve: Serve, connect: Connect, publish: Publish, redis_client: redis.Redis, junk: bytes
) -> None:
    session_id = "s"
    dashboard = serve()
    client = await connect(dashboard)
    await client.subscribe(session_id)
    await client.body("engagement:history")
    for channel in ("engagement:update", "anomaly:detected", "anomaly:ended"):
        redis_client.publish(channel, junk)
    publish(row(session_id, this_tick_ms()))
    await client.body("engagement:update")
    assert metric(dashboard, "updates_invalid_total") == 3


async def test_tenants_with_the_same_session_id_get_only_their_own_updates(
    serve: Serve, connect: Connect, publish: Publish
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    tenants = ["default", "acme", "globex"]
    clients = {each: await connect(dashboard, show=token(each)) for each in tenants}
    for client in clients.values():
        await client.subscribe("shared")
        await client.body("engagement:history")
        await client.call("subscribe:sessions")
        await client.body("sessions:update")
    publish(*(row("shared", this_tick_ms(), tenant_id=each) for each in tenants))
    for tenant, client in clients.items():
        assert (await client.body("engagement:update"))["tenantId"] == tenant
        assert [s["tenantId"] for s in (await client.body("sessions:update"))["sessions"]] == [
            tenant
        ]
        assert client.received.empty()


async def test_the_tenant_of_an_update_is_its_channels_and_not_its_bodys(
    serve: Serve, connect: Connect, publish: Publish, redis_client: redis.Redis
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    acme = await connect(dashboard, show=token("acme"))
    globex = await connect(dashboard, show=token("globex"))
    for client in (acme, globex):
        await client.subscribe("s")
        await client.body("engagement:history")
    publish(row("s", this_tick_ms(1), tenant_id="globex"))
    body = await globex.body("engagement:update")
    assert body["tenantId"] == "globex"
    redis_client.publish("acme:engagement:update", json.dumps(body))
    assert (await acme.body("engagement:update"))["tenantId"] == "acme"
    assert globex.received.empty()


async def test_a_token_that_names_sessions_gives_access_to_no_others(
    serve: Serve, connect: Connect, publish: Publish
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    shown = token("acme", claims={"sessions": ["mine"]})
    client = await connect(dashboard, show=shown, query="?sessionId=other")
    assert (await client.body("subscription:error"))["sessionId"] == "other"
    assert (await client.subscribe("other"))["ok"] is False
    assert await client.subscribe("mine") == {"ok": True}
    assert (await client.body("engagement:history"))["sessionId"] == "mine"
    await client.call("subscribe:sessions")
    assert await _names(client) == []
    publish(*(row(each, this_tick_ms(), tenant_id="acme") for each in ("mine", "other")))
    assert (await client.body("engagement:update"))["sessionId"] == "mine"
    assert await _names(client) == ["mine"]


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (None, "a token is needed"),
        ("no token", "the token is not accepted"),
        (token(expires_in_s=-60), "the token has expired"),
        (token(key="another secret of 32 bytes or more"), "the token is not accepted"),
    ],
    ids=["no token", "no JWT", "expired", "another key"],  # the same in each process
)
async def test_a_client_without_a_valid_token_is_refused_with_the_reason(
    serve: Serve, connect: Connect, shown: str | None, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        await connect(serve(jwt_secret=SECRET), show=shown)


async def test_a_request_for_another_tenant_than_the_tokens_is_refused(
    serve: Serve, connect: Connect
) -> None:
    with pytest.raises(Refused, match="not yours"):
        await connect(serve(jwt_secret=SECRET), show=token("acme"), query="?tenant=globex")


async def test_without_tokens_a_client_chooses_its_tenant_and_has_default_otherwise(
    serve: Serve, connect: Connect, publish: Publish
) -> None:
    dashboard = serve()
    clients = [await connect(dashboard), await connect(dashboard, query="?tenant=acme")]
    for client in clients:
        await client.subscribe("s")
        await client.body("engagement:history")
    publish(*(row("s", this_tick_ms(), tenant_id=each) for each in ("default", "acme")))
    tenants = [(await client.body("engagement:update"))["tenantId"] for client in clients]
    assert tenants == ["default", "acme"]


async def test_a_client_whose_token_expires_gets_an_error_and_is_disconnected(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor_actors.dashboard.access.auth.LEEWAY_S", 0)
    dashboard = serve(jwt_secret=SECRET)
    staying = await connect(dashboard, show=token(expires_in_s=3600))
    leaving = await connect(dashboard, show=token(expires_in_s=2))
    assert await leaving.body("auth:error") == {
        "code": "token_expired",
        "message": "the token has expired",
    }
    assert (await leaving.next())[0] == "disconnect"
    assert (await staying.subscribe("s")) == {"ok": True}
    assert metric(dashboard, "clients_closed_total", reason="expired") == 1


async def test_a_closed_connection_no_longer_counts(serve: Serve, connect: Connect) -> None:
    dashboard = serve(clients_per_tenant=1)
    for _ in range(3):
        client = await connect(dashboard)
        await client.subscribe("s")
        await client.body("engagement:history")
        await client.close()
        await _until(lambda: metric(dashboard, "connections") == 0)
    assert metric(dashboard, "subscriptions") == 0


async def test_the_clients_of_a_tenant_are_limited(serve: Serve, connect: Connect) -> None:
    dashboard = serve(clients_per_tenant=2, jwt_secret=SECRET)
    for _ in range(2):
        await connect(dashboard, show=token("acme"))
    with pytest.raises(Refused, match="too many clients"):
        await connect(dashboard, show=token("acme"))
    await connect(dashboard, show=token("globex"))


async def test_the_connections_of_an_address_are_limited(serve: Serve, connect: Connect) -> None:
    dashboard = serve(clients_per_address=2)
    first = await connect(dashboard, transports=("polling",))
    await connect(dashboard)
    with pytest.raises(Refused):
        await connect(dashboard)
    poll = await anyio.to_thread.run_sync(
        httpx.get, f"{dashboard.address}socket.io/?EIO=4&transport=polling"
    )
    assert (poll.status_code, "too many" in poll.text) == (429, True)
    assert metric(dashboard, "clients_refused_total", reason="address") == 2
    assert int(poll.headers["retry-after"]) > 0
    await first.close()
    await _until(lambda: metric(dashboard, "connections") == 1)
    await connect(dashboard)


async def _names(client: Client) -> list[str]:
    body = await client.body("sessions:update")
    return [each["sessionId"] for each in body["sessions"]]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server runs on another thread
            await asyncio.sleep(0)

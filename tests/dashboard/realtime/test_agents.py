"""What conductors do reaches the subscribers of their sessions, and each thing once."""

import time
from collections.abc import Callable

import pytest
import redis
from msgspec.structs import replace

from conductor_actors.dashboard import app
from conductor_actors.dashboard.scores import stored_interventions, upstreams
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.wire.updates import encode_update, update_of
from tests.dashboard.agents import (
    announce,
    decision,
    event,
    executed,
    measured,
    moved,
    reward,
    status,
    suggestion,
)
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Connect, Serve, metric, this_tick_ms
from tests.dashboard.stored_agents import store_interventions
from tests.support.score_rows import row

pytestmark = pytest.mark.anyio

Write = Callable[..., None]

WATCHING = {"mode": "SEMI_AUTO", "status": "MONITORING", "decision_id": None}


async def test_a_subscriber_gets_each_message_about_its_session_once(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.subscribe(session_id)
    assert "decisions" not in await client.body("engagement:history")
    one = suggestion()
    sent = moved(moved(one, "APPROVED"), "SENT")
    done = moved(sent, "EXECUTED")
    known = measured(done)
    messages = [
        decision(session_id, one),
        status(session_id, "SEMI_AUTO", "WAITING_APPROVAL", one.id),
        decision(session_id, sent),
        decision(session_id, done),
        executed(session_id, done),
        decision(session_id, known),
        reward(session_id, known),
    ]
    for message in messages:
        announce(redis_client, message, decision("other", suggestion()), message)
    received = [await client.body(message["type"]) for message in messages]
    assert received == messages
    announce(redis_client, *messages, status(session_id, "OFF", "IDLE"))
    assert (await client.body("agent.status"))["data"]["mode"] == "OFF", "repeats are not sent"


async def test_a_subscriber_of_the_conductor_gets_its_present_state_at_once(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    dashboard = serve()
    first = await connect(dashboard)
    accepted = await first.call("agent:subscribe", sessionId=session_id)
    assert accepted == {"success": True, "sessionId": session_id}
    assert (await first.body("agent.status"))["data"] == WATCHING
    one = suggestion()
    waiting = status(session_id, "SEMI_AUTO", "WAITING_APPROVAL", one.id)
    announce(redis_client, decision(session_id, one), waiting)
    assert [(await first.next())[0] for _ in range(2)] == ["agent.decision", "agent.status"]
    second = await connect(dashboard)
    await second.call("agent:subscribe", sessionId=session_id)
    assert (await second.body("agent.status"))["data"] == waiting["data"]
    assert await second.body("agent.decision") == decision(session_id, one)
    third = await connect(dashboard)
    await third.subscribe(session_id)
    received = dict([await third.next() for _ in range(3)])
    assert received["agent.status"]["data"] == waiting["data"]
    assert received["agent.decision"] == decision(session_id, one)
    [in_history] = received["engagement:history"]["decisions"]
    assert in_history == decision(session_id, one)["data"]


async def test_without_a_conductor_its_mode_is_off(
    serve: Serve, connect: Connect, session_id: str
) -> None:
    client = await connect(serve(interventions=False))
    await client.call("agent:subscribe", sessionId=session_id)
    off = {"mode": "OFF", "status": "IDLE", "decision_id": None}
    assert (await client.body("agent.status"))["data"] == off


async def test_who_unsubscribes_from_the_conductor_keeps_the_scores(
    serve: Serve, connect: Connect, redis_client: redis.Redis, publish: Write, session_id: str
) -> None:
    client = await connect(serve())
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")
    left = await client.call("agent:unsubscribe", sessionId=session_id)
    assert left == {"success": True, "sessionId": session_id}
    announce(redis_client, decision(session_id, suggestion()))
    await client.subscribe(session_id)
    names = {(await client.next())[0] for _ in range(1)}
    assert names <= {"engagement:history", "agent.decision", "agent.status"}
    assert await client.call("agent:unsubscribe", sessionId=session_id)
    publish(row(session_id, this_tick_ms()))
    while (await client.next())[0] != "engagement:update":
        pass


@pytest.mark.parametrize(
    "body", [{}, {"sessionId": ""}, {"sessionId": 1}, {"sessionId": "x" * 256}]
)
@pytest.mark.parametrize("request_name", ["agent:subscribe", "agent:unsubscribe"])
async def test_a_session_that_can_not_be_is_refused(
    serve: Serve, connect: Connect, request_name: str, body: dict[str, object]
) -> None:
    client = await connect(serve())
    refused = await client.call(request_name, **body)
    assert (refused["success"], sorted(refused)) == (False, ["error", "success"])


async def test_tenants_and_tokens_of_some_sessions_see_their_own_conductors_only(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    theirs = await connect(dashboard, show=token("globex"))
    await theirs.call("agent:subscribe", sessionId=session_id)
    await theirs.body("agent.status")
    some = await connect(dashboard, show=token(claims={"sessions": ["another"]}))
    refused = await some.call("agent:subscribe", sessionId=session_id)
    assert (refused["success"], "token" in refused["error"]) == (False, True)
    ours = await connect(dashboard, show=token())
    await ours.call("agent:subscribe", sessionId=session_id)
    await ours.body("agent.status")
    one = decision(session_id, suggestion())
    announce(redis_client, one, tenant="acme")
    assert await ours.body("agent.decision") == one
    announce(redis_client, status(session_id, "OFF", "IDLE"), tenant="globex")
    assert (await theirs.body("agent.status"))["data"]["mode"] == "OFF"
    assert some.received.empty()


async def test_a_channel_of_two_tenants_is_of_the_one_whose_session_is_named(
    serve: Serve, connect: Connect, redis_client: redis.Redis
) -> None:
    dashboard = serve()
    plain = await connect(dashboard)
    await plain.call("agent:subscribe", sessionId="session:a")
    other = await connect(dashboard)
    await other.call("agent:subscribe", sessionId="a")
    tenants = await connect(dashboard, query="?tenant=session")
    await tenants.call("agent:subscribe", sessionId="a")
    for client in (plain, tenants, other):
        await client.body("agent.status")
    announce(redis_client, status("session:a", "OFF", "IDLE"))
    announce(redis_client, status("a", "MANUAL", "MONITORING"), tenant="session")
    assert (await plain.body("agent.status"))["data"]["mode"] == "OFF"
    assert (await tenants.body("agent.status"))["data"]["mode"] == "MANUAL"
    announce(redis_client, status("a", "AUTO", "MONITORING"))
    assert (await other.body("agent.status"))["data"]["mode"] == "AUTO"
    assert metric(dashboard, "updates_invalid_total") == 0


async def test_mode_and_status_are_known_from_updates_too(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    client = await connect(serve())
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")
    found = AgentState("MANUAL", "ANOMALY_DETECTED")

    def publish(ticks_ago: int, agent: AgentState | None) -> None:
        update = update_of(row(session_id, this_tick_ms(ticks_ago), agent=agent))
        redis_client.publish("engagement:update", encode_update(update))

    publish(2, found)
    assert (await client.body("agent.status"))["data"]["status"] == "ANOMALY_DETECTED"
    publish(1, found)
    publish(0, None)
    assert (await client.body("agent.status"))["data"] == WATCHING


async def test_a_message_that_can_not_be_read_is_counted_and_sent_to_nobody(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")
    channel = f"session:{session_id}:events"
    bad = [
        {"type": "agent.status", "session_id": session_id},
        event("agent.unknown", session_id, 0, {}),
        event("agent.status", session_id, 0, {"mode": "NO", "status": "IDLE", "decision_id": None}),
        event("agent.decision", session_id, 0, {"id": "x"}),
        event("agent.reward.measured", session_id, 0, {}),
        status(session_id, "OFF", "IDLE") | {"timestamp": "yesterday"},
    ]
    for body in ("not JSON", "[" * 5000, "\ud800".encode("utf-8", "surrogatepass")):
        redis_client.publish(channel, body)
    announce(redis_client, *bad, status(session_id, "OFF", "IDLE"))
    assert (await client.body("agent.status"))["data"]["mode"] == "OFF"
    assert metric(dashboard, "updates_invalid_total") == len(bad) + 3


async def test_the_list_has_the_open_decisions_of_its_sessions(
    serve: Serve, connect: Connect, redis_client: redis.Redis, publish: Write, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.call("subscribe:sessions")
    one = suggestion()
    publish(row(session_id, this_tick_ms(1)))
    announce(redis_client, decision(session_id, one))
    found: list[str] = []
    while not found:
        body = await client.body("sessions:update")
        found = [
            each["id"] for each in body.get("decisions", ()) if each["session_id"] == session_id
        ]
    assert found == [one.id]
    assert metric(dashboard, "open_decisions") >= 1
    announce(redis_client, decision(session_id, moved(one, "DISMISSED")))
    while found:
        body = await client.body("sessions:update")
        if session_id in [each["sessionId"] for each in body["sessions"]]:
            found = [each["id"] for each in body.get("decisions", ()) if each["id"] == one.id]


async def test_what_was_decided_before_the_start_is_read_from_the_database(
    serve: Serve, connect: Connect, shared_database: str, session_id: str
) -> None:
    one = suggestion()
    store_interventions(shared_database, one, session_id=session_id)
    store_interventions(
        shared_database, replace(suggestion(), expires_ms=to_ms_now() - 1), session_id=session_id
    )
    client = await connect(serve())
    until_s = time.monotonic() + 10
    while True:
        await client.call("agent:subscribe", sessionId=session_id)
        await client.body("agent.status")
        await client.subscribe(session_id)
        events = [await client.next() for _ in range(2)]
        names = [name for name, _ in events]
        if "agent.decision" in names:
            break
        assert time.monotonic() < until_s
    [found] = [body for name, body in events if name == "agent.decision"]
    assert found["data"]["id"] == one.id


def to_ms_now() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def often_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_interventions, "DECISIONS_REFRESH_S", 0.2)


@pytest.mark.usefixtures("often_refreshed")
async def test_what_was_missed_is_sent_once_from_the_database(
    serve: Serve,
    connect: Connect,
    shared_database: str,
    redis_client: redis.Redis,
    session_id: str,
) -> None:
    client = await connect(serve())
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")
    one = suggestion(ticks_ago=30)
    announce(redis_client, decision(session_id, one))
    await client.body("agent.decision")
    done = measured(moved(moved(moved(one, "APPROVED"), "SENT"), "EXECUTED"))
    store_interventions(shared_database, done, session_id=session_id)
    names = [(await client.next())[0] for _ in range(3)]
    assert names == ["agent.decision", "agent.intervention.executed", "agent.reward.measured"]
    announce(
        redis_client,
        decision(session_id, done),
        executed(session_id, done),
        reward(session_id, done),
        status(session_id, "OFF", "IDLE"),
    )
    await client.body("agent.status")


@pytest.fixture
def soon_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "RESUME_DELAY_S", 0.1)
    monkeypatch.setattr(upstreams, "MAX_RECONNECT_DELAY_S", 0.1)


@pytest.mark.usefixtures("soon_resumed")
async def test_after_an_outage_of_redis_what_was_missed_and_the_present_state_are_sent(
    serve: Serve,
    connect: Connect,
    redis_client: redis.Redis,
    shared_database: str,
    session_id: str,
) -> None:
    client = await connect(serve())
    await client.call("agent:subscribe", sessionId=session_id)
    await client.body("agent.status")
    one = suggestion()
    store_interventions(shared_database, one, session_id=session_id)
    redis_client.client_kill_filter(_type="pubsub")
    assert (await client.body("agent.decision"))["data"]["id"] == one.id
    assert (await client.body("agent.status"))["data"] == WATCHING

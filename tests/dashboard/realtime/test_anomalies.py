"""Anomalies reach the subscribers of their sessions and of the list, and are not open for ever."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis

from conductor_actors.dashboard import app
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.realtime.anomaly_fan_out import AnomalyFanOut
from conductor_actors.dashboard.realtime.broadcast import Broadcast
from conductor_actors.dashboard.realtime.changed_sessions import ChangedSessions
from conductor_actors.dashboard.realtime.connections import MAX_QUEUED_PACKETS
from conductor_actors.dashboard.scores import stored_anomalies, upstreams
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.ports.anomaly_port import StoredAnomaly
from conductor_actors.wire.anomaly_messages import Anomaly, AnomalyEnd, encode_anomaly_message
from tests.dashboard.clients import SECRET, Client, token
from tests.dashboard.conftest import Connect, Serve, metric, this_tick_ms
from tests.dashboard.realtime.test_broadcast import FakeClient
from tests.dashboard.scores.test_live_sessions import update
from tests.dashboard.stored_sessions import access_of
from tests.support.score_rows import row, with_body
from tests.support.stored_anomalies import anomaly, begin_of, end_of, store_anomalies

pytestmark = pytest.mark.anyio

Write = Callable[..., None]
Announce = Callable[[Anomaly | AnomalyEnd], None]


@pytest.fixture
def announce(redis_client: redis.Redis) -> Announce:
    """Publish the begin or the end of an anomaly."""

    def publish(message: Anomaly | AnomalyEnd) -> None:
        name = "anomaly:detected" if isinstance(message, Anomaly) else "anomaly:ended"
        prefix = "" if message.tenant_id == "default" else f"{message.tenant_id}:"
        redis_client.publish(prefix + name, encode_anomaly_message(message))

    return publish


def no_decisions() -> LiveDecisions:
    return LiveDecisions(lambda: 0.0, "SEMI_AUTO")


def incident(session_id: str, ticks_ago: int = 2, **changes: Any) -> StoredAnomaly:
    at_ms = this_tick_ms(ticks_ago)
    return anomaly(uuid4().int, at_ms, session_id=session_id, **changes)


async def list_of(client: Client, session_id: str) -> Any:
    """Return the next list that has the session, and its open anomalies."""
    while True:
        body = await client.body("sessions:update")
        if session_id in [each["sessionId"] for each in body["sessions"]]:
            return [one for one in body.get("anomalies", ()) if one["sessionId"] == session_id]


async def test_subscribers_get_the_begin_and_the_end_once(
    serve: Serve, connect: Connect, announce: Announce, session_id: str
) -> None:
    one = incident(session_id)
    client = await connect(serve())
    await client.subscribe(session_id)
    assert "anomalies" not in await client.body("engagement:history")
    for other in (one, incident("other"), one):
        announce(begin_of(other))
    begin = await client.body("anomaly:detected")
    assert (begin["id"], begin["reason"]) == (one.id, one.reason)
    for _ in range(2):
        announce(end_of(one, one.at_ms + 10_000))
    end = await client.body("anomaly:ended")
    assert (end["id"], end["durationS"]) == (one.id, 10.0)
    await client.subscribe(session_id)
    (record,) = (await client.body("engagement:history"))["anomalies"]
    assert record == {
        **begin,
        "endedAt": end["timestamp"],
        "durationS": 10.0,
        "feedback": None,
    }


async def test_an_anomaly_of_another_program_is_passed_on(
    serve: Serve, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    client = await connect(serve())
    await client.subscribe(session_id)
    await client.body("engagement:history")
    redis_client.publish(
        "anomaly:detected",
        b'{"timestamp": "2026-01-04 13:00:00+01:00", "sessionId": "%b", "eventId": "e", "x": [1],'
        b' "type": "SPAM_WAVE", "severity": "WARNING", "anomalyScore": 3, "currentEngagement": 0.1,'
        b' "expectedEngagement": 0.5, "deviation": -0.4}' % session_id.encode(),
    )
    body = await client.body("anomaly:detected")
    assert (body["type"], body["timestamp"]) == ("SPAM_WAVE", "2026-01-04T12:00:00.000Z")
    assert (body["tenantId"], "id" in body) == ("default", False)


async def test_the_list_has_the_open_anomalies_of_its_sessions(
    serve: Serve, connect: Connect, announce: Announce, publish: Write, session_id: str
) -> None:
    dashboard = serve()
    client = await connect(dashboard)
    await client.call("subscribe:sessions")
    publish(row(session_id, this_tick_ms(1)))
    assert await list_of(client, session_id) == []
    one = incident(session_id)
    announce(begin_of(one))
    assert [each["id"] for each in await list_of(client, session_id)] == [one.id]
    assert metric(dashboard, "open_anomalies") >= 1
    another = await connect(dashboard)
    await another.call("subscribe:sessions")
    assert [each["id"] for each in await list_of(another, session_id)] == [one.id]
    announce(end_of(one, one.at_ms + 5_000))
    assert await list_of(client, session_id) == []


async def test_a_token_for_some_sessions_gets_only_their_anomalies(
    serve: Serve, connect: Connect, announce: Announce, publish: Write
) -> None:
    client = await connect(
        serve(jwt_secret=SECRET), show=token("acme", claims={"sessions": ["mine"]})
    )
    await client.call("subscribe:sessions")
    for name in ("mine", "yours"):
        publish(row(name, this_tick_ms(1), tenant_id="acme"))
        announce(begin_of(incident(name, tenant_id="acme")))
    found: list[Any] = []
    while not found:
        body = await client.body("sessions:update")
        assert {each["sessionId"] for each in body["sessions"]} <= {"mine"}
        found = body.get("anomalies", [])
    assert [one["sessionId"] for one in found] == ["mine"]


async def test_a_dashboard_that_starts_in_mid_incident_knows_it(
    serve: Serve, connect: Connect, publish: Write, shared_database: str, session_id: str
) -> None:
    old = incident(session_id, 200, ended_ms=this_tick_ms(100))
    over = incident(session_id, 30, ended_ms=this_tick_ms(10))
    still = incident(session_id, 2)
    store_anomalies(shared_database, old, over, still)
    dashboard = serve()
    client = await connect(dashboard)
    found: list[Any] = []
    while not found:
        await client.subscribe(session_id)
        name, body = await client.next()
        if name == "engagement:history":
            found = body.get("anomalies", [])
    assert [one["id"] for one in found] == [over.id, still.id]
    assert [one["endedAt"] is None for one in found] == [False, True]
    watcher = await connect(dashboard)
    await watcher.call("subscribe:sessions")
    publish(row(session_id, this_tick_ms(1)))
    assert [one["id"] for one in await list_of(watcher, session_id)] == [still.id]


@pytest.fixture
async def subscriber(serve: Serve, connect: Connect, session_id: str) -> Client:
    client = await connect(serve())
    await client.subscribe(session_id)
    await client.body("engagement:history")
    return client


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits after an outage of Redis."""
    monkeypatch.setattr(upstreams, "MAX_RECONNECT_DELAY_S", 0.1)
    monkeypatch.setattr(app, "RESUME_DELAY_S", 0.1)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the interval of refreshes from the database."""
    monkeypatch.setattr(stored_anomalies, "REFRESH_INTERVAL_S", 0.1)


@pytest.mark.usefixtures("soon")
async def test_what_was_missed_while_redis_was_away_comes_from_the_database(
    subscriber: Client, shared_database: str, redis_client: redis.Redis, session_id: str
) -> None:
    client = subscriber
    one, another = incident(session_id), incident(session_id, 1)
    redis_client.publish("anomaly:detected", encode_anomaly_message(begin_of(one)))
    await client.body("anomaly:detected")
    store_anomalies(shared_database, one._replace(ended_ms=one.at_ms + 5_000), another)
    redis_client.client_kill_filter(_type="pubsub")
    begin = await client.body("anomaly:detected")
    end = await client.body("anomaly:ended")
    assert (begin["id"], end["id"]) == (another.id, one.id)
    anomalies = (await client.body("engagement:history"))["anomalies"]
    assert [each["endedAt"] is None for each in anomalies] == [False, True]


@pytest.mark.usefixtures("often")
async def test_an_end_that_was_missed_for_another_reason_is_found_at_an_interval(
    subscriber: Client, announce: Announce, shared_database: str, session_id: str
) -> None:
    one = incident(session_id)
    announce(begin_of(one))
    await subscriber.body("anomaly:detected")
    store_anomalies(shared_database, one._replace(ended_ms=one.at_ms + 5_000))
    assert (await subscriber.body("anomaly:ended"))["durationS"] == 5.0


def test_watchers_get_no_message_about_the_anomaly_of_a_session_that_is_not_live() -> None:
    sessions, anomalies = LiveSessions(5, lambda: 0.0), LiveAnomalies(time.time)
    overview = SessionOverview(sessions, anomalies, no_decisions())
    broadcast = Broadcast(overview, access_of(sessions), DashboardMetrics())
    fake = FakeClient(broadcast)
    broadcast.watch(fake.client)
    assert fake.read() == [("sessions:update", {"sessions": []})]
    anomalies.begin(begin_of(incident("s")))
    broadcast.send_to_watchers("default", {"s"})
    assert fake.read() == []
    sessions.add(*with_body(update()))
    broadcast.send_to_watchers("default", {"s"})
    ((_, body),) = fake.read()
    assert (len(body["sessions"]), len(body["anomalies"])) == (1, 1)


def test_few_anomalies_wait_for_a_client_that_reads_nothing() -> None:
    sessions, anomalies = LiveSessions(5, lambda: 0.0), LiveAnomalies(time.time)
    overview = SessionOverview(sessions, anomalies, no_decisions())
    broadcast = Broadcast(overview, access_of(sessions), DashboardMetrics())
    fake = FakeClient(broadcast)
    broadcast.subscribe(fake.client, "s")
    changed = ChangedSessions(broadcast, lambda: 0.0)
    fan_out = AnomalyFanOut(anomalies, broadcast, changed)
    for number in range(200):
        begin = begin_of(incident("s", type=f"TYPE_{number}"))
        assert fan_out.receive_begin("default", encode_anomaly_message(begin))
    for kind in ("SUDDEN_DROP", "MASS_EXIT"):
        begin = begin_of(incident("s", type=kind))
        assert fan_out.receive_begin("default", encode_anomaly_message(begin))
    assert len(fake.read()) == MAX_QUEUED_PACKETS
    broadcast.flush()
    assert [body["type"] for _, body in fake.read()] == ["TYPE_199", "SUDDEN_DROP", "MASS_EXIT"]

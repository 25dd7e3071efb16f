"""The messages that wait for a slow client are bounded, and the newest."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.dashboard.access.auth import Caller
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.realtime.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.realtime.connections import MAX_QUEUED_PACKETS, Connection
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.domain.identity import SessionKey
from tests.dashboard.scores.test_live_sessions import update
from tests.dashboard.stored_sessions import access_of
from tests.support.score_rows import with_body


class FakeClient:
    """A client that reads only when a test says so: `read` empties the library's queue."""

    def __init__(self, broadcast: Broadcast, caller: Caller | None = None) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        socket = SimpleNamespace(queue=self.queue, closed=False)
        self.connection = Connection(socket, "127.0.0.1", 0.0)
        self.client = Client("sid", "/events", self.connection, caller or Caller("default"))
        broadcast.add(self.client)

    def read(self) -> list[tuple[str, Any]]:
        packets = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        texts = [packet.encode().removeprefix("42/events,") for packet in packets]
        return [(event, body) for event, body in map(json.loads, texts)]


def overview_of(live: LiveSessions) -> SessionOverview:
    return SessionOverview(
        live, LiveAnomalies(lambda: 0.0), LiveDecisions(lambda: 0.0, "SEMI_AUTO")
    )


@pytest.fixture
def live() -> LiveSessions:
    return LiveSessions(5, lambda: 0.0)


@pytest.fixture
def broadcast(live: LiveSessions) -> Broadcast:
    return Broadcast(overview_of(live), access_of(live), DashboardMetrics())


def send(broadcast: Broadcast, session: str, number: int) -> None:
    body = f'{{"n":{number}}}'.encode()
    broadcast.send_to_subscribers(
        SessionKey("default", session), "update", "engagement:update", body
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=120))
def test_the_newest_update_of_each_session_is_received_last(
    steps: list[tuple[str, bool]],
) -> None:
    live = LiveSessions(5, lambda: 0.0)
    broadcast = Broadcast(overview_of(live), access_of(live), DashboardMetrics())
    fake = FakeClient(broadcast)
    newest: dict[str, int] = {}
    read: dict[str, list[int]] = {each: [] for each in "abc"}

    def take() -> None:
        for _, body in fake.read():
            read[body["s"]].append(body["n"])

    for each in "abc":
        broadcast.subscribe(fake.client, each)
    for number, (session, reads) in enumerate(steps):
        newest[session] = number
        body = f'{{"s":"{session}","n":{number}}}'.encode()
        broadcast.send_to_subscribers(
            SessionKey("default", session), "update", "engagement:update", body
        )
        assert fake.queue.qsize() <= MAX_QUEUED_PACKETS + 3
        if reads:
            take()
            broadcast.flush()
    for _ in range(2):
        take()
        broadcast.flush()
    assert {session: numbers[-1] for session, numbers in read.items() if numbers} == newest
    assert all(numbers == sorted(numbers) for numbers in read.values())


def test_a_message_is_encoded_once_for_each_namespace() -> None:
    message = Message("engagement:update", b'{"a":1}')
    assert message.packet("/") is message.packet("/")
    assert message.packet("/").encode() == '42["engagement:update",{"a":1}]'
    assert message.packet("/events").encode() == '42/events,["engagement:update",{"a":1}]'


def test_who_has_two_subscriptions_to_a_session_gets_what_its_conductor_does_once(
    broadcast: Broadcast,
) -> None:
    fake, key = FakeClient(broadcast), SessionKey("default", "s")
    broadcast.subscribe(fake.client, "s")
    broadcast.subscribe_agent(fake.client, "s")
    broadcast.send_to_agent_subscribers(key, "agent.status", "agent.status", b"1")
    assert fake.read() == [("agent.status", 1)]
    broadcast.unsubscribe(fake.client, "s")
    send(broadcast, "s", 2)
    broadcast.send_to_agent_subscribers(key, "agent.status", "agent.status", b"3")
    assert fake.read() == [("agent.status", 3)]
    broadcast.unsubscribe_agent(fake.client, "s")
    broadcast.unsubscribe_agent(fake.client, "s")
    broadcast.send_to_agent_subscribers(key, "agent.status", "agent.status", b"4")
    assert (fake.read(), broadcast.agent_subscribed_sessions()) == ([], [])
    assert fake.connection.subscriptions == 0


def test_what_waits_about_a_session_is_dropped_with_its_last_subscription(
    broadcast: Broadcast,
) -> None:
    fake = FakeClient(broadcast)
    broadcast.subscribe(fake.client, "s")
    broadcast.subscribe_agent(fake.client, "s")
    for number in range(MAX_QUEUED_PACKETS + 1):
        send(broadcast, "s", number)
    assert fake.client.is_behind
    broadcast.unsubscribe_agent(fake.client, "s")
    assert fake.client.is_behind
    broadcast.unsubscribe(fake.client, "s")
    assert not fake.client.is_behind


def test_a_client_that_is_removed_has_no_subscriptions(broadcast: Broadcast) -> None:
    fake = FakeClient(broadcast)
    broadcast.subscribe(fake.client, "s")
    broadcast.subscribe_agent(fake.client, "s")
    broadcast.remove(fake.client)
    assert broadcast.agent_subscribed_sessions() == []
    assert fake.connection.subscriptions == 0


def test_an_anomaly_replaces_only_one_of_its_type(broadcast: Broadcast) -> None:
    fake = FakeClient(broadcast)
    broadcast.subscribe(fake.client, "s")
    for number in range(MAX_QUEUED_PACKETS):
        send(broadcast, "s", number)
    key = SessionKey("default", "s")
    for kind in ("update", "MASS_EXIT", "update", "SUDDEN_DROP", "MASS_EXIT"):
        broadcast.send_to_subscribers(key, kind, "e", f'"{kind}"'.encode())
    fake.read()
    broadcast.flush()
    assert [body for _, body in fake.read()] == ["update", "MASS_EXIT", "SUDDEN_DROP"]


def test_unsubscribing_drops_the_messages_that_wait_about_the_session(broadcast: Broadcast) -> None:
    fake = FakeClient(broadcast)
    for session in ("a", "b"):
        broadcast.subscribe(fake.client, session)
    for number in range(MAX_QUEUED_PACKETS + 1):
        send(broadcast, "a", number)
    send(broadcast, "b", 99)
    fake.read()
    broadcast.unsubscribe(fake.client, "a")
    broadcast.flush()
    assert fake.read() == [("engagement:update", {"n": 99})]


def test_a_slow_watcher_gets_one_message_with_the_newest_updates(
    broadcast: Broadcast, live: LiveSessions
) -> None:
    fake = FakeClient(broadcast)
    broadcast.watch(fake.client)
    for tick in range(40):
        session = f"s{tick % 20:02}"
        live.add(*with_body(update(tick, session)))
        broadcast.send_to_watchers("default", {session})
    assert fake.queue.qsize() == MAX_QUEUED_PACKETS
    fake.read()
    broadcast.flush()
    ((event, body),) = fake.read()
    assert event == "sessions:update"
    assert {each["sessionId"] for each in body["sessions"]} == {f"s{n:02}" for n in range(20)}
    assert all(each["timestamp"] >= "2026-01-04T12:01:40" for each in body["sessions"][:1])


def test_a_watcher_gets_only_the_sessions_of_its_token(
    broadcast: Broadcast, live: LiveSessions
) -> None:
    some = FakeClient(broadcast, Caller("default", frozenset({"mine", "also"})))
    other = FakeClient(broadcast, Caller("acme"))
    for fake in (some, other):
        broadcast.watch(fake.client)
        assert fake.read() == [("sessions:update", {"sessions": []})]
    for session in ("mine", "yours"):
        live.add(*with_body(update(session=session)))
    broadcast.send_to_watchers("default", {"mine", "yours"})
    broadcast.send_to_watchers("default", {"yours"})
    ((_, body),) = some.read()
    assert [each["sessionId"] for each in body["sessions"]] == ["mine"]
    assert other.read() == []


def test_a_removed_client_has_no_subscriptions_and_gets_no_messages(broadcast: Broadcast) -> None:
    fake = FakeClient(broadcast)
    broadcast.watch(fake.client)
    for session in ("a", "b"):
        broadcast.subscribe(fake.client, session)
    for number in range(2 * MAX_QUEUED_PACKETS):
        send(broadcast, "a", number)
    broadcast.remove(fake.client)
    broadcast.remove(fake.client)
    assert (
        len(broadcast),
        broadcast.count_clients("default"),
        broadcast.subscribed_sessions(),
    ) == (0, 0, [])
    assert fake.connection.subscriptions == 0
    fake.read()
    send(broadcast, "a", 99)
    broadcast.send_to_watchers("default", {"a"})
    broadcast.flush()
    assert fake.read() == []

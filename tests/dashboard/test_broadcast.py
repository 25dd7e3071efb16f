"""What a client that falls behind has waiting for it is bounded, and the newest."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.dashboard.auth import Caller
from conductor_actors.dashboard.broadcast import Broadcast, Client, Message
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.connections import WAITING, Connection
from conductor_actors.dashboard.hub import Hub
from conductor_actors.domain.identity import SessionKey
from tests.dashboard.test_hub import update


class Wire:
    """What a client gets to read, and when: `read` empties the library's queue."""

    def __init__(self, audience: Broadcast, caller: Caller | None = None) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        socket = SimpleNamespace(queue=self.queue, closed=False)
        self.connection = Connection(socket, "127.0.0.1", 0.0)
        self.client = Client("sid", "/events", self.connection, caller or Caller("default"))
        audience.add(self.client)

    def read(self) -> list[tuple[str, Any]]:
        packets = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        texts = [packet.encode().removeprefix("42/events,") for packet in packets]
        return [(event, body) for event, body in map(json.loads, texts)]


@pytest.fixture
def hub() -> Hub:
    return Hub(5, lambda: 0.0)


@pytest.fixture
def audience(hub: Hub) -> Broadcast:
    return Broadcast(hub, DashboardMetrics())


def announce(audience: Broadcast, session: str, number: int) -> None:
    body = f'{{"n":{number}}}'.encode()
    audience.announce(SessionKey("default", session), "update", "engagement:update", body)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=120))
def test_whatever_is_read_when_the_newest_of_each_session_comes_last(
    steps: list[tuple[str, bool]],
) -> None:
    audience = Broadcast(Hub(5, lambda: 0.0), DashboardMetrics())
    wire = Wire(audience)
    newest: dict[str, int] = {}
    read: dict[str, list[int]] = {each: [] for each in "abc"}

    def take() -> None:
        for _, body in wire.read():
            read[body["s"]].append(body["n"])

    for each in "abc":
        audience.subscribe(wire.client, each)
    for number, (session, reads) in enumerate(steps):
        newest[session] = number
        body = f'{{"s":"{session}","n":{number}}}'.encode()
        audience.announce(SessionKey("default", session), "update", "engagement:update", body)
        assert wire.queue.qsize() <= WAITING + 3
        if reads:
            take()
            audience.flush()
    for _ in range(2):
        take()
        audience.flush()
    assert {session: numbers[-1] for session, numbers in read.items() if numbers} == newest
    assert all(numbers == sorted(numbers) for numbers in read.values())


def test_a_message_is_encoded_once_for_all() -> None:
    message = Message("engagement:update", b'{"a":1}')
    assert message.packet("/") is message.packet("/")
    assert message.packet("/").encode() == '42["engagement:update",{"a":1}]'
    assert message.packet("/events").encode() == '42/events,["engagement:update",{"a":1}]'


def test_an_anomaly_does_not_replace_an_update_nor_one_of_another_type(audience: Broadcast) -> None:
    wire = Wire(audience)
    audience.subscribe(wire.client, "s")
    for number in range(WAITING):
        announce(audience, "s", number)
    key = SessionKey("default", "s")
    for kind in ("update", "MASS_EXIT", "update", "SUDDEN_DROP", "MASS_EXIT"):
        audience.announce(key, kind, "e", f'"{kind}"'.encode())
    wire.read()
    audience.flush()
    assert [body for _, body in wire.read()] == ["update", "MASS_EXIT", "SUDDEN_DROP"]


def test_what_waits_for_somebody_who_has_unsubscribed_is_dropped(audience: Broadcast) -> None:
    wire = Wire(audience)
    for session in ("a", "b"):
        audience.subscribe(wire.client, session)
    for number in range(WAITING + 1):
        announce(audience, "a", number)
    announce(audience, "b", 99)
    wire.read()
    audience.unsubscribe(wire.client, "a")
    audience.flush()
    assert wire.read() == [("engagement:update", {"n": 99})]


def test_sessions_that_change_while_a_watcher_is_behind_come_in_one_message_with_their_newest(
    audience: Broadcast, hub: Hub
) -> None:
    wire = Wire(audience)
    audience.watch(wire.client)
    for tick in range(40):
        session = f"s{tick % 20:02}"
        hub.take(update(tick, session))
        audience.announce_sessions("default", {session})
    assert wire.queue.qsize() == WAITING
    wire.read()
    audience.flush()
    ((event, body),) = wire.read()
    assert event == "sessions:update"
    assert {each["sessionId"] for each in body["sessions"]} == {f"s{n:02}" for n in range(20)}
    assert all(each["timestamp"] >= "2026-01-04T12:01:40" for each in body["sessions"][:1])


def test_a_watcher_hears_of_its_own_sessions_only(audience: Broadcast, hub: Hub) -> None:
    some = Wire(audience, Caller("default", frozenset({"mine", "also"})))
    other = Wire(audience, Caller("acme"))
    for wire in (some, other):
        audience.watch(wire.client)
        assert wire.read() == [("sessions:update", {"sessions": []})]
    for session in ("mine", "yours"):
        hub.take(update(session=session))
    audience.announce_sessions("default", {"mine", "yours"})
    audience.announce_sessions("default", {"yours"})
    ((_, body),) = some.read()
    assert [each["sessionId"] for each in body["sessions"]] == ["mine"]
    assert other.read() == []


def test_nothing_is_left_of_a_client_that_is_gone(audience: Broadcast) -> None:
    wire = Wire(audience)
    audience.watch(wire.client)
    for session in ("a", "b"):
        audience.subscribe(wire.client, session)
    for number in range(2 * WAITING):
        announce(audience, "a", number)
    audience.remove(wire.client)
    audience.remove(wire.client)
    assert (len(audience), audience.of_tenant("default"), audience.subscribed()) == (0, 0, [])
    assert wire.connection.interests == 0
    wire.read()
    announce(audience, "a", 99)
    audience.announce_sessions("default", {"a"})
    audience.flush()
    assert wire.read() == []

"""Clients that do not read, send nothing, too much or malformed data do not affect others."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from conductor_actors.dashboard.realtime import connections, socket_server
from conductor_actors.dashboard.timeouts import HttpWithTimeouts, WebSocketWithTimeouts
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Connect, Serve, metric, this_tick_ms
from tests.dashboard.raw import SMALL, RawSocket, RawWebSocket
from tests.support.score_rows import row

SOON_S = 0.5

Publish = Callable[..., None]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.anyio
async def test_a_client_that_does_not_read_is_closed_and_others_get_every_update(
    serve: Serve,
    connect: Connect,
    publish: Publish,
    opened: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WebSocketWithTimeouts, "read_timeout_s", SOON_S)
    dashboard = serve()
    sessions = [f"s{number}" for number in range(50)]
    slow = opened.enter_context(RawWebSocket(dashboard.address, SMALL))
    slow.connect()
    healthy = await connect(dashboard)
    for session_id in sessions:
        slow.send_text(f'42/events,["subscribe:engagement",{{"sessionId":"{session_id}"}}]')
        await healthy.subscribe(session_id)
        await healthy.body("engagement:history")
    ticks = 0
    async with asyncio.timeout(30):
        while not metric(dashboard, "clients_closed_total", reason="slow"):
            ticks += 1
            publish(*(row(each, this_tick_ms(-ticks)) for each in sessions))
            for _ in sessions:
                await healthy.body("engagement:update")
    await _until(lambda: metric(dashboard, "connections") == 1)
    assert ticks > 1
    assert slow.is_closed()


@pytest.mark.anyio
async def test_for_a_client_that_does_not_read_newer_messages_replace_older_ones(
    serve: Serve, connect: Connect, publish: Publish, opened: ExitStack
) -> None:
    dashboard = serve()
    slow = opened.enter_context(RawWebSocket(dashboard.address, SMALL))
    slow.connect()
    slow.send_text('42/events,["subscribe:engagement",{"sessionId":"s"}]')
    slow.send_text('42/events,["subscribe:sessions",{}]')
    healthy = await connect(dashboard)
    await healthy.subscribe("s")
    await healthy.body("engagement:history")
    ticks = 2000
    for tick in range(ticks):
        publish(row("s", this_tick_ms(-tick)))
        await healthy.body("engagement:update")
    assert metric(dashboard, "messages_replaced_total") > ticks / 2
    queues = [each.socket.queue.qsize() for each in dashboard._app._connections._open.values()]
    assert max(queues) < connections.MAX_UNREAD_ANSWERS


def test_a_client_that_sends_requests_and_does_not_read_the_answers_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_MESSAGES_PER_S", 10**9)
    monkeypatch.setattr(connections, "MAX_UNREAD_ANSWERS", 8)
    monkeypatch.setattr(WebSocketWithTimeouts, "read_timeout_s", SOON_S)
    dashboard = serve()
    slow = opened.enter_context(RawWebSocket(dashboard.address, SMALL))
    slow.connect()
    _send_until_closed(slow, '42/events,1["subscribe:engagement",{"sessionId":"s"}]')
    assert metric(dashboard, "clients_closed_total", reason="flooding") == 1


def test_a_client_that_sends_too_many_messages_is_closed(serve: Serve, opened: ExitStack) -> None:
    dashboard = serve()
    client = opened.enter_context(RawWebSocket(dashboard.address))
    client.connect()
    _send_until_closed(client, '42/events,["agent:subscribe",{}]')
    assert metric(dashboard, "clients_closed_total", reason="flooding") == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        '42/events,["connect",{"QUERY_STRING":"tenant=globex","asgi.scope":{}},null]',
        '42/events,["disconnect","server disconnect"]',
        '452-/events,["subscribe:engagement",{"_placeholder":true,"num":0}]',
        "4" + "42",
        "42/events,{}",
        "42/events,[]",
        "42/events,[7]",
        "42/events," + "[" * 3000,
        "42/events,[",
        '4{"a":1}',
        "4",
        "49",
    ],
)
def test_a_client_that_sends_a_malformed_message_is_closed(
    serve: Serve, opened: ExitStack, nonsense: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    client = opened.enter_context(RawWebSocket(dashboard.address))
    client.send_text(f'40/events,{{"token":"{token()}"}}')
    assert b"40/events" in client.receive()
    client.send_text(nonsense)
    assert client.is_closed()
    assert metric(dashboard, "clients_closed_total", reason="malformed") == 1
    assert httpx.get(f"{dashboard.address}health").status_code == 200


@pytest.mark.parametrize("rubbish", ["", "x", "b!!!"])
def test_an_invalid_packet_closes_only_its_connection(
    serve: Serve, opened: ExitStack, rubbish: str
) -> None:
    dashboard = serve()
    client = opened.enter_context(RawWebSocket(dashboard.address))
    client.send_text(rubbish)
    assert client.is_closed()
    assert httpx.get(f"{dashboard.address}health").status_code == 200


def test_a_binary_message_is_refused(serve: Serve, opened: ExitStack) -> None:
    dashboard = serve()
    client = opened.enter_context(RawWebSocket(dashboard.address))
    client.connect()
    client.send_bytes(b"\x00" * 100)
    assert client.is_closed()


def test_a_message_over_4_kib_closes_the_connection(serve: Serve, opened: ExitStack) -> None:
    dashboard = serve()
    client = opened.enter_context(RawWebSocket(dashboard.address))
    client.connect()
    client.send_text("42/events," + json.dumps(["subscribe:engagement", {"sessionId": "s" * 4096}]))
    assert client.is_closed()
    poll = f"{dashboard.address}socket.io/?EIO=4&transport=polling"
    sid = json.loads(httpx.get(poll).text[1:])["sid"]
    assert httpx.post(f"{poll}&sid={sid}", content="4" + "x" * 4096).status_code == 400


def test_a_client_that_never_connects_to_a_namespace_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ADMISSION_TIMEOUT_S", SOON_S)
    dashboard = serve(jwt_secret=SECRET)
    silent = opened.enter_context(RawWebSocket(dashboard.address))
    refused = opened.enter_context(RawWebSocket(dashboard.address))
    refused.send_text('40/events,{"token":"none"}')
    assert b"44/events" in refused.receive()
    assert silent.is_closed()
    assert refused.is_closed()
    assert metric(dashboard, "clients_closed_total", reason="unadmitted") == 2


def test_an_idle_client_without_a_subscription_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_TIMEOUT_S", SOON_S)
    dashboard = serve()
    idle = opened.enter_context(RawWebSocket(dashboard.address))
    busy = opened.enter_context(RawWebSocket(dashboard.address))
    for client in (idle, busy):
        client.connect()
    busy.send_text('42/events,["subscribe:sessions",{}]')
    assert idle.is_closed()
    assert metric(dashboard, "clients_closed_total", reason="idle") == 1
    assert not busy.is_closed(0.1)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /socket.io/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nfew",
    ],
)
def test_a_request_that_does_not_arrive_in_time_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(HttpWithTimeouts, "request_timeout_s", SOON_S)
    dashboard = serve()
    slow = opened.enter_context(RawSocket(dashboard.address))
    slow.send(beginning)
    assert slow.is_closed()


def test_an_http_client_that_does_not_read_the_response_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpWithTimeouts, "read_timeout_s", SOON_S)
    dashboard = serve()
    slow = opened.enter_context(RawSocket(dashboard.address, SMALL))
    ask = f"GET /static/vendor/uPlot.esm.js HTTP/1.1\r\nHost: {slow.host}\r\n\r\n".encode()
    slow.send(ask * 8)
    _wait_until(lambda: metric(dashboard, "clients_closed_total", reason="slow") == 1)


def test_a_request_head_without_end_is_refused(serve: Serve, opened: ExitStack) -> None:
    dashboard = serve()
    endless = opened.enter_context(RawSocket(dashboard.address))
    endless.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
    assert endless.is_closed()


def _send_until_closed(client: RawWebSocket, text: str) -> None:
    def send_all() -> None:
        for _ in range(1_000_000):
            client.send_text(text)

    with pytest.raises((ConnectionError, TimeoutError)):
        send_all()


def _wait_until(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        await _until(holds)

    asyncio.run(wait())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server runs on another thread
            await asyncio.sleep(0)


def test_a_client_that_does_not_answer_a_ping_is_closed(
    serve: Serve, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_server, "PING_INTERVAL_S", SOON_S)
    monkeypatch.setattr(connections, "PONG_TIMEOUT_S", SOON_S)
    dashboard = serve()
    slow = opened.enter_context(RawWebSocket(dashboard.address))
    slow.connect()
    slow.send_text('42/events,["subscribe:sessions",{}]')
    assert slow.is_closed()
    assert metric(dashboard, "clients_closed_total", reason="silent") == 1
    assert metric(dashboard, "connections") == 0

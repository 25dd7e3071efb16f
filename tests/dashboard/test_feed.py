"""The feed notices a connection that is dead, and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from structlog.testing import capture_logs

from conductor_actors.dashboard import feed as feeding
from conductor_actors.dashboard.feed import Feed, split
from conductor_actors.dashboard.reach import Reach

Heard = tuple[str, str, bytes]


class Line:
    """A proxy before Redis that can fall silent, or be cut, without either side being told."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._server = (where.hostname, where.port)
        self.is_silent = False
        self.connections = 0
        self._passed = 0
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.close()
            self.cut()

    async def passes(self, times: int) -> None:
        """Wait until so many pieces of data have passed in either direction."""
        until = self._passed + times
        async with asyncio.timeout(10):
            while self._passed < until:  # noqa: ASYNC110 - nothing says so
                await asyncio.sleep(0)

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.is_silent = False  # a new connection finds the line in order
        there, back = await asyncio.open_connection(*self._server)
        self._writers += [writer, back]
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._passed += 1
            if not self.is_silent:
                writer.write(data)
        writer.close()


@asynccontextmanager
async def listening(
    url: str, *, resumed: Any = lambda: None
) -> AsyncIterator[asyncio.Queue[Heard]]:
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    reach = Reach("redis")
    feed = Feed(url, lambda *message: heard.put_nowait(message), resumed, reach)
    task = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(10):
            while reach.state != "ok":  # noqa: ASYNC110 - nothing says so
                await asyncio.sleep(0)
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def next_of(heard: asyncio.Queue[Heard]) -> Heard:
    return await asyncio.wait_for(heard.get(), 10)


@pytest.mark.anyio
async def test_every_tenants_messages_are_heard_once(
    valkey_url: str, redis_client: redis.Redis
) -> None:
    async with listening(valkey_url) as heard:
        for channel in ("engagement:update", "acme:anomaly:detected", "No:engagement:update"):
            redis_client.publish(channel, channel)
        redis_client.publish("default:engagement:update", "not a tenant's prefix")
        redis_client.publish("a:b:engagement:update", "nor this")
        redis_client.publish("globex:engagement:update", "the last")
        assert await next_of(heard) == ("default", "engagement:update", b"engagement:update")
        assert await next_of(heard) == ("acme", "anomaly:detected", b"acme:anomaly:detected")
        assert await next_of(heard) == ("globex", "engagement:update", b"the last")


@pytest.mark.anyio
async def test_a_line_that_falls_silent_is_left_for_a_new_one(
    valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "QUIET_S", 0.05)
    monkeypatch.setattr(feeding, "PONG_WITHIN_S", 0.2)
    monkeypatch.setattr(feeding, "RECONNECT_WITHIN_S", 0.1)
    line = Line(valkey_url)
    resumed = asyncio.Event()
    async with line.open() as url, listening(url, resumed=resumed.set) as heard:
        await line.passes(10)  # nothing but PINGs and their answers
        assert line.connections == 1
        with capture_logs() as lines:
            line.is_silent = True
            await asyncio.wait_for(resumed.wait(), 10)
        assert [each["event"] for each in lines] == ["outage_began", "outage_ended"]
        redis_client.publish("engagement:update", "again")
        assert (await next_of(heard))[2] == b"again"


@pytest.mark.anyio
async def test_a_line_that_is_cut_is_left_for_a_new_one(
    valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "RECONNECT_WITHIN_S", 0.1)
    line = Line(valkey_url)
    resumed = asyncio.Event()
    async with line.open() as url, listening(url, resumed=resumed.set) as heard:
        line.cut()
        await asyncio.wait_for(resumed.wait(), 10)
        redis_client.publish("acme:engagement:update", "again")
        assert (await next_of(heard))[0] == "acme"


@pytest.mark.parametrize(
    "channel", ["", ":engagement:update", "engagement", "engagement:updates", "*:engagement:update"]
)
def test_other_channels_are_nobodys(channel: str) -> None:
    assert split(channel) is None

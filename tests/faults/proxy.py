"""A TCP proxy that does to connections what networks and dying servers do to them."""

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from math import inf
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

PIECE_BYTES: Final = 1 << 14
PATIENCE_S: Final = 5.0
_LINGER_0: Final = struct.pack("ii", 1, 0)  # closing sends RST, and forgets what is under way


class Way(Enum):
    """To the server, or back."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass
class Weather:
    """What meets each piece on its way. May be changed by any thread, and holds from then on."""

    swallows: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = inf


class Barrier(Exception):  # noqa: N818 - no error: what a filter wishes
    """Pass this on to whom it was meant for; the client's connection is reset."""

    def __init__(self, last: bytes = b"") -> None:
        self.last = last


# Sees every piece, and gives what is passed on in its place, or raises `Cut`.
Filter: TypeAlias = Callable[[Way, bytes], bytes]


def unfiltered(way: Way, piece: bytes) -> bytes:
    """Pass everything on."""
    del way
    return piece


class Proxy:
    """Stand before a server, on a port of its own, on a thread of its own.

    A connection that has lost bytes is never used again: it is reset when it is next heard of.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._holder = _bound(0)  # keeps the port ours while nobody listens on it
        self.port: int = self._holder.getsockname()[1]
        self.weather = {way: Weather() for way in Way}
        self.filter: Filter = unfiltered
        self.ports_out: set[int] = set()  # which connections are ours, as the server sees it
        self._links: set[_Link] = set()
        self._served: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy {server_port}")
        self._thread.start()
        self.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def heal(self) -> None:
        """Pass everything on, from now on."""
        self.weather = {way: Weather() for way in Way}
        self.filter = unfiltered
        self._do(self._listen())

    def refuse(self) -> None:
        """Refuse new connections, and leave those there are."""
        self._do(self._deafen())

    def reset(self) -> None:
        """Reset every connection there is."""
        self._do(self._reset())

    def go_away(self) -> None:
        """Be as a server that was killed: no connection is left, and none can be made."""
        self.refuse()
        self.reset()

    def fall_silent(self, *ways: Way) -> None:
        """Accept and swallow everything (on these ways), and never answer."""
        for way in ways or Way:
            self.weather[way].swallows = True

    def slow_down(self, delay_s: float = 0.0, bytes_per_s: float = inf, *ways: Way) -> None:
        """Let each piece wait, and take its time by its size (on these ways)."""
        for way in ways or Way:
            self.weather[way].delay_s = delay_s
            self.weather[way].bytes_per_s = bytes_per_s

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen()
            # Not `asyncio.start_server`: it forgets who comes just when it is closed.
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _deafen(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it has left again
            client, _ = listener.accept()
            task = self._loop.create_task(self._serve(client))
            self._served.add(task)
            task.add_done_callback(self._served.discard)

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _end(self) -> None:
        await self._deafen()
        await self._reset()
        await asyncio.gather(*self._served)

    async def _serve(self, client: socket.socket) -> None:
        client_in, client_out = await asyncio.open_connection(sock=client, limit=PIECE_BYTES)
        try:
            server_in, server_out = await asyncio.open_connection(
                "127.0.0.1", self._server_port, limit=PIECE_BYTES
            )
        except OSError:
            _reset(client_out)
            return
        self.ports_out.add(server_out.get_extra_info("sockname")[1])
        link = _Link(client_out, server_out)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._carry(Way.REQUEST, client_in, server_out, link),
                self._carry(Way.ANSWER, server_in, client_out, link),
            )
        finally:
            link.close()
            self._links.remove(link)

    async def _carry(
        self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "_Link"
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE_BYTES):
                weather = self.weather[way]
                if weather.swallows or link.has_lost:
                    link.lost(is_over=not weather.swallows)
                    continue
                try:
                    passed_on = self.filter(way, piece)
                except Barrier as begin_checkpoint:
                    sink.write(begin_checkpoint.last)
                    link.begin_checkpoint()
                    return
                await asyncio.sleep(weather.delay_s + len(piece) / weather.bytes_per_s)
                sink.write(passed_on)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
            return
        link.reset()


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self.has_lost = False

    def lost(self, *, is_over: bool) -> None:
        """Note that bytes are missing; reset when others would follow them."""
        self.has_lost = True
        if is_over:
            self.reset()

    def begin_checkpoint(self) -> None:
        """Reset the client's; the server reads what it was sent, and then hears of the end."""
        _reset(self._client)
        self._server.close()

    def reset(self) -> None:
        _reset(self._client)
        _reset(self._server)

    def close(self) -> None:
        self._client.close()
        self._server.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    writer.transport.abort()

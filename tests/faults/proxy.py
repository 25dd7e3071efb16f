"""A TCP proxy that injects the faults of networks and servers."""

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

CHUNK_BYTES: Final = 1 << 14
PATIENCE_S: Final = 5.0
_LINGER_0: Final = struct.pack("ii", 1, 0)  # closing sends RST and drops unsent data


class Direction(Enum):
    """To the server, or back to the client."""

    REQUEST = "request"
    RESPONSE = "answer"


@dataclass
class LinkConditions:
    """What happens to each chunk. Any thread may change it, with immediate effect."""

    drops: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = inf


class CutConnection(Exception):  # noqa: N818 - a filter's choice, and no error
    """Pass on `last` to the receiver, and then reset the client's connection."""

    def __init__(self, last: bytes = b"") -> None:
        self.last = last


# Receives each chunk and returns what is passed on instead, or raises `CutConnection`.
Filter: TypeAlias = Callable[[Direction, bytes], bytes]


def pass_unchanged(direction: Direction, chunk: bytes) -> bytes:
    """Pass everything on."""
    del direction
    return chunk


class Proxy:
    """Forward connections to a server, from a port and on a thread of its own.

    A connection that has lost bytes is reset when the next ones arrive.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._holder = _bound(0)  # reserves the port while nothing listens on it
        self.port: int = self._holder.getsockname()[1]
        self.conditions = {direction: LinkConditions() for direction in Direction}
        self.filter: Filter = pass_unchanged
        self.ports_out: set[int] = set()  # the client ports that the server sees
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

    def switch_to(self, server_port: int) -> None:
        """Forward new connections to another server; existing ones stay."""
        self._server_port = server_port

    def heal(self) -> None:
        """End all faults."""
        self.conditions = {direction: LinkConditions() for direction in Direction}
        self.filter = pass_unchanged
        self._do(self._listen())

    def refuse(self) -> None:
        """Refuse new connections; existing ones stay."""
        self._do(self._stop_listening())

    def reset(self) -> None:
        """Reset every connection."""
        self._do(self._reset())

    def stop_and_reset(self) -> None:
        """Reset every connection and refuse new ones, as after a kill of the server."""
        self.refuse()
        self.reset()

    def fall_silent(self, *directions: Direction) -> None:
        """Accept connections, and drop all data (in these directions)."""
        for direction in directions or Direction:
            self.conditions[direction].drops = True

    def slow_down(
        self, delay_s: float = 0.0, bytes_per_s: float = inf, *directions: Direction
    ) -> None:
        """Delay each chunk, and limit the rate (in these directions)."""
        for direction in directions or Direction:
            self.conditions[direction].delay_s = delay_s
            self.conditions[direction].bytes_per_s = bytes_per_s

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen()
            # Not `asyncio.start_server`: it loses a connection that arrives while it is closed.
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the client is gone
            client, _ = listener.accept()
            task = self._loop.create_task(self._serve(client))
            self._served.add(task)
            task.add_done_callback(self._served.discard)

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _end(self) -> None:
        await self._stop_listening()
        await self._reset()
        await asyncio.gather(*self._served)

    async def _serve(self, client: socket.socket) -> None:
        client_in, client_out = await asyncio.open_connection(sock=client, limit=CHUNK_BYTES)
        try:
            server_in, server_out = await asyncio.open_connection(
                "127.0.0.1", self._server_port, limit=CHUNK_BYTES
            )
        except OSError:
            _reset(client_out)
            return
        self.ports_out.add(server_out.get_extra_info("sockname")[1])
        link = _Link(client_out, server_out)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._carry(Direction.REQUEST, client_in, server_out, link),
                self._carry(Direction.RESPONSE, server_in, client_out, link),
            )
        finally:
            link.close()
            self._links.remove(link)

    async def _carry(
        self,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        link: "_Link",
    ) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                conditions = self.conditions[direction]
                if conditions.drops or link.has_dropped_data:
                    link.record_loss(others_follow=not conditions.drops)
                    continue
                try:
                    passed_on = self.filter(direction, chunk)
                except CutConnection as cut:
                    sink.write(cut.last)
                    link.cut()
                    return
                await asyncio.sleep(conditions.delay_s + len(chunk) / conditions.bytes_per_s)
                sink.write(passed_on)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
            return
        link.reset()


class _Link:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self.has_dropped_data = False

    def record_loss(self, *, others_follow: bool) -> None:
        """Remember that bytes are missing; reset the connections before others follow."""
        self.has_dropped_data = True
        if others_follow:
            self.reset()

    def cut(self) -> None:
        """Reset the client's connection; the server reads what it was sent, and then the end."""
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

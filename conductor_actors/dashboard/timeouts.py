"""TCP connections that can't be held for nothing: each wait for a client has an end.

uvicorn waits for a request's head and body, and for a client to read, as long as it takes; and a
connection that is closed stays until its client has read what was written. Here it is cut.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

READS_WITHIN_S: Final = 10.0  # a client reads something of what is written to it
CLOSED_WITHIN_S: Final = 2.0  # a closed WebSocket is confirmed
REQUEST_WITHIN_S: Final = 10.0  # a request arrives as a whole


class _Impatient(asyncio.Protocol):
    """Cuts a connection whose client does not read, though something is written to it."""

    reads_within_s: ClassVar[float] = READS_WITHIN_S
    told_slow: ClassVar[tuple[Callable[[], None], ...]] = ()

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be told of whatever the kernel does not take at once."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - there are no others here
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """Begin to wait: the kernel's buffer for this client is full."""
        super().pause_writing()
        self._wait(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """End the wait: the kernel has it all."""
        self._wait_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every wait."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self, unread_bytes: int) -> None:
        self._unread = self.loop.call_later(self.reads_within_s, self._look, unread_bytes)

    def _look(self, before_bytes: int) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes < before_bytes:
            self._wait(unread_bytes)
        else:
            for tell in self.told_slow:
                tell()
            self.transport.abort()

    def _wait_no_more(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class ImpatientWebSocket(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket whose client must read, and must answer when it is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait less for that answer than the library does."""
        super().connection_made(transport)
        self.close_timeout = CLOSED_WITHIN_S


class ImpatientHttp(_Impatient, H11Protocol):
    """An HTTP connection whose client must read, and must send requests in time."""

    request_within_s: ClassVar[float] = REQUEST_WITHIN_S
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Process what has arrived, and start or end the timeout of the rest."""
        super().data_received(data)
        if self.transport.get_protocol() is not self or not self._is_incomplete():
            self._expect_no_more()
        elif self._arriving is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every wait."""
        self._expect_no_more()
        super().connection_lost(exc)

    def _is_incomplete(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.more_body or cycle.response_complete

    def _expect(self) -> None:
        self._arriving = self.loop.call_later(self.request_within_s, self.transport.close)

    def _expect_no_more(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None


class Protocols(NamedTuple):
    """What uvicorn makes of each connection."""

    http: type[ImpatientHttp]
    websocket: type[ImpatientWebSocket]


def protocols(on_slow: Callable[[], None]) -> Protocols:
    """Make protocols that call `on_slow` when they cut a client that does not read."""
    told = {"told_slow": (on_slow,)}
    return Protocols(
        type("Http", (ImpatientHttp,), told), type("WebSocket", (ImpatientWebSocket,), told)
    )

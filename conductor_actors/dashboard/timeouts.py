"""uvicorn's connections with a timeout for each wait for a client.

uvicorn itself waits without end for a request's head and body and for a client to read, and keeps
a closed connection until its client has read everything that was written.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLIENT_READ_TIMEOUT_S: Final = 10.0  # for a client to read any part of what was written to it
WEBSOCKET_CLOSE_TIMEOUT_S: Final = 2.0  # for a client to confirm that its WebSocket is closed
REQUEST_TIMEOUT_S: Final = 10.0  # for a request to arrive completely


class _ReadTimeout(asyncio.Protocol):
    """Aborts the connection of a client that reads nothing of what was written to it."""

    read_timeout_s: ClassVar[float] = CLIENT_READ_TIMEOUT_S
    # A tuple, because a function as an attribute of a class would become a method.
    on_read_timeout: ClassVar[tuple[Callable[[], None], ...]] = ()

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Call `pause_writing` as soon as the kernel's buffer is full."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - there are no others here
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """Start the timeout: the kernel's buffer is full."""
        super().pause_writing()
        self._start_read_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Cancel the timeout: the kernel has accepted everything."""
        self._cancel_read_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._cancel_read_timer()
        super().connection_lost(exc)

    def _start_read_timer(self, unread_bytes: int) -> None:
        self._read_timer = self.loop.call_later(
            self.read_timeout_s, self._abort_unless_read, unread_bytes
        )

    def _abort_unless_read(self, unread_bytes_before: int) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes < unread_bytes_before:
            self._start_read_timer(unread_bytes)
        else:
            for callback in self.on_read_timeout:
                callback()
            self.transport.abort()

    def _cancel_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None


class WebSocketWithTimeouts(_ReadTimeout, WebSocketsSansIOProtocol):
    """A WebSocket with timeouts for reading and for closing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the timeout for closing."""
        super().connection_made(transport)
        self.close_timeout = WEBSOCKET_CLOSE_TIMEOUT_S


class HttpWithTimeouts(_ReadTimeout, H11Protocol):
    """An HTTP connection with timeouts for reading and for each request."""

    request_timeout_s: ClassVar[float] = REQUEST_TIMEOUT_S
    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self._start_request_timer()

    def data_received(self, data: bytes) -> None:
        """Process the data, and start or cancel the timeout for the rest of the request."""
        super().data_received(data)
        if self.transport.get_protocol() is not self or not self._is_incomplete():
            self._cancel_request_timer()
        elif self._request_timer is None:
            self._start_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel every timeout."""
        self._cancel_request_timer()
        super().connection_lost(exc)

    def _is_incomplete(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.more_body or cycle.response_complete

    def _start_request_timer(self) -> None:
        self._request_timer = self.loop.call_later(self.request_timeout_s, self.transport.close)

    def _cancel_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


class Protocols(NamedTuple):
    """The classes of which uvicorn creates one instance for each connection."""

    http: type[HttpWithTimeouts]
    websocket: type[WebSocketWithTimeouts]


def make_protocols(on_read_timeout: Callable[[], None]) -> Protocols:
    """Return protocols that call `on_read_timeout` when they abort a connection."""
    attributes = {"on_read_timeout": (on_read_timeout,)}
    return Protocols(
        type("Http", (HttpWithTimeouts,), attributes),
        type("WebSocket", (WebSocketWithTimeouts,), attributes),
    )

"""A socket and hiredis, fed by hand: the least that talking to Redis can cost in Python."""

import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import hiredis

READ_BYTES: Final = 1 << 18


def command(*parts: Any) -> bytes:
    """Pack one command."""
    packed: bytes = hiredis.pack_command(parts)
    return packed


class RawRedis:
    """One connection. Commands are packed by whoever sends them."""

    def __init__(self, url: str, patience_s: float | None = 60) -> None:
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname, where.port), patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader: Any = hiredis.Reader()
        self._buffer = bytearray(READ_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # so that a thread that reads hears of it
        self._socket.close()

    def send(self, packed: bytes) -> None:
        self._socket.sendall(packed)

    def reply(self) -> Any:
        """Give the next reply, waiting for it."""
        reply = self._reader.gets()
        while reply is False:
            size = self._socket.recv_into(self._buffer)
            if not size:
                raise ConnectionError("the server has closed the connection")
            self._reader.feed(self._buffer, 0, size)
            reply = self._reader.gets()
        return reply

    def pipeline(self, packed: bytes, replies: int) -> None:
        """Send commands and wait until all were carried out."""
        self.send(packed)
        for _ in range(replies):
            reply = self.reply()
            if isinstance(reply, Exception):
                raise reply

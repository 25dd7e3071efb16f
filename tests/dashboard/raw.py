"""A WebSocket client without a library: it sends and reads only when a test says so."""

import os
import socket
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

WITHIN_S = 10.0
SMALL = 4096

HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class RawSocket:
    """A TCP connection; `is_closed` waits for the server to close it."""

    def __init__(self, address: str, receive_buffer: int | None = None) -> None:
        where = urlsplit(address)
        assert where.hostname is not None
        self.host = where.netloc
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(WITHIN_S)
        self._socket.connect((where.hostname, where.port))
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(65536)

    def is_closed(self, within_s: float = WITHIN_S) -> bool:
        """Read until the server closes the connection; return whether it does in time."""
        self._socket.settimeout(within_s)
        try:
            while not self._is_end(data := self._socket.recv(65536)):
                self.received += data
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def _is_end(self, data: bytes) -> bool:
        return not data


class RawWebSocket(RawSocket):
    """Engine.IO by WebSocket."""

    def __init__(self, address: str, receive_buffer: int | None = None) -> None:
        super().__init__(address, receive_buffer)
        self.send(HANDSHAKE.format(host=self.host).encode())
        head = b""
        while b'"maxPayload"' not in head:
            data = self.receive()
            assert data, head
            head += data

    def connect(self, namespace: str = "/events") -> None:
        """Connect to a namespace, and wait for the response."""
        self.send_text(f"40{namespace},")
        assert f"40{namespace}".encode() in self.receive()

    def send_text(self, text: str) -> None:
        """Send a text frame."""
        self.send(text_frame(text))

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self.send(_frame(0x82, data))

    def _is_end(self, data: bytes) -> bool:
        return not data or b"\x88" in data  # a closing frame; all else is ASCII


def text_frame(text: str) -> bytes:
    """Return a text frame as clients send it."""
    return _frame(0x81, text.encode())


def _frame(head: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([head]) + size + mask + masked

"""Engine.IO connections, by WebSocket or polling, with limits on their number and their use.

python-socketio has no such limits: its queue for a client that does not read grows without end,
a message may have any number of binary parts, and a client may send an event named `connect`,
which it would handle as the beginning of a connection. Its handlers are therefore wrapped.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from engineio.packet import Packet
from socketio import packet as socketio_packet
from socketio.packet import Packet as SocketPacket

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks

ADMISSION_TIMEOUT_S: Final = 10.0  # for a client to connect to a namespace
PONG_TIMEOUT_S: Final = 10.0  # after a PING; the library itself checks less often
IDLE_TIMEOUT_S: Final = 300.0  # without a subscription and without a message
MAX_QUEUED_PACKETS: Final = 8  # for messages; more wait in the client's slots
MAX_UNREAD_ANSWERS: Final = 256  # to a client that sends requests and does not read
MAX_MESSAGES_PER_S: Final = 200

CloseReason: TypeAlias = Literal["expired", "flooding", "idle", "malformed", "silent", "unadmitted"]

_RESERVED_EVENTS: Final = frozenset({"connect", "connect_error", "disconnect"})


class Connection:
    """One client's connection. With `subscriptions` it is not idle."""

    def __init__(self, socket: Any, address: str, now_s: float) -> None:  # noqa: ANN401 - untyped
        self.socket = socket
        self.address = address
        self.is_admitted = False
        self.subscriptions = 0
        self._opened_s = self._received_s = now_s
        self._second = 0
        self._messages = 0  # in this second

    def has_room(self) -> bool:
        """Check whether the client reads fast enough to send it another packet."""
        return bool(self.socket.queue.qsize() < MAX_QUEUED_PACKETS)

    def put(self, packet: Packet) -> None:
        """Queue a packet."""
        if not self.socket.closed:
            self.socket.queue.put_nowait(packet)

    def accept_message(self, now_s: float) -> bool:
        """Count a message; return False if it exceeds the rate, or if the answers are not read."""
        self._received_s = now_s
        if int(now_s) != self._second:
            self._second, self._messages = int(now_s), 0
        self._messages += 1
        is_read = self.socket.queue.qsize() < MAX_UNREAD_ANSWERS
        return is_read and self._messages <= MAX_MESSAGES_PER_S

    def close_reason(self, now_s: float, at_s: float) -> CloseReason | None:
        """Return why the connection must be closed, if it must; `at_s` is seconds since 1970."""
        pinged_at_s = self.socket.last_ping  # None while none is unanswered
        if pinged_at_s is not None and at_s - pinged_at_s > PONG_TIMEOUT_S:
            return "silent"
        if not self.is_admitted and now_s - self._opened_s > ADMISSION_TIMEOUT_S:
            return "unadmitted"
        if not self.subscriptions and now_s - self._received_s > IDLE_TIMEOUT_S:
            return "idle"
        return None


class Connections:
    """All connections, by their Engine.IO session ids."""

    def __init__(
        self,
        eio: Any,  # noqa: ANN401
        max_per_address: int,
        metrics: DashboardMetrics,
        clocks: Clocks,
    ) -> None:
        self._eio = eio
        self._max_per_address = max_per_address
        self._metrics = metrics
        self._clocks = clocks
        self._open: dict[str, Connection] = {}
        self._by_address: Counter[str] = Counter()
        self._wrapped: dict[str, Callable[..., Awaitable[Any]]] = dict(eio.handlers)
        eio.on("connect", self._on_connect)
        eio.on("message", self._on_message)
        eio.on("disconnect", self._on_disconnect)

    def __getitem__(self, eio_sid: str) -> Connection:
        return self._open[eio_sid]

    async def close(self, connection: Connection, reason: CloseReason) -> None:
        """Close a connection; packets in its queue are sent if the client reads them soon."""
        self._metrics.clients_closed.labels(reason).inc()
        await self._close_socket(connection)

    async def close_unused(self) -> None:
        """Close the connections that nobody uses."""
        now_s, at_s = self._clocks.monotonic(), self._clocks.wall()
        for connection in list(self._open.values()):
            reason = connection.close_reason(now_s, at_s)
            if reason is not None:
                await self.close(connection, reason)

    async def close_polls(self) -> None:
        """End the polls that wait for an update, so that the server can stop."""
        for connection in list(self._open.values()):
            if not connection.socket.upgraded:
                await self._close_socket(connection)

    async def _close_socket(self, connection: Connection) -> None:
        await connection.socket.close(wait=False, abort=True)

    async def _on_connect(self, eio_sid: str, environ: dict[str, Any]) -> object:
        client = environ["asgi.scope"].get("client")
        address = client[0] if client else ""
        if self._by_address[address] >= self._max_per_address:
            self._metrics.clients_refused.labels("address").inc()
            return "too many connections from this address"
        socket = self._eio.sockets[eio_sid]
        self._open[eio_sid] = Connection(socket, address, self._clocks.monotonic())
        self._by_address[address] += 1
        self._metrics.connections.inc()
        return await self._wrapped["connect"](eio_sid, environ)

    async def _on_message(self, eio_sid: str, data: object) -> None:
        connection = self._open.get(eio_sid)
        if connection is None:
            return
        if not connection.accept_message(self._clocks.monotonic()):
            await self.close(connection, "flooding")
        elif not _is_well_formed(data):
            await self.close(connection, "malformed")
        else:
            await self._wrapped["message"](eio_sid, data)

    async def _on_disconnect(self, eio_sid: str, reason: str) -> None:
        connection = self._open.pop(eio_sid, None)
        if connection is not None:
            self._by_address -= Counter({connection.address: 1})  # drops the address at zero
            self._metrics.connections.dec()
            # The library's mark for the end of the queue, which it does not send to a poll.
            connection.socket.queue.put_nowait(None)
        await self._wrapped["disconnect"](eio_sid, reason)


def _is_well_formed(data: object) -> bool:
    """Check whether the library's own handler can process this message."""
    if not isinstance(data, str):
        return False
    try:
        packet = SocketPacket(encoded_packet=data)
    except (ValueError, RecursionError):
        return False
    match packet.packet_type, packet.data:
        case ((socketio_packet.CONNECT | socketio_packet.DISCONNECT), _):
            return True
        case socketio_packet.EVENT, [str(name), *_]:
            return name not in _RESERVED_EVENTS
    return False

"""Engine.IO sessions, by WebSocket or polling: how many, how long without purpose, how much said.

python-socketio leaves these open: its queue for a client that does not read grows without end,
a message may have any number of binary parts, and a client may send an event named `connect`,
which it would take for the beginning of a connection. Its handlers are therefore wrapped.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from engineio.packet import Packet
from socketio import packet as socketio_packet
from socketio.packet import Packet as Message

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks

ADMITTED_WITHIN_S: Final = 10.0  # a namespace is connected to, with whatever token it takes
PONG_WITHIN_S: Final = 10.0  # after a PING; the library itself looks less often
IDLE_S: Final = 300.0  # without a subscription and without a word
WAITING: Final = 8  # packets handed to the library that it has not passed on
UNREAD_ANSWERS: Final = 256  # to somebody who asks and does not read
MESSAGES_A_SECOND: Final = 200

Reason: TypeAlias = Literal["expired", "flooding", "idle", "malformed", "silent", "unadmitted"]

_RESERVED: Final = frozenset({"connect", "connect_error", "disconnect"})


class Connection:
    """One client's connection. `interests`: what it would miss if it were closed."""

    def __init__(self, socket: Any, address: str, now_s: float) -> None:  # noqa: ANN401 - untyped
        self.socket = socket
        self.address = address
        self.is_admitted = False
        self.interests = 0
        self._opened_s = self._spoke_s = now_s
        self._second = 0
        self._messages = 0

    def has_room(self) -> bool:
        """Check whether the client keeps up: everything handed over was sent."""
        return bool(self.socket.queue.qsize() < WAITING)

    def put(self, packet: Packet) -> None:
        """Hand a packet over."""
        if not self.socket.closed:
            self.socket.queue.put_nowait(packet)

    def speaks(self, now_s: float) -> bool:
        """Count a message; return False if it is one too many, or if the answers are not read."""
        self._spoke_s = now_s
        if int(now_s) != self._second:
            self._second, self._messages = int(now_s), 0
        self._messages += 1
        is_read = self.socket.queue.qsize() < UNREAD_ANSWERS
        return is_read and self._messages <= MESSAGES_A_SECOND

    def overstays(self, now_s: float, at_s: float) -> Reason | None:
        """Return why the connection must be closed, if it must; `at_s` is seconds since 1970."""
        pinged_at_s = self.socket.last_ping  # None while none is unanswered
        if pinged_at_s is not None and at_s - pinged_at_s > PONG_WITHIN_S:
            return "silent"
        if not self.is_admitted and now_s - self._opened_s > ADMITTED_WITHIN_S:
            return "unadmitted"
        if not self.interests and now_s - self._spoke_s > IDLE_S:
            return "idle"
        return None


class Connections:
    """All of them, by the library's id."""

    def __init__(
        self,
        eio: Any,  # noqa: ANN401
        most_per_address: int,
        metrics: DashboardMetrics,
        clocks: Clocks,
    ) -> None:
        self._eio = eio
        self._most_per_address = most_per_address
        self._metrics = metrics
        self._clock = clocks.monotonic
        self._now = clocks.wall
        self._open: dict[str, Connection] = {}
        self._by_address: Counter[str] = Counter()
        self._inner: dict[str, Callable[..., Awaitable[Any]]] = dict(eio.handlers)
        eio.on("connect", self._connected)
        eio.on("message", self._said)
        eio.on("disconnect", self._disconnected)

    def __getitem__(self, eio_sid: str) -> Connection:
        return self._open[eio_sid]

    async def close(self, connection: Connection, reason: Reason) -> None:
        """Close a connection after what was handed over, if it is read soon."""
        self._metrics.clients_closed.labels(reason).inc()
        await self._let_go(connection)

    async def sweep(self) -> None:
        """Close the connections that nobody uses."""
        now_s, at_s = self._clock(), self._now()
        for connection in list(self._open.values()):
            reason = connection.overstays(now_s, at_s)
            if reason is not None:
                await self.close(connection, reason)

    async def close_polls(self) -> None:
        """End what waits for the next update by polling, so that nothing is left to wait for."""
        for connection in list(self._open.values()):
            if not connection.socket.upgraded:
                await self._let_go(connection)

    async def _let_go(self, connection: Connection) -> None:
        await connection.socket.close(wait=False, abort=True)

    async def _connected(self, eio_sid: str, environ: dict[str, Any]) -> object:
        client = environ["asgi.scope"].get("client")
        address = client[0] if client else ""
        if self._by_address[address] >= self._most_per_address:
            self._metrics.clients_refused.labels("address").inc()
            return "too many connections from this address"
        socket = self._eio.sockets[eio_sid]
        self._open[eio_sid] = Connection(socket, address, self._clock())
        self._by_address[address] += 1
        self._metrics.connections.inc()
        return await self._inner["connect"](eio_sid, environ)

    async def _said(self, eio_sid: str, data: object) -> None:
        connection = self._open.get(eio_sid)
        if connection is None:
            return
        if not connection.speaks(self._clock()):
            await self.close(connection, "flooding")
        elif not _is_understood(data):
            await self.close(connection, "malformed")
        else:
            await self._inner["message"](eio_sid, data)

    async def _disconnected(self, eio_sid: str, reason: str) -> None:
        connection = self._open.pop(eio_sid, None)
        if connection is not None:
            self._by_address -= Counter({connection.address: 1})  # drops the address at zero
            self._metrics.connections.dec()
            # The library's sign that nothing follows: it does not give it to a request that waits.
            connection.socket.queue.put_nowait(None)
        await self._inner["disconnect"](eio_sid, reason)


def _is_understood(data: object) -> bool:
    """Check whether the library's own handler can process this message."""
    if not isinstance(data, str):
        return False
    try:
        message = Message(encoded_packet=data)
    except (ValueError, RecursionError):
        return False
    match message.packet_type, message.data:
        case ((socketio_packet.CONNECT | socketio_packet.DISCONNECT), _):
            return True
        case socketio_packet.EVENT, [str(name), *_]:
            return name not in _RESERVED
    return False

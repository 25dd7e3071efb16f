"""Socket.IO: what clients may ask, and who they are found to be when they do."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import engineio
import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from conductor_actors.dashboard.auth import Authenticator, Caller, Denied, is_session_id
from conductor_actors.dashboard.bodies import Problem, encode
from conductor_actors.dashboard.broadcast import MOST_SUBSCRIPTIONS, Broadcast, Client, Message
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.connections import Connections
from conductor_actors.observability.library_logs import library_logger
from conductor_actors.ports import Clock

NAMESPACES: Final = ("/", "/events")
PATH: Final = "/socket.io"
MESSAGE_BYTES: Final = 4096
PING_EVERY_S: Final = 10
CLIENT_WAITS_S: Final = 15  # longer for the next PING, before it reconnects

_Answer = dict[str, Any]
_OK: Final[_Answer] = {"ok": True}


class Access(NamedTuple):
    """Who is let in, how many of a tenant, and by which clock a token expires."""

    authenticator: Authenticator
    most_per_tenant: int
    now: Clock  # seconds since 1970


class _Engine(engineio.AsyncServer):  # type: ignore[misc] # the library has no types
    """Disconnects at once; the library's own waits until the client has read everything."""

    async def disconnect(self, sid: str | None = None) -> None:
        sids = list(self.sockets) if sid is None else [sid]
        for each in sids:
            engine_socket = self.sockets.pop(each, None)
            if engine_socket is not None:
                await engine_socket.close(wait=False, abort=True)


class _SocketServer(socketio.AsyncServer):  # type: ignore[misc] # the same
    """Socket.IO on that engine."""

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine


def make_server() -> Any:  # noqa: ANN401 - the library has no types
    """Make the library's server; origins are looked at by `Guard`, before it."""
    return _SocketServer(
        async_mode="asgi",
        async_handlers=False,  # a client's messages are handled in order, one at a time
        namespaces=list(NAMESPACES),
        cors_allowed_origins="*",
        cors_credentials=False,
        max_http_buffer_size=MESSAGE_BYTES,
        ping_interval=PING_EVERY_S,
        ping_timeout=CLIENT_WAITS_S,
        logger=library_logger("socketio"),
        engineio_logger=library_logger("engineio"),
    )


class Events(socketio.AsyncNamespace):  # type: ignore[misc] # the library has no types
    """One namespace: a switch over what clients emit."""

    def __init__(self, name: str, sockets: "Sockets") -> None:
        super().__init__(name)
        self._sockets = sockets

    async def trigger_event(self, event: str, *args: Any) -> object:  # noqa: ANN401
        """Handle an event: the library's own two, or one of a client."""
        match event, args:
            case "connect", (str(sid), dict(environ), auth):
                await self._sockets.connect(self.namespace, sid, environ, auth)
                return None
            case "disconnect", (str(sid), *_):
                self._sockets.disconnect(self.namespace, sid)
                return None
            case _, (str(sid), *rest):
                return self._sockets.answer(self.namespace, sid, event, rest[0] if rest else None)
        return _no("not understood")


class Sockets:
    """The Socket.IO server's clients. `send_history` is called for each new subscription."""

    def __init__(
        self,
        audience: Broadcast,
        access: Access,
        metrics: DashboardMetrics,
        connections: Connections,
        send_history: Callable[[Client, str], None],
    ) -> None:
        self._audience = audience
        self._access = access
        self._metrics = metrics
        self._connections = connections
        self._send_history = send_history
        self._requests: dict[str, Callable[[Client, object], _Answer]] = {
            "subscribe:engagement": self._subscribe,
            "unsubscribe:engagement": self._unsubscribe,
            "subscribe:sessions": self._watch,
            "unsubscribe:sessions": self._unwatch,
            "agent:subscribe": self._ignore,
        }

    def join(self, server: Any) -> None:  # noqa: ANN401 - the library has no types
        """Begin to serve every namespace."""
        self._server = server
        for name in NAMESPACES:
            server.register_namespace(Events(name, self))

    async def connect(
        self, namespace: str, sid: str, environ: dict[str, Any], auth: object
    ) -> None:
        """Accept a client, or refuse it with the reason as its `connect_error`."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        try:
            caller = self._admitted(_token(auth, environ), query.get("tenant", [None])[0])
        except Denied as denied:
            self._metrics.clients_refused.labels(denied.code).inc()
            raise Refused(str(denied), {"code": denied.code}) from None
        eio_sid = self._server.manager.eio_sid_from_sid(sid, namespace)
        connection = self._connections[eio_sid]
        connection.is_admitted = True
        client = Client(sid, namespace, connection, caller)
        self._audience.add(client)
        for session_id in query.get("sessionId", [])[:1]:
            self._subscribe(client, {"sessionId": session_id})

    def disconnect(self, namespace: str, sid: str) -> None:
        """Forget a client that is gone."""
        client = self._audience.client(sid, namespace)
        if client is not None:
            self._audience.remove(client)

    def answer(self, namespace: str, sid: str, event: str, body: object) -> _Answer:
        """Do what a client asks; what is returned is its acknowledgement."""
        client = self._audience.client(sid, namespace)
        request = self._requests.get(event)
        if client is None or request is None:
            return _no("not understood")
        if client.caller.is_expired(self._access.now()):
            return _no("the token has expired")
        return request(client, body)

    async def disconnect_expired(self) -> None:
        """Disconnect every client whose token has expired."""
        now_s = self._access.now()
        for client in self._audience.clients():
            if client.caller.is_expired(now_s):
                await self._take_leave(client)

    async def _take_leave(self, client: Client) -> None:
        problem = encode(Problem("token_expired", "the token has expired"))
        message = Message("auth:error", problem)
        client.connection.put(message.packet(client.namespace))
        await self._server.disconnect(client.sid, client.namespace)
        await self._connections.close(client.connection, "expired")

    def _admitted(self, token: str | None, tenant: str | None) -> Caller:
        caller = self._access.authenticator.authenticate(token, tenant)
        if self._audience.of_tenant(caller.tenant) >= self._access.most_per_tenant:
            raise Denied(429, "too_many_clients", "too many clients of this tenant")
        return caller

    def _subscribe(self, client: Client, body: object) -> _Answer:
        session_id = _session_id(body)
        if session_id is None:
            return _no("sessionId is missing or no text of 1 to 255 characters")
        if not client.caller.can_see(session_id):
            return _no("this session is not among those of your token")
        if not self._audience.subscribe(client, session_id):
            return _no(f"more than {MOST_SUBSCRIPTIONS} subscriptions")
        self._send_history(client, session_id)
        return _OK

    def _unsubscribe(self, client: Client, body: object) -> _Answer:
        session_id = _session_id(body)
        if session_id is None:
            return _no("sessionId is missing or no text of 1 to 255 characters")
        self._audience.unsubscribe(client, session_id)
        return _OK

    def _watch(self, client: Client, _: object) -> _Answer:
        self._audience.watch(client)
        return _OK

    def _unwatch(self, client: Client, _: object) -> _Answer:
        self._audience.unwatch(client)
        return _OK

    @staticmethod
    def _ignore(client: Client, _: object) -> _Answer:
        """Acknowledge what newer front ends ask of another service; it keeps them connected."""
        client.connection.interests += 1
        return _OK


def _no(error: str) -> _Answer:
    return {"ok": False, "error": error}


def _session_id(body: object) -> str | None:
    value = body.get("sessionId") if isinstance(body, dict) else None
    return value if isinstance(value, str) and is_session_id(value) else None


def _token(auth: object, environ: dict[str, Any]) -> str | None:
    """Find a token where front ends put it: in `auth`, else in the header, never in the address."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if isinstance(token, str):
        return token
    return bearer(environ.get("HTTP_AUTHORIZATION"))


def bearer(header: str | None) -> str | None:
    """Return the token of an `Authorization` header."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None

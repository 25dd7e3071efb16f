"""The requests of Socket.IO clients, and their authentication."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from conductor_actors.dashboard.access.auth import (
    Authenticator,
    Caller,
    Denied,
    bearer_token,
    is_session_id,
)
from conductor_actors.dashboard.bodies import Problem, SubscriptionError, encode
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.realtime.broadcast import (
    MAX_SUBSCRIPTIONS,
    NO_HISTORY,
    Broadcast,
    Client,
    Message,
)
from conductor_actors.dashboard.realtime.connections import Connections
from conductor_actors.dashboard.realtime.socket_server import NAMESPACES, Acknowledgement
from conductor_actors.dashboard.session_access import SessionAccess
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.ports import Clock

# Clients that name a session in the URL often subscribe to it, too, as soon as they are connected.
QUERY_HISTORY_S: Final = 10  # the history that the URL caused is that subscription's for this long

_OK: Final[Acknowledgement] = {"ok": True}
_NO_SESSION: Final = "sessionId is missing or no text of 1 to 255 characters"
_OTHER_SESSION: Final = "this session is not among those of your token"
_NOT_KNOWN_NOW: Final = "whether your token is for this session can't be found out now"
_TOO_MANY: Final = f"more than {MAX_SUBSCRIPTIONS} subscriptions"


class Admission(NamedTuple):
    """Which clients are admitted to what, how many, and the clock by which tokens expire.

    `watch` is called with the tenant of each client; when it returns, its live scores are known.
    """

    authenticator: Authenticator
    access: SessionAccess
    max_per_tenant: int
    wall_clock: Clock
    watch: Callable[[str], Awaitable[None]]


_Handle: TypeAlias = Callable[[Client, object], Awaitable[Acknowledgement]]


class Senders(NamedTuple):
    """Send to a client what a session's subscriber gets first: its scores, and its conductor."""

    send_history: Callable[[Client, str], None]
    send_agent: Callable[[Client, str], None]


class SocketNamespace(socketio.AsyncNamespace):  # type: ignore[misc] # the library has no types
    """One namespace: passes the events of its clients to the handlers."""

    def __init__(self, name: str, handlers: "SocketHandlers") -> None:
        super().__init__(name)
        self._handlers = handlers

    async def trigger_event(self, event: str, *args: Any) -> object:  # noqa: ANN401
        """Handle an event: the library's `connect` and `disconnect`, or a client's request."""
        match event, args:
            case "connect", (str(sid), dict(environ), auth):
                await self._handlers.connect(self.namespace, sid, environ, auth)
                return None
            case "disconnect", (str(sid), *_):
                self._handlers.disconnect(self.namespace, sid)
                return None
            case _, (str(sid), *rest):
                return await self._handlers.handle(
                    self.namespace, sid, event, rest[0] if rest else None
                )
        return _error("not understood")


class SocketHandlers:
    """The handlers of clients' requests. The senders are called for each new subscription."""

    def __init__(
        self,
        broadcast: Broadcast,
        admission: Admission,
        metrics: DashboardMetrics,
        connections: Connections,
        senders: Senders,
    ) -> None:
        self._broadcast = broadcast
        self._admission = admission
        self._metrics = metrics
        self._connections = connections
        self._senders = senders
        self._requests: dict[str, _Handle] = {
            "subscribe:engagement": self._subscribe,
            "unsubscribe:engagement": self._unsubscribe,
            "subscribe:sessions": self._watch,
            "unsubscribe:sessions": self._unwatch,
            "agent:subscribe": self._subscribe_agent,
            "agent:unsubscribe": self._unsubscribe_agent,
        }

    def register(self, server: Any) -> None:  # noqa: ANN401 - the library has no types
        """Register the namespaces with the server."""
        self._server = server
        server.report_refusal = self._report_refusal
        for name in NAMESPACES:
            server.register_namespace(SocketNamespace(name, self))

    async def connect(
        self, namespace: str, sid: str, environ: dict[str, Any], auth: object
    ) -> None:
        """Accept a client, or refuse it with the reason as its `connect_error`."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        try:
            caller = self._authenticate(_token(auth, environ), query.get("tenant", [None])[0])
        except Denied as denied:
            self._metrics.clients_refused.labels(denied.code).inc()
            raise Refused(str(denied), {"code": denied.code}) from None
        eio_sid = self._server.manager.eio_sid_from_sid(sid, namespace)
        connection = self._connections[eio_sid]
        connection.is_admitted = True
        client = Client(sid, namespace, connection, caller)
        self._broadcast.add(client)
        await self._admission.watch(caller.tenant)
        for session_id in query.get("sessionId", [])[:1]:
            await self._subscribe_by_query(client, session_id)

    def disconnect(self, namespace: str, sid: str) -> None:
        """Remove a client."""
        client = self._broadcast.get(sid, namespace)
        if client is not None:
            self._broadcast.remove(client)

    async def handle(self, namespace: str, sid: str, event: str, body: object) -> Acknowledgement:
        """Handle a client's request; return its acknowledgement."""
        client = self._broadcast.get(sid, namespace)
        request = self._requests.get(event)
        error = _agent_error if event.startswith("agent:") else _error
        if client is None or request is None:
            return error("not understood")
        if client.caller.is_expired(self._admission.wall_clock()):
            return error("the token has expired")
        return await request(client, body)

    def unsubscribe_hidden(self, moved: Iterable[SessionKey]) -> None:
        """End the subscriptions to sessions that are of an event that a client can't see."""
        for key in moved:
            for client in self._broadcast.agent_subscribers(key):
                if not client.caller.can_see(key.session_id, self._admission.access.event_of(key)):
                    self._hide(client, key.session_id)

    async def disconnect_expired(self) -> None:
        """Disconnect every client whose token has expired."""
        now_s = self._admission.wall_clock()
        for client in self._broadcast.clients():
            if client.caller.is_expired(now_s):
                await self._disconnect_expired(client)

    def _hide(self, client: Client, session_id: str) -> None:
        request = "subscribe:engagement" if session_id in client.sessions else "agent:subscribe"
        self._broadcast.unsubscribe(client, session_id)
        self._broadcast.unsubscribe_agent(client, session_id)
        self._send_refusal(client, request, {"sessionId": session_id}, _error(_OTHER_SESSION))

    async def _subscribe_by_query(self, client: Client, session_id: str) -> None:
        body = {"sessionId": session_id}
        response = await self._subscribe(client, body)
        if response["ok"]:
            client.query_history = session_id, self._admission.wall_clock()
        else:  # soon: the client must be connected to receive it
            asyncio.get_running_loop().call_soon(
                self._send_refusal, client, "subscribe:engagement", body, response
            )

    def _report_refusal(
        self, namespace: str, sid: str, request: str, body: object, response: Acknowledgement
    ) -> None:
        client = self._broadcast.get(sid, namespace)
        if client is not None:
            self._send_refusal(client, request, body, response)

    @staticmethod
    def _send_refusal(
        client: Client, request: str, body: object, response: Acknowledgement
    ) -> None:
        error = encode(SubscriptionError(request, _session_id(body), response["error"]))
        client.connection.put(Message("subscription:error", error).packet(client.namespace))

    async def _disconnect_expired(self, client: Client) -> None:
        problem = encode(Problem("token_expired", "the token has expired"))
        message = Message("auth:error", problem)
        client.connection.put(message.packet(client.namespace))
        await self._server.disconnect(client.sid, client.namespace)
        await self._connections.close(client.connection, "expired")

    def _authenticate(self, token: str | None, tenant: str | None) -> Caller:
        caller = self._admission.authenticator.authenticate(token, tenant)
        if self._broadcast.count_clients(caller.tenant) >= self._admission.max_per_tenant:
            raise Denied(429, "too_many_clients", "too many clients of this tenant")
        return caller

    async def _subscribe(self, client: Client, body: object) -> Acknowledgement:
        session_id = _session_id(body)
        if session_id is None:
            return _error(_NO_SESSION)
        if (refusal := await self._refusal(client, session_id)) is not None:
            return _error(refusal)
        if not self._broadcast.subscribe(client, session_id):
            return _error(_TOO_MANY)
        if not self._has_query_history(client, session_id):
            self._senders.send_history(client, session_id)
            self._senders.send_agent(client, session_id)
        return _OK

    async def _subscribe_agent(self, client: Client, body: object) -> Acknowledgement:
        session_id = _session_id(body)
        if session_id is None:
            return _agent_error(_NO_SESSION)
        if (refusal := await self._refusal(client, session_id)) is not None:
            return _agent_error(refusal)
        if not self._broadcast.subscribe_agent(client, session_id):
            return _agent_error(_TOO_MANY)
        self._senders.send_agent(client, session_id)
        return {"success": True, "sessionId": session_id}

    async def _unsubscribe_agent(self, client: Client, body: object) -> Acknowledgement:
        session_id = _session_id(body)
        if session_id is None:
            return _agent_error(_NO_SESSION)
        self._broadcast.unsubscribe_agent(client, session_id)
        return {"success": True, "sessionId": session_id}

    async def _refusal(self, client: Client, session_id: str) -> str | None:
        """Return why a client can't subscribe to a session, if it can't."""
        try:
            can_see = await self._admission.access.can_see(client.caller, session_id)
        except (Unavailable, Overloaded):
            return _NOT_KNOWN_NOW
        if self._broadcast.get(client.sid, client.namespace) is not client:
            return "not connected"  # any more: it would stay subscribed
        return None if can_see else _OTHER_SESSION

    def _has_query_history(self, client: Client, session_id: str) -> bool:
        """Check whether the URL has just caused the history; it does so for one subscription."""
        named, at_s = client.query_history
        if named != session_id:
            return False
        client.query_history = NO_HISTORY
        return self._admission.wall_clock() - at_s < QUERY_HISTORY_S

    async def _unsubscribe(self, client: Client, body: object) -> Acknowledgement:
        session_id = _session_id(body)
        if session_id is None:
            return _error(_NO_SESSION)
        self._broadcast.unsubscribe(client, session_id)
        client.query_history = NO_HISTORY
        return _OK

    async def _watch(self, client: Client, _: object) -> Acknowledgement:
        self._broadcast.watch(client)
        return _OK

    async def _unwatch(self, client: Client, _: object) -> Acknowledgement:
        self._broadcast.unwatch(client)
        return _OK


def _error(error: str) -> Acknowledgement:
    return {"ok": False, "error": error}


def _agent_error(error: str) -> Acknowledgement:
    return {"success": False, "error": error}


def _session_id(body: object) -> str | None:
    value = body.get("sessionId") if isinstance(body, dict) else None
    return value if isinstance(value, str) and is_session_id(value) else None


def _token(auth: object, environ: dict[str, Any]) -> str | None:
    """Return the token in `auth` or in the header; one in the URL is ignored."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if isinstance(token, str):
        return token
    return bearer_token(environ.get("HTTP_AUTHORIZATION"))

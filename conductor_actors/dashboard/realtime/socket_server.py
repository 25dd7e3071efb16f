"""The library's Socket.IO server, with the behaviour that it lacks."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import engineio
import socketio
from starlette.responses import Response

from conductor_actors.dashboard.bodies import Problem, Refusal, encode
from conductor_actors.observability.library_logs import library_logger

NAMESPACES: Final = ("/", "/events")
SOCKETIO_PATH: Final = "/socket.io"
MAX_MESSAGE_BYTES: Final = 4096
CONNECTION_RETRY_S: Final = 30  # as long as the page waits
PING_INTERVAL_S: Final = 10
PING_TIMEOUT_S: Final = 15  # beyond the interval; then the client reconnects

Acknowledgement: TypeAlias = dict[str, Any]


def is_accepted(response: Acknowledgement) -> bool:
    """Check whether a request was accepted; those about the conductor have a key of their own."""
    return bool(response.get("ok") or response.get("success"))


class _Engine(engineio.AsyncServer):  # type: ignore[misc] # the library has no types
    """Engine.IO that disconnects at once, and refuses WebSockets with a status and a reason.

    The library waits until a client has read everything, and refuses every WebSocket with 403.
    """

    def _unauthorized(self, message: str | None = None) -> dict[str, Any]:
        """Return the response to a connection beyond the limit; others are not refused here."""
        refusal = Refusal(Problem("too_many_connections", message or "too many connections"))
        headers = [("Content-Type", "application/json"), ("Retry-After", str(CONNECTION_RETRY_S))]
        return {
            "status": "429 TOO MANY REQUESTS",
            "headers": headers,
            "response": encode(refusal),
        }

    async def _make_response(self, response: dict[str, Any], environ: dict[str, Any]) -> Any:  # noqa: ANN401
        scope, status = environ["asgi.scope"], int(response["status"].split()[0])
        if scope["type"] != "websocket" or status < 400:
            return await super()._make_response(response, environ)
        denial = Response(response["response"], status, dict(response["headers"]))
        return await denial(scope, environ["asgi.receive"], environ["asgi.send"])

    async def disconnect(self, sid: str | None = None) -> None:
        sids = list(self.sockets) if sid is None else [sid]
        for each in sids:
            engine_socket = self.sockets.pop(each, None)
            if engine_socket is not None:
                await engine_socket.close(wait=False, abort=True)


class _SocketServer(socketio.AsyncServer):  # type: ignore[misc] # the same
    """Socket.IO with that Engine.IO server, which also answers requests without acknowledgements.

    `report_refusal` is called with namespace, client, request, its body and the response.
    """

    report_refusal: Callable[[str, str, str, object, Acknowledgement], None]

    async def _handle_event_internal(self, *args: Any) -> None:  # noqa: ANN401 - as there
        *_, (event, *bodies), namespace, acknowledgement_id = args
        if acknowledgement_id is not None:
            await super()._handle_event_internal(*args)
            return
        sid = args[1]
        response = await self._trigger_event(event, namespace, sid, *bodies)
        if not is_accepted(response):
            self.report_refusal(namespace, sid, event, bodies[0] if bodies else None, response)

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine


def make_server() -> Any:  # noqa: ANN401 - the library has no types
    """Create the library's server; `OriginMiddleware` checks origins before it."""
    return _SocketServer(
        async_mode="asgi",
        async_handlers=False,  # a client's messages are handled in order, one at a time
        namespaces=list(NAMESPACES),
        cors_allowed_origins="*",
        cors_credentials=False,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        logger=library_logger("socketio"),
        engineio_logger=library_logger("engineio"),
    )

"""A fake service with scripted data: `python -m tests.dashboard.fake_server [sessions]`."""

import asyncio
import math
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import socketio
import uvicorn
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import conductor_actors.dashboard
from conductor_actors.dashboard import bodies
from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from conductor_actors.updates import Update, timestamp

STATIC: Final = Path(conductor_actors.dashboard.__file__).parent / "static"
NAMESPACE: Final = "/events"
NOON_MS: Final = 1_767_528_000_000  # 2026-01-04T12:00:00Z
TICK_MS: Final = 5_000
WAIT_S: Final = 10.0
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_UNITS: Final = {"chat_msgs_per_min": "messages/min", "reactions_per_min": "reactions/min"}

Body = dict[str, Any]


def update(session: str, at_ms: int, signals: Signals, event: str = "conf-2026") -> Body:
    """Return the body of an update as the service makes it of these signals."""
    added = Scoring().contributions(signals)
    score = clamped(added.total())
    body = Update(
        *(timestamp(at_ms), "default", session, event),
        *(score, category(score), signals, added),  # type: ignore[arg-type] # one of the five
    )
    return _plain(body)


def update_with_score(session: str, at_ms: int, score: float, event: str = "conf-2026") -> Body:
    """Return an update with exactly this score; its signals are only plausible."""
    users = round(score * 200)
    signals = Signals(30 * score**2, score * 0.8, users, 200, 12 * score**2, (1 - score) / 10)
    return update(session, at_ms, signals, event) | {"score": score, "category": category(score)}


def anomaly(session: str, at_ms: int, severity: str, expected: float, actual: float) -> Body:
    """Return the body of an anomaly."""
    return {
        "sessionId": session,
        "eventId": "conf-2026",
        "tenantId": "default",
        "timestamp": timestamp(at_ms),
        "type": "SUDDEN_DROP",
        "severity": severity,
        "currentEngagement": actual,
        "expectedEngagement": expected,
        "anomalyScore": 3.2,
        "deviation": actual - expected,
        "signals": {},
    }


@dataclass
class FakeService:
    """Has the service's HTTP and Socket.IO interface on a port of its own; tests script its data.

    Its methods may be called from any thread, and return when everything is sent.
    """

    points: dict[str, list[Body]] = field(default_factory=dict)
    token: str | None = None
    refused_sessions: set[str] = field(default_factory=set)
    refusal_reason: str | None = None
    extra_pages: Path = STATIC  # served as /own/
    port: int = 0
    requested_paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rooms: defaultdict[str, set[str]] = defaultdict(set)
        self._rooms_changed = threading.Condition()
        self._sockets: socketio.AsyncServer
        self._server: uvicorn.Server
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """The address of the service, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start to listen; after a `stop`, on the same port."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets = self._socket_server()
        app = socketio.ASGIApp(self._sockets, self._http())
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio")
        self._server = uvicorn.Server(config)
        is_up = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(is_up.set)
            await self._server.serve(sockets=[listener])

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        self._thread.start()
        is_up.wait(WAIT_S)

    def stop(self) -> None:
        """Stop as a crash does: abort every connection, and refuse new ones."""
        if self._thread is not None:
            self._server.force_exit = self._server.should_exit = True
            self._thread.join(WAIT_S)
            self._thread = None

    def tick(self, *updates: Body) -> None:
        """Send updates to their subscribers, and add them to the histories."""
        for one in updates:
            self.points.setdefault(one["sessionId"], []).append(one)
        self._run(self._send_tick(updates))

    def send_anomaly(self, body: Body) -> None:
        """Send an anomaly to the subscribers of its session."""
        self._run(
            self._sockets.emit("anomaly:detected", body, body["sessionId"], namespace=NAMESPACE)
        )

    def disconnect_clients(self) -> None:
        """Disconnect every client, as a service does that refuses them."""
        self._run(self._disconnect_all())

    def wait_for_subscribers(self, room: str, count: int) -> None:
        """Wait until a session, or the list (`sessions`), has this number of subscribers."""
        with self._rooms_changed:
            is_so = self._rooms_changed.wait_for(lambda: len(self._rooms[room]) == count, WAIT_S)
        assert is_so, f"{len(self._rooms[room])} subscribe to {room}"

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)

    async def _send_tick(self, updates: tuple[Body, ...]) -> None:
        for one in updates:
            await self._sockets.emit(
                "engagement:update", one, one["sessionId"], namespace=NAMESPACE
            )
        body = {"sessions": list(updates)}
        await self._sockets.emit("sessions:update", body, "sessions", namespace=NAMESPACE)

    async def _disconnect_all(self) -> None:
        for sid, _ in list(self._sockets.manager.get_participants(NAMESPACE, None)):
            await self._sockets.disconnect(sid, namespace=NAMESPACE)

    def _socket_server(self) -> socketio.AsyncServer:
        sockets = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[], ping_interval=1)
        sockets.register_namespace(_Events(self))
        return sockets

    def check_token(self, auth: Body | None) -> None:
        """Raise `Refused` if a client may not connect."""
        if self.token is not None and (auth or {}).get("token") != self.token:
            raise Refused("a token is needed")
        if self.refusal_reason is not None:
            raise Refused(self.refusal_reason)

    async def handle(self, sid: str, event: str, request: Body) -> Body:
        """Handle a client's request; return its acknowledgement."""
        session = request.get("sessionId", "sessions")
        if session in self.refused_sessions:
            return {"ok": False, "error": "this session is not yours"}
        if event.startswith("unsubscribe:"):
            await self._leave(sid, session)
            return {"ok": True}
        await self._enter(sid, session)
        if event == "subscribe:sessions":
            await self._sockets.emit("sessions:update", self._live(), sid, namespace=NAMESPACE)
        elif session != "never-answers":
            body = {"sessionId": session, "points": self.points.get(session, [])[-60:]}
            await self._sockets.emit("engagement:history", body, sid, namespace=NAMESPACE)
        return {"ok": True}

    async def remove_client(self, sid: str) -> None:
        """Remove a client that is disconnected."""
        for room in list(self._rooms):
            await self._leave(sid, room)

    async def _enter(self, sid: str, room: str) -> None:
        await self._sockets.enter_room(sid, room, namespace=NAMESPACE)
        with self._rooms_changed:
            self._rooms[room].add(sid)
            self._rooms_changed.notify_all()

    async def _leave(self, sid: str, room: str) -> None:
        await self._sockets.leave_room(sid, room, namespace=NAMESPACE)
        with self._rooms_changed:
            self._rooms[room].discard(sid)
            self._rooms_changed.notify_all()

    def _live(self) -> Body:
        return {"sessions": [points[-1] for points in self.points.values() if points]}

    def _http(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/", lambda _: FileResponse(STATIC / "index.html")),
                Mount("/static", StaticFiles(directory=STATIC)),
                Mount("/own", StaticFiles(directory=self.extra_pages, check_dir=False)),
                Route("/api/v1/sessions", self._with_token(lambda _: JSONResponse(self._live()))),
                Route("/api/v1/histories", self._with_token(self._histories)),
                Route(
                    "/api/v1/sessions/{id:path}/explanation", self._with_token(self._explanation)
                ),
            ],
            middleware=[Middleware(_Headers)],
        )

    def _with_token(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            self.requested_paths.append(str(request.url.path))
            if self.token is None or request.headers.get("authorization") == f"Bearer {self.token}":
                return answer(request)
            error = {"code": "token_missing", "message": "a token is needed"}
            return JSONResponse({"error": error}, 401)

        return endpoint

    def _histories(self, request: Request) -> Response:
        sessions = request.query_params.getlist("session")
        histories = [
            {"sessionId": session, "points": self.points.get(session, [])[-60:]}
            for session in sessions
        ]
        return JSONResponse({"step": "5s", "histories": histories})

    def _explanation(self, request: Request) -> Response:
        points = self.points.get(request.path_params["id"])
        if not points:
            error = {"code": "unknown_session", "message": "no such session is live"}
            return JSONResponse({"error": error}, 404)
        latest = points[-1]
        explained = Scoring().explain(Signals(**latest["signals"]))
        parts = [
            bodies.SignalPart(one.signal, one.signal, one.raw, _UNITS.get(one.signal, ""), *one[2:])
            for one in explained
        ]
        head = {key: latest[key] for key in ("sessionId", "eventId", "tenantId", "timestamp")}
        rest = {"score": latest["score"], "category": latest["category"]}
        return JSONResponse(head | rest | {"signals": [_plain(part) for part in parts]})


class _Events(socketio.AsyncNamespace):  # type: ignore[misc] # the library has no types
    """The namespace: passes the events of clients to the service."""

    def __init__(self, service: FakeService) -> None:
        super().__init__(NAMESPACE)
        self._service = service

    async def trigger_event(self, event: str, sid: str, *args: Any) -> Body | None:
        match event:
            case "connect":
                self._service.check_token(args[1])
            case "disconnect":
                await self._service.remove_client(sid)
            case _:
                return await self._service.handle(sid, event, args[0])
        return None


class _Headers:
    """Adds the headers that the real service sends with the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", CSP.encode()))
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)

        await self._app(scope, receive, send_with_headers)


@contextmanager
def running(service: FakeService) -> Iterator[FakeService]:
    """Run a service until the end of the block."""
    service.start()
    try:
        yield service
    finally:
        service.stop()


def varied_update(session: str, index: int, at_ms: int) -> Body:
    """Return a session's update at an instant: plausible, and the same each time."""
    at_s = at_ms / 1000
    base = 0.5 + 0.42 * math.sin(index * 2.4) + 0.1 * math.sin(at_s / 61 + index)
    activity = min(1, max(0.02, base + 0.05 * math.sin(at_s / 7 + 3 * index)))
    users = 24 + (index * 37) % 180
    active = round(users * min(1, 0.25 + 0.75 * activity))
    poll = 0.0 if index % 3 == 1 and activity < 0.6 else min(1.0, activity * 0.85)
    signals = Signals(
        round(28 * activity**2),
        poll,
        active,
        users,
        round(14 * activity**2),
        0.12 * (1 - activity) ** 2,
    )
    return update(session, at_ms, signals, f"conf-2026-day-{1 + index % 3}")


def _plain(body: Any) -> Body:
    plain: Body = msgspec.to_builtins(body)
    return plain


_NAMES: Final = (
    *("keynote-opening", "panel-open-data", "workshop-databases", "class-statistics"),
    *("town-hall-budget", "fireside-chat", "lightning-talks", "product-demo"),
    *("networking-lounge", "class-writing", "panel-remote-work", "closing-ceremony"),
)


def session_names(count: int) -> list[str]:
    """Return this number of names of sessions."""
    return [
        f"{_NAMES[index % 12]}{f'-{index // 12 + 1}' if index >= 12 else ''}"
        for index in range(count)
    ]


def main() -> None:
    """Serve a number of sessions, with a tick every five seconds."""
    sessions = session_names(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
    service = FakeService(port=3102)
    at_ms = int(time.time() * 1000) // TICK_MS * TICK_MS
    for index, session in enumerate(sessions):
        times = range(at_ms - 59 * TICK_MS, at_ms + 1, TICK_MS)
        service.points[session] = [varied_update(session, index, at) for at in times]
    with running(service):
        sys.stdout.write(f"{service.url}\n")
        while True:
            time.sleep(TICK_MS / 1000)
            at_ms += TICK_MS
            service.tick(
                *(varied_update(session, index, at_ms) for index, session in enumerate(sessions))
            )


if __name__ == "__main__":
    main()

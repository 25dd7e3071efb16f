"""A fake service with scripted data: `python -m tests.dashboard.fake_server [sessions]`."""

import asyncio
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
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
from conductor_actors.domain.anomalies.evidence import noticeable_s
from conductor_actors.domain.scoring import Scoring, Signals
from tests.dashboard.fake_conductor import Endpoint, FakeConductor
from tests.dashboard.fake_conductor import refusal as _refusal
from tests.dashboard.fake_history import FakeHistory
from tests.dashboard.fake_reports import FakeReports
from tests.dashboard.sample_bodies import (
    TICK_MS,
    Body,
    plain,
    record,
    session_names,
    varied_update,
)

STATIC: Final = Path(conductor_actors.dashboard.__file__).parent / "static"
NAMESPACE: Final = "/events"
WAIT_S: Final = 10.0
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_UNITS: Final = {"chat_msgs_per_min": "messages/min", "reactions_per_min": "reactions/min"}


@dataclass
class FakeService:
    """Has the service's HTTP and Socket.IO interface on a port of its own; tests script its data.

    Its methods may be called from any thread, and return when everything is sent.
    """

    points: dict[str, list[Body]] = field(default_factory=dict)
    anomalies: list[Body] = field(default_factory=list)  # stored ones
    feedback: list[tuple[str, Body]] = field(default_factory=list)
    breaks: list[tuple[str, Body]] = field(default_factory=list)
    may_conduct: bool = True
    conductor: FakeConductor = field(default_factory=FakeConductor)
    reports: FakeReports = field(default_factory=FakeReports)
    history: FakeHistory = field(default_factory=FakeHistory)
    token: str | None = None
    refused_sessions: set[str] = field(default_factory=set)
    refusal_reason: str | None = None
    extra_pages: Path = STATIC  # served as /own/
    port: int = 0
    requested_paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history.live = self.points
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
        """Send an anomaly to the subscribers of its session and of the list, and store it."""
        self.anomalies.append(record(body))
        self._run(self._send_about("anomaly:detected", body))

    def end_anomaly(self, body: Body) -> None:
        """Send the end of an anomaly to the same, and store it."""
        for stored in self.anomalies:
            if stored.get("id") == body["id"]:
                stored |= {"endedAt": body["timestamp"], "durationS": body["durationS"]}
        self._run(self._send_about("anomaly:ended", body))

    def send_decision(self, body: Body) -> None:
        """Send an intervention as it is now to the same, and store it."""
        self.conductor.change(body)
        head = {key: body[key] for key in ("session_id", "timestamp")}
        message = {"type": "agent.decision", "sessionId": body["session_id"], **head, "data": body}
        self._run(self._send_about("agent.decision", message))

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

    async def _send_about(self, event: str, body: Body) -> None:
        session = body["sessionId"]
        await self._sockets.emit(event, body, session, namespace=NAMESPACE)
        await self._send_list(self.points.get(session, [])[-1:])

    async def _send_tick(self, updates: tuple[Body, ...]) -> None:
        for one in updates:
            await self._sockets.emit(
                "engagement:update", one, one["sessionId"], namespace=NAMESPACE
            )
        await self._send_list(updates)

    async def _send_list(self, updates: Sequence[Body], to: str = "sessions") -> None:
        listed = {one["sessionId"] for one in updates}
        found = [one for one in self._open_anomalies() if one["sessionId"] in listed]
        body = {"sessions": list(updates)} | ({"anomalies": found} if found else {})
        if decisions := self.conductor.open_of(listed):
            body["decisions"] = decisions
        await self._sockets.emit("sessions:update", body, to, namespace=NAMESPACE)

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
            await self._send_list(self._live()["sessions"], sid)
        elif session != "never-answers":
            body = {"sessionId": session, "points": self.points.get(session, [])[-60:]}
            if recent := [one for one in self.anomalies if one["sessionId"] == session]:
                body["anomalies"] = recent
            if decisions := self.conductor.of_session(session):
                body["decisions"] = decisions
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
                Route("/api/v1/sessions", self._with_token(self._sessions)),
                Route("/api/v1/histories", self._with_token(self._histories)),
                Route("/api/v1/anomalies", self._with_token(self._stored_anomalies)),
                *(
                    Route(f"/api/v1/{path}", self._with_token(answer), methods=[method])
                    for method, path, answer in self._endpoints_of_one()
                ),
            ],
            middleware=[Middleware(_Headers)],
        )

    def _endpoints_of_one(self) -> Iterable[tuple[str, str, Endpoint]]:
        """Return method, path and endpoint of what concerns one session or anomaly."""
        yield "GET", "sessions/{id:path}/explanation", self._explanation
        yield "POST", "sessions/{id:path}/quiet", self._arrange_quiet
        yield "POST", "anomalies/{id:path}/feedback", self._store_feedback
        yield from self.conductor.endpoints()
        yield from self.reports.endpoints()
        yield from self.history.endpoints()

    def _with_token(self, answer: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self.requested_paths.append(str(request.url.path))
            if self.token is None or request.headers.get("authorization") == f"Bearer {self.token}":
                return answer(request, await request.body())
            return _refusal(401, "token_missing", "a token is needed")

        return endpoint

    def _open_anomalies(self) -> list[Body]:
        return [one for one in self.anomalies if one["endedAt"] is None]

    def _sessions(self, request: Request, body: bytes) -> Response:
        """Return the live ones, or a page of those that match."""
        if "state" in request.query_params:
            return self.history.sessions(request, body)
        return JSONResponse(self._live())

    def _stored_anomalies(self, request: Request, _: bytes) -> Response:
        """Return the open ones of all sessions, or all of one."""
        found = [one for one in self._open_anomalies() if "id" in one]
        if session := request.query_params.get("session"):
            of_session = [one for one in self.anomalies if one["sessionId"] == session]
            found = [one for one in of_session if "id" in one]
        return JSONResponse({"anomalies": found[::-1], "next": None})

    def _store_feedback(self, request: Request, body: bytes) -> Response:
        anomaly_id, verdict = request.path_params["id"], msgspec.json.decode(body)
        self.feedback.append((anomaly_id, verdict))
        [stored] = [one for one in self.anomalies if one.get("id") == anomaly_id]
        stored["feedback"] = verdict
        return JSONResponse(stored)

    def _arrange_quiet(self, request: Request, body: bytes) -> Response:
        if not self.may_conduct:
            return _refusal(403, "forbidden", "the token has no claim conduct")
        self.breaks.append((request.path_params["id"], msgspec.json.decode(body)))
        return JSONResponse({"id": "1-0"}, 202)

    def _histories(self, request: Request, _: bytes) -> Response:
        sessions = request.query_params.getlist("session")
        histories = [
            {"sessionId": session, "points": self.points.get(session, [])[-60:]}
            for session in sessions
        ]
        return JSONResponse({"step": "5s", "histories": histories})

    def _explanation(self, request: Request, _: bytes) -> Response:
        points = self.points.get(request.path_params["id"])
        if not points:
            return _refusal(404, "unknown_session", "no such session is live")
        latest = points[-1]
        explained = Scoring().explain(Signals(**latest["signals"]))
        parts = [
            bodies.SignalPart(one.signal, one.signal, one.raw, _UNITS.get(one.signal, ""), *one[2:])
            for one in explained
        ]
        head = {key: latest[key] for key in ("sessionId", "eventId", "tenantId", "timestamp")}
        rest = {key: latest[key] for key in ("score", "category")}
        signals = latest["signals"]
        events_per_min = signals["chat_msgs_per_min"] + signals["reactions_per_min"]
        rest["noticeableS"] = noticeable_s(events_per_min)
        return JSONResponse(head | rest | {"signals": [plain(part) for part in parts]})


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

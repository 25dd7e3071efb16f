"""The dashboard on one event loop: creates, connects and runs all of its parts."""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import socketio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from conductor_actors.dashboard.access.auth import Authenticator, Denied
from conductor_actors.dashboard.access.origins import OriginMiddleware, Origins
from conductor_actors.dashboard.access.proxies import Proxies, ProxyMiddleware
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.http.anomaly_routes import AnomalyRoutes
from conductor_actors.dashboard.http.api import Api, ApiSources
from conductor_actors.dashboard.http.command_routes import CommandRoutes, GivenCommands
from conductor_actors.dashboard.http.health_routes import HealthRoutes
from conductor_actors.dashboard.http.page_files import page_routes
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.realtime.broadcast import Broadcast
from conductor_actors.dashboard.realtime.client_requests import Admission, SocketHandlers
from conductor_actors.dashboard.realtime.connections import Connections
from conductor_actors.dashboard.realtime.fan_out import FanOut
from conductor_actors.dashboard.realtime.socket_server import SOCKETIO_PATH, make_server
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_scores import LiveScores
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.recent_history import RecentHistory
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.dashboard.scores.stored_anomalies import StoredAnomalies
from conductor_actors.dashboard.scores.upstreams import StoredHistory, UpdateStream, Upstreams
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.outages import Outage

CLEANUP_INTERVAL_S: Final = 1.0
RESUME_DELAY_S: Final = 10.0  # after an outage, until the collector has caught up, too


class AccessControl:
    """Who has access. Raises `ConfigError` for options that do not protect."""

    def __init__(self, options: Options, *, is_loopback: bool) -> None:
        self.proxies = Proxies(options)
        self.authenticator = Authenticator(options, is_loopback=is_loopback)
        self.origins = Origins(
            options, is_loopback=is_loopback, needs_token=self.authenticator.needs_token
        )


class DashboardApp:
    """All parts of the dashboard. Create it on the event loop that runs it."""

    def __init__(
        self,
        options: Options,
        upstreams: Upstreams,
        access: AccessControl,
        metrics: DashboardMetrics,
        read_collector: StatusReader,
    ) -> None:
        self._resuming: set[asyncio.Task[None]] = set()
        clocks = Clocks(time.monotonic, time.time)
        redis, database = Outage("redis updates"), Outage("database history")
        self._history = StoredHistory(upstreams.history, metrics, database)
        live = self._live = self._make_live_scores(options, clocks)
        overview = SessionOverview(live.sessions, live.anomalies)
        self._broadcast = Broadcast(overview, metrics)
        self._fan_out = FanOut(live, self._broadcast, metrics, clocks)
        self._anomalies = StoredAnomalies(
            upstreams.anomalies, live.anomalies, self._fan_out.send_missed, clocks.wall
        )
        self._updates = UpdateStream(
            upstreams.updates, self._fan_out.receive, self._resume_soon, redis
        )
        self.health = HealthRoutes(live.sessions, redis, database, read_collector)
        sources = ApiSources(
            *(live.sessions, overview, self._history),
            *(options.scoring, options.tick_s, clocks.wall),
        )
        api = Api(sources, access.authenticator, metrics)
        self._commands = GivenCommands(upstreams.commands, Outage("redis commands"))
        self._command_routes = CommandRoutes(
            self._commands, access.authenticator, metrics, clocks.wall
        )
        self._anomaly_routes = AnomalyRoutes(
            self._anomalies, access.authenticator, metrics, clocks.wall
        )
        self._serve_sockets(options, access, metrics, clocks)
        metrics.observe("sessions", "Live sessions known here.", lambda: len(live.sessions))
        metrics.observe("open_anomalies", "Open anomalies known here.", lambda: len(live.anomalies))
        checked = OriginMiddleware(self._combine(api), access.origins)
        self.asgi = ProxyMiddleware(checked, access.proxies)

    async def run(self) -> None:
        """Run every part until cancelled."""
        async with asyncio.TaskGroup() as group:
            parts = (self._updates, self._history, self._anomalies, self._fan_out, self._commands)
            for part in parts:
                group.create_task(part.run())
            group.create_task(self._clean_up())

    async def stop(self) -> None:
        """End the requests that wait for an update."""
        await self._connections.close_polls()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.shutdown(), 1)

    def _make_live_scores(self, options: Options, clocks: Clocks) -> LiveScores:
        sessions = LiveSessions(options.tick_s, clocks.monotonic)
        recent = RecentHistory(sessions, self._history, options.scoring, clocks)
        return LiveScores(sessions, recent, LiveAnomalies(clocks.wall))

    def _resume_soon(self) -> None:
        """Send what was missed in an outage of Redis, once the collector has stored it."""
        task = asyncio.create_task(self._resume())
        self._resuming.add(task)
        task.add_done_callback(self._resuming.discard)

    async def _resume(self) -> None:
        await asyncio.sleep(RESUME_DELAY_S)
        await self._anomalies.refresh()
        self._fan_out.resend_histories()

    def _serve_sockets(
        self, options: Options, access: AccessControl, metrics: DashboardMetrics, clocks: Clocks
    ) -> None:
        self._server: Any = make_server()
        self._connections = Connections(
            self._server.eio, options.clients_per_address, metrics, clocks
        )
        admission = Admission(access.authenticator, options.clients_per_tenant, clocks.wall)
        self._handlers = SocketHandlers(
            self._broadcast, admission, metrics, self._connections, self._fan_out.send_history
        )
        self._handlers.register(self._server)

    def _combine(self, api: Api) -> ASGIApp:
        """Combine HTTP and Socket.IO in one application; requests have passed the origin check."""
        http = Starlette(
            routes=[
                *api.routes(),
                *self._command_routes.routes(),
                *self._anomaly_routes.routes(),
                *self.health.routes(),
                *page_routes(),
            ],
            exception_handlers=dict.fromkeys(
                (Denied, Unavailable, Overloaded, HTTPException, Exception), api.respond_to_error
            ),
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=["*"],
                    allow_methods=["GET", "POST"],
                    allow_headers=["Authorization", "Content-Type"],
                )
            ],
        )
        http.router.redirect_slashes = False
        app: ASGIApp = socketio.ASGIApp(self._server, http, socketio_path=SOCKETIO_PATH)
        return app

    async def _clean_up(self) -> None:
        while True:
            await asyncio.sleep(CLEANUP_INTERVAL_S)
            self._live.sessions.remove_expired()
            self._live.anomalies.remove_expired()
            await self._connections.close_unused()
            await self._handlers.disconnect_expired()

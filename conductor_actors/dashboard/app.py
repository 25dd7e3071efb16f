"""The real-time service on one event loop: every part made, joined and kept going."""

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

from conductor_actors.dashboard.api import Api, Sources, page_routes
from conductor_actors.dashboard.auth import Authenticator, Denied
from conductor_actors.dashboard.broadcast import Broadcast
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.clocks import Clocks
from conductor_actors.dashboard.connections import Connections
from conductor_actors.dashboard.health_routes import HealthRoutes
from conductor_actors.dashboard.hub import Hub
from conductor_actors.dashboard.live import Live
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.origins import OriginMiddleware, Origins
from conductor_actors.dashboard.recent import Recent
from conductor_actors.dashboard.socketio import PATH, Access, Sockets, make_server
from conductor_actors.dashboard.upstreams import StoredHistory, UpdateStream, Upstreams
from conductor_actors.errors import Unavailable
from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.outages import Outage

SWEEP_S: Final = 1.0


class Gate:
    """Who may ask, decided before anything listens. Raises `ConfigError` for what can't protect."""

    def __init__(self, options: Options, *, is_loopback: bool) -> None:
        self.authenticator = Authenticator(options, is_loopback=is_loopback)
        self.origins = Origins(
            options, is_loopback=is_loopback, needs_token=self.authenticator.needs_token
        )


class Parts:
    """Everything there is. Make it on the event loop that runs it."""

    def __init__(
        self,
        options: Options,
        upstreams: Upstreams,
        gate: Gate,
        metrics: DashboardMetrics,
        read_collector: StatusReader,
    ) -> None:
        clocks = Clocks(time.monotonic, time.time)
        redis, database = Outage("redis updates"), Outage("database history")
        hub = self._hub = Hub(options.tick_s, clocks.monotonic)
        self._history = StoredHistory(upstreams.history, metrics, database)
        self._audience = Broadcast(hub, metrics)
        recent = Recent(hub, self._history, options.scoring, clocks)
        self._live = Live(hub, self._audience, recent, metrics, clocks)
        self._updates = UpdateStream(
            upstreams.updates, self._live.receive, self._live.resumed, redis
        )
        self.health = HealthRoutes(hub, redis, database, read_collector)
        sources = Sources(hub, self._history, options.scoring, options.tick_s, clocks.wall)
        api = Api(sources, gate.authenticator, metrics)
        self._serve_sockets(options, gate, metrics, clocks)
        metrics.observe("sessions", "Live sessions known here.", lambda: len(hub))
        self.asgi = OriginMiddleware(self._joined(api), gate.origins)

    async def run(self) -> None:
        """Run every part until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._updates, self._history, self._live):
                group.create_task(part.run())
            group.create_task(self._sweep())

    async def stop(self) -> None:
        """End what would keep a request waiting."""
        await self._connections.close_polls()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.shutdown(), 1)

    def _serve_sockets(
        self, options: Options, gate: Gate, metrics: DashboardMetrics, clocks: Clocks
    ) -> None:
        self._server: Any = make_server()
        self._connections = Connections(
            self._server.eio, options.clients_per_address, metrics, clocks
        )
        access = Access(gate.authenticator, options.clients_per_tenant, clocks.wall)
        self._sockets = Sockets(
            self._audience, access, metrics, self._connections, self._live.send_history
        )
        self._sockets.join(self._server)

    def _joined(self, api: Api) -> ASGIApp:
        """Put HTTP and Socket.IO on one port. Who is of another origin was refused before."""
        http = Starlette(
            routes=[*api.routes(), *self.health.routes(), *page_routes()],
            exception_handlers=dict.fromkeys(
                (Denied, Unavailable, HTTPException, Exception), api.refuse
            ),
            middleware=[
                Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["Authorization"])
            ],
        )
        http.router.redirect_slashes = False
        app: ASGIApp = socketio.ASGIApp(self._server, http, socketio_path=PATH)
        return app

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._hub.forget_silent()
            await self._connections.sweep()
            await self._sockets.disconnect_expired()

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
from conductor_actors.dashboard.http.agent_routes import AgentRoutes
from conductor_actors.dashboard.http.agent_sources import AgentSources
from conductor_actors.dashboard.http.anomaly_routes import AnomalyRoutes
from conductor_actors.dashboard.http.api import Api, ApiSources
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.command_routes import CommandRoutes
from conductor_actors.dashboard.http.given_commands import GivenCommands
from conductor_actors.dashboard.http.health_routes import HealthRoutes
from conductor_actors.dashboard.http.history.history_routes import history_routes
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.intervention_routes import InterventionRoutes
from conductor_actors.dashboard.http.page_files import page_routes
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.realtime.broadcast import Broadcast
from conductor_actors.dashboard.realtime.client_requests import (
    Admission,
    Senders,
    SocketHandlers,
)
from conductor_actors.dashboard.realtime.connections import Connections
from conductor_actors.dashboard.realtime.fan_out import FanOut
from conductor_actors.dashboard.realtime.socket_server import SOCKETIO_PATH, make_server
from conductor_actors.dashboard.scores.history_calls import HistoryCalls
from conductor_actors.dashboard.scores.live_anomalies import LiveAnomalies
from conductor_actors.dashboard.scores.live_decisions import LiveDecisions
from conductor_actors.dashboard.scores.live_scores import LiveScores
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.recent_history import RecentHistory
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.dashboard.scores.stored_anomalies import StoredAnomalies
from conductor_actors.dashboard.scores.stored_interventions import StoredInterventions
from conductor_actors.dashboard.scores.tenant_scores import SettledSessions, StoredTenantScores
from conductor_actors.dashboard.scores.upstreams import StoredHistory, UpdateStream, Upstreams
from conductor_actors.dashboard.scores.watched_tenants import WatchedTenants, WatchRules
from conductor_actors.dashboard.session_access import SessionAccess
from conductor_actors.errors import Overloaded, Unavailable, Unsupported
from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.outages import Outage

CLEANUP_INTERVAL_S: Final = 1.0
RESUME_DELAY_S: Final = 10.0  # after an outage, until the collector has caught up, too

# Requests have passed the check of their origin.
_CORS: Final = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["GET", "POST", "PUT", "DELETE"],
    allow_headers=["Authorization", "Content-Type"],
)


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
        self._live = self._make_live_scores(options, clocks)
        live = self._live
        overview = SessionOverview(live.sessions, live.anomalies, live.decisions)
        self._access = SessionAccess(live.sessions, self._history, clocks.monotonic)
        self._broadcast = Broadcast(overview, self._access, metrics)
        self._fan_out = FanOut(self._live, self._broadcast, metrics, clocks)
        self._anomalies = StoredAnomalies(
            upstreams.anomalies,
            live.anomalies,
            self._fan_out.send_missed,
            clocks.wall,
            self._watched_tenants,
        )
        self._interventions = StoredInterventions(
            upstreams.interventions,
            live.decisions,
            self._fan_out.send_missed_decisions,
            clocks.wall,
            self._watched_tenants,
        )
        scores = StoredTenantScores(
            live, self._anomalies, self._interventions, self._fan_out.send_filled
        )
        rules = WatchRules(self._broadcast.count_clients, clocks.monotonic)
        self.watched = WatchedTenants(upstreams.updates, scores, rules)
        self._updates = UpdateStream(
            *(upstreams.updates, self._fan_out.receive, self.watched.refuse),
            *(self._resume_soon, redis),
        )
        self._histories = HistoryCalls(upstreams.histories.connections, metrics)
        self._commands = GivenCommands(upstreams.commands, Outage("redis commands"))
        self.health = HealthRoutes(self._count_live, redis, database, read_collector)
        self._observe_live_scores(metrics)
        self._serve_sockets(options, access, metrics, clocks)
        sources = ApiSources(
            *(self._live.sessions, overview, self._history),
            *(options.scoring, options.tick_s, clocks.wall),
        )
        agents = AgentSources(
            *(live, self._interventions, self._commands),
            *(options.interventions, clocks.wall),
            SettledSessions(live, self.watched, options.tick_s, clocks).wait,
        )
        callers = Callers(access.authenticator, self._access, self.watched.watch)
        stored = HistorySources(self._histories, upstreams.histories, options.tick_s, clocks)
        http = self._serve_http(sources, agents, stored, callers, metrics)
        app = socketio.ASGIApp(self._server, http, socketio_path=SOCKETIO_PATH)
        self.asgi = ProxyMiddleware(OriginMiddleware(app, access.origins), access.proxies)

    async def run(self) -> None:
        """Run every part until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._updates, self._history, self._fan_out, self._commands):
                group.create_task(part.run())
            for stored in (self._anomalies, self._interventions, self._histories):
                group.create_task(stored.run())
            group.create_task(self._clean_up())

    async def stop(self) -> None:
        """End the requests that wait for an update."""
        await self._connections.close_polls()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.shutdown(), 1)

    def _make_live_scores(self, options: Options, clocks: Clocks) -> LiveScores:
        sessions = LiveSessions(options.tick_s, clocks.monotonic)
        recent = RecentHistory(sessions, self._history, options.scoring, clocks)
        decisions = LiveDecisions(clocks.wall, options.default_mode)
        return LiveScores(sessions, recent, LiveAnomalies(clocks.wall), decisions)

    def _watched_tenants(self) -> list[str]:
        return self.watched.tenants()

    def _count_live(self) -> int:
        """Return how many sessions are live: of all tenants, by the database, or at least here."""
        return max(self._history.live_count, len(self._live.sessions))

    def _observe_live_scores(self, metrics: DashboardMetrics) -> None:
        sessions, anomalies = self._live.sessions, self._live.anomalies
        metrics.observe("sessions", "Live sessions known here.", lambda: len(sessions))
        metrics.observe("open_anomalies", "Open anomalies known here.", lambda: len(anomalies))
        decisions = self._live.decisions
        metrics.observe("open_decisions", "Open suggestions known here.", lambda: len(decisions))

    def _resume_soon(self) -> None:
        """Send what was missed in an outage of Redis, once the collector has stored it."""
        task = asyncio.create_task(self._resume())
        self._resuming.add(task)
        task.add_done_callback(self._resuming.discard)

    async def _resume(self) -> None:
        await asyncio.sleep(RESUME_DELAY_S)
        await self.watched.refill()
        self._fan_out.resend_histories()

    def _serve_sockets(
        self, options: Options, access: AccessControl, metrics: DashboardMetrics, clocks: Clocks
    ) -> None:
        self._server: Any = make_server()
        self._connections = Connections(
            self._server.eio, options.clients_per_address, metrics, clocks
        )
        admission = Admission(
            *(access.authenticator, self._access, options.clients_per_tenant),
            *(clocks.wall, self.watched.watch),
        )
        senders = Senders(self._fan_out.send_history, self._fan_out.send_agent)
        self._handlers = SocketHandlers(
            self._broadcast, admission, metrics, self._connections, senders
        )
        self._handlers.register(self._server)

    def _serve_http(
        self,
        sources: ApiSources,
        agents: AgentSources,
        stored: HistorySources,
        callers: Callers,
        metrics: DashboardMetrics,
    ) -> ASGIApp:
        api = Api(sources, callers, metrics)
        http = Starlette(
            routes=[
                *history_routes(stored, callers, metrics, api.sessions),
                *api.routes(),
                *CommandRoutes(self._commands, callers, metrics, sources.wall_clock).routes(),
                *AnomalyRoutes(self._anomalies, callers, metrics, sources.wall_clock).routes(),
                *AgentRoutes(agents, callers, metrics).routes(),
                *InterventionRoutes(agents, callers, metrics).routes(),
                *self.health.routes(),
                *page_routes(),
            ],
            exception_handlers=dict.fromkeys(
                (Denied, Unavailable, Overloaded, Unsupported, HTTPException, Exception),
                api.respond_to_error,
            ),
            middleware=[_CORS],
        )
        http.router.redirect_slashes = False
        return http

    async def _clean_up(self) -> None:
        while True:
            await asyncio.sleep(CLEANUP_INTERVAL_S)
            self._live.sessions.remove_expired()
            self._handlers.unsubscribe_hidden(self._live.sessions.take_moved())
            self._live.anomalies.remove_expired()
            self._live.decisions.remove_expired()
            await self.watched.release_unused()
            await self._connections.close_unused()
            await self._handlers.disconnect_expired()

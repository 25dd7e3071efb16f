"""The HTTP API of reports: what happened in a session, or in all sessions of an event."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.api import session_id_of, session_routes
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.event_query import parse_reported_event
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.query import check_names
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.wire.report_bodies import encode_report


class ReportRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(
        self, sources: HistorySources, callers: Callers, metrics: DashboardMetrics
    ) -> None:
        self._calls = sources.calls
        self._reports = sources.ports.reports
        self._callers = callers
        self._responder = Responder(metrics)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/api/v1/events/report", self.event_report),
            *session_routes("report", self.session_report),
        ]

    async def session_report(self, request: Request) -> Response:
        """Return the report of a session.

        It is compared with the sessions of its event that the caller can see, and no others.
        """
        caller = await self._callers.caller(request)
        key = await self._callers.check_access(caller, session_id_of(request))
        check_names(request.query_params)
        visible = await self._callers.access.visible(caller)
        report = await self._calls.call(lambda: self._reports.session_report(key, visible))
        if report is None:
            raise Denied(404, "unknown_session", "nothing is known of this session")
        return self._responder.encoded(encode_report(report))

    async def event_report(self, request: Request) -> Response:
        """Return the report of an event's sessions that the caller can see."""
        caller = await self._callers.caller(request)
        event_id = parse_reported_event(request.query_params)
        visible = await self._callers.access.visible(caller)
        report = await self._calls.call(
            lambda: self._reports.event_report(caller.tenant, event_id, visible)
        )
        if report is None:
            raise Denied(404, "unknown_event", "nothing is known of this event")
        return self._responder.encoded(encode_report(report))
